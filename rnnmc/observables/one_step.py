"""The one-step derivative of the memory, from which the article argues: how large it is, and its other terms are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from rnnmc.observables.observable import Observable
from rnnmc.observables.paths import memory_terms
from rnnmc.observables.terms import (
    BINS,
    BOTTOM,
    HIGHEST,
    LOWEST,
    PER_NAT,
    TermSizes,
    exposed_at_first,
    ratios,
)

if TYPE_CHECKING:
    from torch import Tensor

    from rnnmc.cells.cell import Cell, Terms
    from rnnmc.chain.product import Step


class OneStep(Observable):
    """What the derivative of the memory was like in the (step, unit) pairs since the horizon before.

    The derivative of a unit is its row in diag(main) plus all other terms (`terms`), as it multiplies the memory of the
    step before: in one unit the |dc_t/dc_(t-1)| or |dh_t/dh_(t-1)| of the article's formulas.

    counts: pairs by the log ratio of the sizes of the other terms, added up, to the main one, in the bins of `terms`.
    log_ratio_sum: of it, cut to [LOWEST, HIGHEST], in nats. longer: pairs whose row is longer than 1. squeezed: largest
    |c| sech^2 c of the memory before the step, in a cell that squashes it, which no state can lift above 0.44774; null
    elsewhere. Pairs of a state that has overflowed are left out.
    """

    name = "one_step"
    formula = "sum_k |row_i of K_k diag(dh/dc)| / f_i, and |row_i of diag(f) + sum_k K_k diag(dh/dc)| > 1"
    source = "kexue.fm/archives/7888; docs/physics.md sections 3.3 and 7, claim A9"
    bytes_a_row: ClassVar[float] = 20.0
    columns: ClassVar[Mapping[str, pa.DataType]] = {
        "counts": pa.list_(pa.int32(), BINS),
        "longer": pa.int64(),
        "log_ratio_sum": pa.float64(),
        "squeezed": pa.float64(),
    }

    def check(self, point):
        TermSizes().check(point)

    def watch(self, point, layout, start, generators):
        return _Watch(point.cell_object, layout, start, point.horizons)


class _Watch:
    def __init__(self, cell: Cell, layout, start, horizons: tuple[int, ...]):
        import torch

        self.cell, self.layout, self.horizons = cell, layout, set(horizons)
        self.exposed = exposed_at_first(cell, start[0])
        self.identity = layout.identity(start[0].shape[layout.out_axis], start[0])
        self.squashed = cell.gating is not None and cell.gating.squashed
        replicates = start[0].shape[layout.replicate_axis]
        self.since: dict[str, Tensor] = {
            "counts": torch.zeros(replicates, BINS, dtype=torch.int32, device=start[0].device),
            "longer": torch.zeros(replicates, dtype=torch.int64, device=start[0].device),
            "log_ratio_sum": torch.zeros(replicates, dtype=torch.float64, device=start[0].device),
            "squeezed": torch.zeros(replicates, dtype=torch.float64, device=start[0].device),
        }
        self.found: dict[str, list[np.ndarray]] = {name: [] for name in self.since}

    def see(self, step: Step) -> None:
        terms = memory_terms(step)
        self._count(terms, step.finite.flatten())
        if self.squashed:
            self._squeeze(self._vector(step.before[1]))
        if terms.exposed is not None:
            self.exposed = terms.exposed
        if step.number in self.horizons:
            for name, tally in self.since.items():
                self.found[name].append(tally.cpu().numpy().copy())
                tally.zero_()

    def _count(self, terms: Terms, alive: Tensor) -> None:
        import torch

        ratio = ratios(self.layout, terms, self.exposed, self.cell.other_terms).sum(0)
        log = self._vector(ratio).double().log().clamp(BOTTOM, HIGHEST)
        bins = ((log - BOTTOM) * PER_NAT).long()
        self.since["counts"].scatter_add_(1, bins, alive[:, None].expand_as(bins).int())
        self.since["log_ratio_sum"] += torch.where(alive, log.clamp(min=LOWEST).sum(1), 0.0)
        self.since["longer"] += (self._vector(self._rows(terms)) > 1).sum(1) * alive

    def _rows(self, terms: Terms) -> Tensor:
        """The length of each unit's row of the whole derivative, a vector."""
        import torch

        seen = self.exposed.transpose(self.layout.direction_axis, self.layout.out_axis)
        whole = self.identity * terms.main
        for matrix, scale in terms.others().values():
            whole = whole + matrix * scale * seen
        return self.layout.product(torch.ones_like(self.exposed), whole.square()).sqrt()

    def _squeeze(self, c: Tensor) -> None:
        import torch

        size = c.double().abs()
        most = (size * (2 * (-size).exp() / (1 + (-2 * size).exp())).square()).amax(1)
        self.since["squeezed"] = torch.maximum(self.since["squeezed"], most.nan_to_num(0.0))

    def _vector(self, vector: Tensor) -> Tensor:
        """(R, n)"""
        return self.layout.matrices(vector)[:, 0]

    def values(self) -> dict[str, np.ndarray]:
        found = {name: np.stack(logged, axis=1) for name, logged in self.found.items()}
        if not self.squashed:
            found["squeezed"] = np.full_like(found["squeezed"], np.nan)
        return found


OBSERVABLE = OneStep
