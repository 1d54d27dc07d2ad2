"""How large the terms of the one-step Jacobian are beside the main one, as a distribution over steps and units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from rnnmc.observables.observable import Observable
from rnnmc.observables.paths import memory_terms, require_main_term

if TYPE_CHECKING:
    from torch import Tensor

    from rnnmc.cells.cell import Cell, Terms
    from rnnmc.chain.product import Step
    from rnnmc.numerics.layout import Layout

MAIN = "main"
LOWEST, HIGHEST, PER_NAT = -16, 8, 4  # nats of the log ratio, and bins in a nat
BINS = (HIGHEST - LOWEST) * PER_NAT + 2  # the first and the last have an open end
BOTTOM = LOWEST - 1 / PER_NAT  # where the first would begin if it were as wide as the others
AT_ONE = 1 - LOWEST * PER_NAT  # the bin of a ratio of 1


class TermSizes(Observable):
    """How often, in the steps since the horizon before, a term had which size relative to the main term of its unit.

    The size of a term at a unit is the 2-norm of the unit's row in the matrix of the term, in a cell with a state
    (h, c) as it multiplies dc_(t-1) in the article's c-path (see `paths`); that of the main term is what multiplies the
    memory, such as f. One row for each (horizon, term), `main` first.

    counts: (step, unit) pairs by log ratio, in nats: bin 0 is below LOWEST, terms that are zero included; bin k from
    LOWEST + (k-1)/PER_NAT, inclusive, up to LOWEST + k/PER_NAT; the last is HIGHEST and above, main terms that are zero
    in the chain's dtype included. largest: pairs in which no other term is larger. log_ratio_sum: over the pairs, in
    nats, of the log ratio cut to [LOWEST, HIGHEST]. Pairs of a state that has overflowed are left out; rows of a term
    add up.
    """

    name = "terms"
    formula = "|row_i of K_k diag(dh/dc)| / f_i for each unit i and term k"
    source = "kexue.fm/archives/7888; docs/physics.md section 3"
    labels: ClassVar[Mapping[str, pa.DataType]] = {"horizon": pa.int32(), "term": pa.string()}
    bytes_a_row: ClassVar[float] = 18.0
    columns: ClassVar[Mapping[str, pa.DataType]] = {
        "counts": pa.list_(pa.int32(), BINS),
        "largest": pa.int64(),
        "log_ratio_sum": pa.float64(),
    }

    def check(self, point):
        cell = point.cell_object
        require_main_term(point.cell, cell)
        if not cell.other_terms:
            raise ValueError(
                f"needs a cell with a term beside the main one, and {point.cell} has only {cell.main_term}"
            )

    def index(self, point):
        terms = terms_of(point.cell_object)
        horizons = np.array(point.horizons, np.int32)
        return {"horizon": np.repeat(horizons, len(terms)), "term": np.tile(terms, len(horizons))}

    def watch(self, point, layout, start, generators):
        return _Watch(point.cell_object, layout, start, point.horizons)


def terms_of(cell: Cell) -> tuple[str, ...]:
    """The terms of this cell, in the order of the rows."""
    return (MAIN, *cell.other_terms)


def ratios(layout: Layout, terms: Terms, exposed: Tensor, names: Sequence[str]) -> Tensor:
    """(terms, *vector): the size of each of these other terms relative to the main one; zero where both are.

    exposed: dh/dc of the step before, a vector; ones in a cell without c.
    """
    import torch

    others = terms.others()
    largest = layout.size(exposed)
    largest = torch.where(largest > 0, largest, 1.0)  # divided out, lest squares underflow
    weight, found = (exposed / largest).square(), []
    for matrix, scale in (others[name] for name in names):
        norm = layout.product(weight, matrix.square()).sqrt()
        found.append((scale / terms.main).abs() * largest * norm)
    return torch.stack(found).nan_to_num(nan=0.0, posinf=math.inf)


def exposed_at_first(cell: Cell, like: Tensor) -> Tensor:
    """`exposed` of the step before the first: h_0 is no function of c_0."""
    import torch

    return torch.zeros_like(like) if len(cell.parts) == 2 else torch.ones_like(like)


class _Watch:
    def __init__(self, cell: Cell, layout, start, horizons: tuple[int, ...]):
        import torch

        self.others, self.layout = cell.other_terms, layout
        self.place = {horizon: i for i, horizon in enumerate(horizons)}
        vector, device = start[0], start[0].device
        width, replicates = vector.shape[layout.out_axis], vector.shape[layout.replicate_axis]
        shape = [len(self.others), 1, 1, 1]
        shape[1 + layout.replicate_axis] = replicates
        row = torch.arange(replicates, replicates * (1 + shape[0]), device=device).reshape(shape)
        self.first_bin = (row * BINS).expand(-1, *vector.shape)
        self.width, self.units = width, (1 + layout.direction_axis, 1 + layout.out_axis)
        self.exposed = exposed_at_first(cell, vector)
        rows = 1 + shape[0], replicates
        self.since = {
            "counts": torch.zeros(*rows, BINS, dtype=torch.int32, device=device),
            "largest": torch.zeros(rows, dtype=torch.int64, device=device),
            "log_ratio_sum": torch.zeros(rows, dtype=torch.float64, device=device),
        }
        self.found = {  # (R, horizons, terms, ...) at once, as copies of it would cost as much as the counting
            name: torch.zeros(replicates, len(horizons), rows[0], *tally.shape[2:], dtype=tally.dtype)
            for name, tally in self.since.items()
        }

    def see(self, step: Step) -> None:
        terms = memory_terms(step)
        self._count(ratios(self.layout, terms, self.exposed, self.others), step.finite)
        if terms.exposed is not None:
            self.exposed = terms.exposed
        if step.number in self.place:
            for name, tally in self.since.items():
                self.found[name][:, self.place[step.number]] = tally.transpose(0, 1)
                tally.zero_()

    def _count(self, ratio: Tensor, finite: Tensor) -> None:
        """Add one step, of the replicates that are finite; the ratio of the main term is one."""
        import torch

        alive = finite.flatten()
        log = ratio.log().clamp(BOTTOM, HIGHEST)
        bins = self.first_bin + ((log - BOTTOM) * PER_NAT).long()
        one = finite.expand_as(bins).flatten().int()
        self.since["counts"].view(-1).scatter_add_(0, bins.flatten(), one)
        self.since["counts"][0, :, AT_ONE] += self.width * alive
        self.since["log_ratio_sum"][1:] += log.clamp(min=LOWEST).sum(self.units, dtype=torch.float64) * alive
        largest = ratio.amax(0, keepdim=True)
        self.since["largest"][:1] += (largest <= 1).sum(self.units) * alive
        self.since["largest"][1:] += ((ratio == largest) & (ratio >= 1)).sum(self.units) * alive

    def values(self) -> dict[str, np.ndarray]:
        return {name: found.flatten(1, 2).numpy() for name, found in self.found.items()}


OBSERVABLE = TermSizes
