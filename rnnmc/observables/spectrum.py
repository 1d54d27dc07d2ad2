"""Lyapunov spectrum of each replicate by QR, as many exponents as are asked for, with their standard error in time.

Directions of its own, random and orthonormal at the start, are pushed along the chain. Now and then they are
factorised, A = Q R with R triangular, and go on as Q. The sum of log R_11 ... log R_ii over all factorisations is the
log-volume that the first i directions span, and that grows as the sum of the first i exponents (Benettin et al. 1980).

What makes it exact is that A = Q R holds to rounding, not that Q is perfectly orthonormal: volumes multiply whatever Q
is. Rounding moves log R_ii by about eps |A| / R_ii; directions are factorised again before they have drifted so far
apart that this would be more than 1e-6 nats, at every step if one step alone does it. All of it is in float64, also
beside a chain in float32: the exponents are then those of the Jacobians, evaluated in float64, at the states that the
chain in float32 passes through, with its weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from rnnmc.observables.observable import Observable

if TYPE_CHECKING:
    from torch import Tensor

    from rnnmc.cells.cell import Cell, Push
    from rnnmc.chain.product import Step
    from rnnmc.numerics.layout import Layout
    from rnnmc.numerics.weights import Weights

EPSILON = float(np.finfo(np.float64).eps)
DRIFT = math.log(1e-6 / EPSILON)  # nats that log R_11 - log R_kk may reach between two factorisations
REACH = 300.0  # nats that a direction may grow or shrink between two: far from what float64 can hold
MOST_STEPS = 32  # between two: factorising is then a small part of the work, and surprises stay small
LOST = 0.1  # relative rounding error of one R_ii from which on it means nothing
TOLERANCE = 1e-4  # nats a step: exponents that rounding may have moved further are not known
BATCHES = 20
LEAST_BATCH = 4  # steps: shorter ones are so alike that their spread says too little about the error


class LyapunovSpectrum(Observable):
    """The largest `exponents` of the d Lyapunov exponents, all unless said, in nats a step.

    exponent: over the steps after a transient, the first tenth of the run. error_in_time: its standard error, from the
    means of 20 batches of steps; error_of_sum: that of the sum of exponents 1 to `index`; both null below 88 steps.
    exponent_whole_run: over all steps: summed over all d and times the horizon it is sum_t log|det J_t|.

    -inf where the Jacobian has so few rows that are not zero that the volume is exactly zero. Null where the state has
    overflowed, and from the first exponent on that float64 cannot tell from zero volume (a singular U, say).
    """

    whole_chain: ClassVar[bool] = False
    name, main, example = "spectrum", "exponents", "16"
    formula = "A = Q R at rising times; lambda_i = sum log R_ii / T"
    source = "Benettin et al. 1980; Engelken, Wolf, Abbott 2023; docs/physics.md section 3"
    labels: ClassVar[Mapping[str, pa.DataType]] = {name: pa.int32() for name in ("horizon", "index", "state_size")}
    columns: ClassVar[Mapping[str, pa.DataType]] = {
        name: pa.float64() for name in ("exponent", "error_in_time", "error_of_sum", "exponent_whole_run")
    }
    exponents: Annotated[int, Field(ge=1)] | None = None

    def check(self, point):
        if self.exponents is not None and self.exponents > (d := point.state_size):
            raise ValueError(
                f"has {self.exponents} exponents, but the state of {point.cell} at width {point.width} has length {d}; "
                f"give at most {d}, or no number for all of them"
            )

    def index(self, point):
        count = self.exponents or point.state_size
        labels = {"horizon": point.horizons[-1], "index": np.arange(1, count + 1), "state_size": point.state_size}
        return {name: np.broadcast_to(np.int32(label), count) for name, label in labels.items()}

    def watch(self, point, layout, start, generators):
        import torch

        each = start[0].shape[layout.replicate_axis] // len(generators)
        shape = (self.exponents or point.state_size, each, point.state_size)  # the first are the same, however many
        drawn = np.concatenate([rng.standard_normal(shape).swapaxes(0, 1) for rng in generators])
        random = layout.load(drawn, torch.float64, str(start[0].device))
        return _Watch(point.cell_object, layout, factorised(layout, random)[0], point.horizons[-1])


class _Watch:
    """k directions for each of R replicates, what they have grown by, and when to factorise them next.

    directions: k rows for each part of the state, in the chain's layout; zero once the volume is. log_growth: (R, k)
    sum of log R_ii so far. rounding: (R, k) how far rounding may have moved it, in nats, infinite once it is lost.
    rank: (R, 1) the most that the product can have. marks: log_growth at `stops`, the steps between the batches.
    """

    def __init__(self, cell: Cell, layout: Layout, rows: Tensor, steps: int):
        import torch

        self.cell, self.layout, self.count = cell, layout, rows.shape[layout.direction_axis]
        self._carry(rows)
        self.log_growth = rows.new_zeros(rows.shape[layout.replicate_axis], self.count)
        self.rounding = torch.zeros_like(self.log_growth)
        self.rank = torch.full_like(self.log_growth[:, :1], self.count)
        self.stacked = None
        self.since, self.allowed = 0, 1
        batches = min(BATCHES, steps - steps // 10)
        self.stops = np.linspace(steps // 10, steps, batches + 1).round().astype(int)
        self.marks = [self.log_growth.clone()] * int(self.stops[0] == 0)

    def _carry(self, rows: Tensor) -> None:
        parts = len(self.cell.parts)
        self.directions = rows.split(rows.shape[self.layout.out_axis] // parts, self.layout.out_axis)

    def see(self, step: Step) -> None:
        self.directions = self._push(step)(self.directions)
        if self.cell.can_die:
            self.rank = self.rank.minimum(self._nonzero_coordinates())
        self.since += 1
        stops = step.number in self.stops
        if stops or self.since >= self.allowed:
            self._factorise(step.finite.reshape(-1, 1))
        if stops:
            self.marks.append(self.log_growth.clone())

    def _push(self, step: Step) -> Push:
        """J_t in float64, at the state that the chain passes through in whatever dtype."""
        if step.after[0].dtype == self.log_growth.dtype:
            return step.push
        if step.weights.stacked is None or step.weights.stacked is not self.stacked:  # tied weights only once
            self.stacked, self.weights = step.weights.stacked, _in_double(step.weights)
        drive = {gate: vector.double() for gate, vector in step.drive.items()}
        return self.cell.linearise(self.weights, drive, tuple(part.double() for part in step.before))[1]

    def _nonzero_coordinates(self) -> Tensor:
        import torch

        nonzero = [(part != 0).any(self.layout.direction_axis, keepdim=True) for part in self.directions]
        return torch.cat(nonzero, self.layout.out_axis).sum(self.layout.out_axis, keepdim=True).reshape(-1, 1)

    def _factorise(self, finite: Tensor) -> None:
        """Make the directions orthonormal, note by how much they have grown, and say when to come back."""
        import torch

        from rnnmc.chain.product import rescaled, size_of

        size = size_of(self.layout, self.directions)
        known = (finite & size.isfinite().reshape(-1, 1)) | (self.rank == 0)
        living = self._of_rows(known & (torch.arange(self.count, device=size.device) < self.rank))
        parts = tuple(part.where(living, 0.0) for part in self.directions)
        parts, shift = rescaled(parts, size, torch.zeros_like(size, dtype=torch.int64))
        rows, diagonal = factorised(self.layout, torch.cat(parts, self.layout.out_axis))
        log = diagonal.log() + shift.reshape(-1, 1).to(diagonal.dtype) * math.log(2)
        error = EPSILON * math.sqrt(rows.shape[self.layout.out_axis]) / diagonal  # the largest entry is about one
        lost = ~known | ((error > LOST) & (diagonal > 0)) | ((diagonal == 0) & (not self.cell.can_die))
        self.log_growth += log
        self.rounding += error.where(diagonal > 0, 0.0).masked_fill(lost, math.inf)
        carried = (diagonal > 0) & ~lost
        self._carry(rows.where(self._of_rows(carried), 0.0))
        log = log.where(carried, log[:, :1]).nan_to_num(neginf=0.0)
        highest, lowest = log.amax(1), log.amin(1)
        used = torch.maximum((highest - lowest) / DRIFT, torch.maximum(highest, -lowest) / REACH)
        self.allowed = max(1, min(2 * self.allowed, MOST_STEPS, int(self.since / max(float(used.max()), EPSILON))))
        self.since = 0

    def _of_rows(self, values: Tensor) -> Tensor:
        """(R, k) shaped to broadcast against directions."""
        return values.unsqueeze(2).movedim(0, self.layout.replicate_axis)

    def values(self) -> dict[str, np.ndarray]:
        marks = np.stack([mark.cpu().numpy() for mark in self.marks])
        unknown = (self.rounding > TOLERANCE * self.stops[-1]).cpu().numpy()
        marks[:, unknown | (np.maximum.accumulate(unknown, axis=1) & (marks[-1] > -np.inf))] = np.nan
        whole = marks[-1] / self.stops[-1]
        with np.errstate(invalid="ignore"):  # of the dead: inf - inf
            growth, lengths = np.diff(marks, axis=0), np.diff(self.stops)
            mean = growth.sum(axis=0) / lengths.sum()
            error, error_of_sum = (batch_error(of, lengths) for of in (growth, growth.cumsum(axis=2)))
        return {
            "exponent": np.where(np.isneginf(whole), whole, mean),
            "error_in_time": error,
            "error_of_sum": error_of_sum,
            "exponent_whole_run": whole,
        }


def batch_error(growth: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Standard error of sum(growth) / sum(lengths) from batches along the first axis; NaN if they are too short."""
    total, weights = lengths.sum(), lengths[:, None, None]
    if lengths.min() < LEAST_BATCH:
        return np.full(growth.shape[1:], np.nan)
    away = growth / weights - growth.sum(axis=0) / total
    return np.sqrt((weights * away**2).sum(axis=0) / (len(lengths) - 1) / total)


