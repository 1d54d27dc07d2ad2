"""One vector, fixed before anything was drawn: for Gaussian weights its length has an exact law at every width."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from rnnmc.observables.observable import Observable

if TYPE_CHECKING:
    from rnnmc.chain.product import Step


class Vector(Observable):
    """log ||P_T e_1||, in nats; -inf where it is exactly zero, +inf where the state or product has overflowed.

    Carried by itself, as in a float32 product its column may lie too far below the others. Null once a single step has
    shrunk it beyond the range of float64.
    """

    whole_chain: ClassVar[bool] = False
    name = "vector"
    formula = "log ||P_T e_1||"
    source = "Newman 1986; docs/physics.md section 5"
    columns: ClassVar[Mapping[str, pa.DataType]] = {"log_vector": pa.float64()}

    def watch(self, point, layout, start, generators):
        return _Watch(layout, start, set(point.horizons), point.cell_object.can_die)


class _Watch:
    def __init__(self, layout, start, horizons: set[int], can_vanish: bool):
        import torch

        self.layout, self.horizons, self.can_vanish = layout, horizons, can_vanish
        self.direction = tuple(torch.zeros_like(part) for part in start)
        self.direction[0].narrow(layout.out_axis, 0, 1).fill_(1.0)
        self.exponent = torch.zeros_like(layout.size(start[0]), dtype=torch.int64)
        self.resolved = torch.ones_like(self.exponent, dtype=torch.bool)
        self.logs: list[np.ndarray] = []

    def see(self, step: Step) -> None:
        import torch

        from rnnmc.chain.product import is_resolved, rescaled, size_of

        pushed = step.push(self.direction)
        size = size_of(self.layout, pushed)
        if step.number == 1 and not size_of(self.layout, step.push(self._whole_part())).any():
            self.can_vanish = True  # nothing reads this part of the state
        self.resolved = self.resolved & is_resolved(size, self.can_vanish)
        self.direction, self.exponent = rescaled(pushed, size, self.exponent)
        if step.number in self.horizons:
            rows = [self.layout.matrices(part).double() for part in self.direction]
            length = torch.stack([row.square().sum((1, 2)) for row in rows]).sum(0).sqrt()
            log = length.log() + self.exponent.flatten().double() * math.log(2)
            log = log.where(self.resolved.flatten(), math.nan)
            overflow = ~step.finite.flatten() | ~length.isfinite()
            self.logs.append(log.masked_fill(overflow, math.inf).cpu().numpy())

    def _whole_part(self):
        """Every unit of the part that the vector is in."""
        return (self.direction[0].new_ones(self.direction[0].shape), *self.direction[1:])

    def values(self) -> dict[str, np.ndarray]:
        return {"log_vector": np.stack(self.logs, axis=1), "resolved": self.resolved.flatten().cpu().numpy()}


OBSERVABLE = Vector
