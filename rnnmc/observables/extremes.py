"""How large the state has ever been: whether |h| stays below one, and whether a cell state diverges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from rnnmc.observables.observable import Observable

if TYPE_CHECKING:
    from torch import Tensor

    from rnnmc.cells.cell import State
    from rnnmc.chain.product import Step
    from rnnmc.numerics.layout import Layout


class Extremes(Observable):
    """Largest absolute entry of each part of the state over all units and the steps 0 to T; +inf after an overflow."""

    whole_chain: ClassVar[bool] = False
    name = "extremes"
    formula = "max_{t <= T} max_i |s_t,i|, for each part of the state"
    source = "docs/physics.md section 7, claim A8"
    labels: ClassVar[Mapping[str, pa.DataType]] = {"horizon": pa.int32(), "part": pa.string()}
    columns: ClassVar[Mapping[str, pa.DataType]] = {"largest": pa.float64()}

    def index(self, point):
        parts = point.cell_object.parts
        return {
            "horizon": np.repeat(np.array(point.horizons, np.int32), len(parts)),
            "part": np.tile(np.array(parts, object), len(point.horizons)),
        }

    def watch(self, point, layout, start, generators):
        return _Watch(layout, start, set(point.horizons))


class _Watch:
    def __init__(self, layout: Layout, start: State, horizons: set[int]):
        self.layout, self.horizons = layout, horizons
        self.largest: list[Tensor] = [layout.size(part) for part in start]
        self.logged: list[np.ndarray] = []

    def see(self, step: Step) -> None:
        import torch

        self.largest = [
            torch.maximum(old, self.layout.size(part)) for old, part in zip(self.largest, step.after, strict=True)
        ]
        if step.number in self.horizons:
            largest = torch.stack([part.flatten() for part in self.largest], dim=1)
            self.logged.append(largest.nan_to_num(math.inf, math.inf).cpu().numpy())  # only an overflow makes a NaN

    def values(self) -> dict[str, np.ndarray]:
        return {"largest": np.concatenate(self.logged, axis=1)}


OBSERVABLE = Extremes