def factorised(layout: Layout, rows: Tensor) -> tuple[Tensor, Tensor]:
    """(Q, |diagonal of R|) of rows = R transposed times Q: k directions that span what `rows` do, and (R, k).

    rows: k directions of d entries in `layout`, finite; may be overwritten. The directions are orthonormal up to eps
    times the condition number, and of no meaning where the diagonal is zero.
    """
    return _gram_schmidt(rows) if layout.name == "columns" else _householder(rows)


def _householder(rows: Tensor) -> tuple[Tensor, Tensor]:
    """R by Householder reflections, Q by solving for it, which is faster than to multiply the reflections out."""
    import torch

    factor = torch.geqrf(rows.mT)[0][:, : rows.shape[1]].mT
    diagonal = factor.diagonal(dim1=1, dim2=2)
    found = diagonal.abs()
    diagonal.masked_fill_(found == 0, 1.0)
    return torch.linalg.solve_triangular(factor, rows, upper=False), found


def _gram_schmidt(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The modified method, over all replicates at once: its R is as good as Householder's (Bjorck 1967)."""
    import torch

    lengths = []
    for i in range(len(rows)):
        row, rest = rows[i], rows[i + 1 :]
        lengths.append(row.square().sum(0).sqrt())
        row /= lengths[i].where(lengths[i] > 0, 1.0)
        rest.addcmul_((rest * row).sum(1, keepdim=True), row, value=-1)
    return rows, torch.stack(lengths, dim=1)


def _in_double(weights: Weights) -> Weights:
    from rnnmc.numerics.weights import Weights

    layout, bias = weights.layout, {name: vector.double() for name, vector in weights.bias.items()}
    if weights.stacked is None:
        return Weights(layout, None, {}, bias)
    stacked = weights.stacked.double()
    matrices = stacked.split(stacked.shape[layout.out_axis] // len(weights.recurrent), layout.out_axis)
    return Weights(layout, stacked, dict(zip(weights.recurrent, matrices, strict=True)), bias)


OBSERVABLE = LyapunovSpectrum
