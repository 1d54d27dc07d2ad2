"""The ways that a perturbation can take through a cell with a memory, each with a norm of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
import pyarrow as pa

from rnnmc.cells import cells
from rnnmc.cells.stacked import Stacked
from rnnmc.chain.norms import MEASURES
from rnnmc.observables.observable import Observable

if TYPE_CHECKING:
    from torch import Tensor

    from rnnmc.cells.cell import Cell, Tangent, Terms
    from rnnmc.chain.product import Step

JOINT, C_PATH, H_ONLY, MAIN_TERM = "joint", "c_path", "h_only", "main_term"
BLOCKS = ("h_to_h", "h_to_c", "c_to_h", "c_to_c")


class Paths(Observable):
    """log_spectral and log_rms, in nats, of each path; of n by n products over root n, of the joint chain over root d.

    joint: the chain P_T itself. h_to_h, h_to_c, c_to_h, c_to_c: its blocks. c_path: the article's, where h_(t-1) is a
    function of c_(t-1) with the output gate held fixed, the product of diag(f_t) + K_t diag(dh_(t-1)/dc_(t-1)); as h_0
    is no function of c_0, its first factor is diag(f_1). h_only: the product of the h -> h blocks of the steps, which
    is no block of the product, though published tools take it for one. main_term: the product of the main terms alone,
    such as f_t. A cell without c has joint and main_term.

    -inf where exactly zero, as without recurrent weights; +inf where the state has overflowed. Null where a block, or
    at any step so far c_path, h_only or main_term, has shrunk beyond the range of float64.
    """

    name = "paths"
    formula = "norms of P_T, of its blocks, and of the products of diag(f) + K dh/dc, of the h -> h blocks, and of f"
    source = "kexue.fm/archives/7888; docs/physics.md sections 3 and 4"
    labels: ClassVar[Mapping[str, pa.DataType]] = {"horizon": pa.int32(), "path": pa.string()}
    columns: ClassVar[Mapping[str, pa.DataType]] = {measure: pa.float64() for measure in MEASURES}

    def check(self, point):
        require_main_term(point.cell, point.cell_object)

    def index(self, point):
        paths = paths_of(point.cell_object)
        horizons = np.array(point.horizons, np.int32)
        return {"horizon": np.repeat(horizons, len(paths)), "path": np.tile(paths, len(horizons))}

    def watch(self, point, layout, start, generators):
        return _Watch(point.cell_object, layout, start, set(point.horizons))


def paths_of(cell: Cell) -> tuple[str, ...]:
    """The paths of this cell, in the order of the rows."""
    return (JOINT, *BLOCKS, C_PATH, H_ONLY, MAIN_TERM) if len(cell.parts) == 2 else (JOINT, MAIN_TERM)


def require_main_term(name: str, cell: Cell) -> None:
    """Raise ValueError where the cell has no main term, or several layers of it."""
    if isinstance(cell, Stacked):
        raise ValueError(f"is about the memory of one layer, and this is {cell.name}; give layers: 1")
    if cell.main_term is None:
        known = ", ".join(other for other, one in cells().items() if one.main_term)
        raise ValueError(f"needs a cell with a main term, and {name} has none; give one of {known}")


def memory_terms(step: Step) -> Terms:
    """The terms of this step, of a cell with a main term."""
    return cast("Terms", cast("Tangent", step.push).terms)


class _Watch:
    def __init__(self, cell: Cell, layout, start, horizons: set[int]):
        import torch

        self.cell, self.layout, self.horizons = cell, layout, horizons
        self.exposed = self.nothing = torch.zeros_like(start[0])
        self.log_main = torch.zeros_like(start[0], dtype=torch.float64)
        self.carried = {path: _Product(layout, start[0]) for path in (C_PATH, H_ONLY) if path in paths_of(cell)}
        self.logs: dict[str, list[np.ndarray]] = {measure: [] for measure in MEASURES}

    def see(self, step: Step) -> None:
        import torch

        terms = memory_terms(step)
        main = terms.main.abs()
        known = (main >= torch.finfo(main.dtype).tiny) | ((main == 0) & self.cell.can_die)
        self.log_main = self.log_main + main.double().log().where(known, math.nan)
        if terms.exposed is not None:
            of_c, of_h = self.carried[C_PATH], self.carried[H_ONLY]
            of_c.become(step.push((self.exposed * of_c.rows, of_c.rows))[1])
            of_h.become(step.push((of_h.rows, self.nothing.expand_as(of_h.rows)))[0])
            self.exposed = terms.exposed
        if step.number in self.horizons:
            self._log(step)

    def _log(self, step: Step) -> None:
        """The norms of every path, in the order of the rows."""
        import torch

        known = torch.ones_like(step.finite).flatten()
        parts = [self.layout.matrices(part) for part in step.chain]
        found = [self._norms(step, torch.cat(parts, dim=2)[None], step.exponent[None], known[None])]
        if self.carried:
            blocks = [(part[:, i], step.exponent, known) for i in _halves(parts[0].shape[1]) for part in parts]
            products = blocks + [one.now() for one in self.carried.values()]
            product, exponent, resolved = (torch.stack(some) for some in zip(*products, strict=True))
            believed = self._may_be_zero(step) | product.flatten(2).any(2)
            found.append(self._norms(step, product, exponent, resolved & believed))
        for measure, logs in self.logs.items():
            together = [one[measure] for one in [*found, self._main_terms(step)]]
            logs.append(np.concatenate(together).T)

    def _may_be_zero(self, step: Step) -> Tensor:
        """(R,) whether a zero product is one and has not underflown: there are no weights, or the cell can die."""
        import torch

        stacked = step.weights.stacked
        bare = torch.ones_like(step.finite) if stacked is None else self.layout.size(stacked) == 0
        return (bare | self.cell.can_die).flatten()

    def _norms(self, step: Step, product: Tensor, exponent: Tensor, known: Tensor) -> dict[str, np.ndarray]:
        """measure -> (paths, R), from (paths, R, rows, columns), the exponents, and (paths, R): which are known."""
        from rnnmc.chain.norms import log_norms
        from rnnmc.chain.product import Moment

        finite = step.finite.flatten().expand(known.shape)
        moment = Moment(step.number, product.flatten(0, 1), exponent.flatten(), finite.flatten(), known.flatten(), ())
        found = log_norms(moment)
        missing = (finite & ~known).cpu().numpy()
        return {name: np.where(missing, math.nan, found[name].reshape(missing.shape)) for name in MEASURES}

    def _main_terms(self, step: Step) -> dict[str, np.ndarray]:
        """measure -> (1, R) of the product of the main terms, which is diagonal."""
        logs = self.layout.matrices(self.log_main)[:, 0]
        rms = ((2 * logs).logsumexp(1) - math.log(logs.shape[1])) / 2
        both = [norm.where(step.finite.flatten(), math.inf).cpu().numpy()[None] for norm in (logs.amax(1), rms)]
        return dict(zip(MEASURES, both, strict=True))

    def values(self) -> dict[str, np.ndarray]:
        values = {measure: np.concatenate(logs, axis=1) for measure, logs in self.logs.items()}
        return values | {"resolved": np.all(~np.isnan(values[MEASURES[0]]), axis=1)}


class _Product:
    """A product of factors from n directions on, as rows, each divided by a power of two of its own."""

    def __init__(self, layout, like: Tensor):
        import torch

        self.layout = layout
        n = like.shape[layout.out_axis]
        self.rows = layout.identity(n, like) * torch.ones_like(like)
        self.exponent = torch.zeros_like(layout.size(self.rows, apart=True), dtype=torch.int64)
        self.resolved = torch.ones_like(layout.size(like), dtype=torch.bool)

    def become(self, rows: Tensor) -> None:
        """What the next factor has made of the rows."""
        from rnnmc.chain.product import is_resolved, rescaled

        size = self.layout.size(rows, apart=True)
        largest = size.amax(self.layout.direction_axis, keepdim=True)
        self.resolved = self.resolved & is_resolved(largest, can_vanish=True)
        (self.rows,), self.exponent = rescaled((rows,), size, self.exponent)

    def now(self) -> tuple[Tensor, Tensor, Tensor]:
        """(R, n, n) product, its exponents, and (R,) which of the replicates are resolved."""
        from rnnmc.chain.product import together

        (rows,), exponent = together(self.layout, (self.rows,), self.exponent)
        return self.layout.matrices(rows), exponent, self.resolved.flatten()


def _halves(length: int) -> tuple[slice, slice]:
    return slice(length // 2), slice(length // 2, None)


OBSERVABLE = Paths
