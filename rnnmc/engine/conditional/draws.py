"""Gaussian matrices that are never formed: what such a matrix answers, drawn given all that it has answered before.

Let N have independent standard normal entries. Whatever has been asked of it is known on the span of the rows x that
it has met, x N, and on the span of those that its transpose has met, y N^T. Given that, what is left of N beyond both
spans is as it always was: for a unit row q beyond the rows met,

    q N = its known part on the span met on the other side + z beyond that span,   z ~ N(0, I),

exactly. So an answer costs as many normals as it is long, times the rows that are new, instead of n^2, and all
answers together have the joint law of those of one real matrix.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from rnnmc.chain.product import all_safe

ENOUGH = 0.5  # of its length left: a row is then orthogonal to rounding ("twice is enough", Kahan and Parlett)
ACCEPTED = 0.1  # of its length left: a row less long waits for another round, so that its rounding spoils no other
MORE_ROUNDS = 8  # than there are rows
SMALL_BLOCK = 1 << 20  # bytes of rows and answers up to which copying costs less than more calls do
PIECE_NUMBERS = 1 << 16  # drawn at a time: still in the cache when they are copied; even, as they come in pairs


class _Side:
    """What a matrix has met from one side: blocks of orthonormal (or zero) rows, and what it answered to each."""

    def __init__(self) -> None:
        self.met: list[Tensor] = []
        self.answers: list[Tensor] = []

    def add(self, met: Tensor, answers: Tensor) -> None:
        """Take note of one more block.

        Small blocks are put together, as a hundred single rows would take a hundred times the calls; large ones stay
        where they are.
        """
        self.met.append(met)
        self.answers.append(answers)
        while len(self.met) > 1 and self.met[-1].shape[1] >= self.met[-2].shape[1]:
            if sum(blocks[at].nbytes for blocks in (self.met, self.answers) for at in (-2, -1)) > SMALL_BLOCK:
                break
            for blocks in (self.met, self.answers):
                blocks[-2:] = [torch.cat(blocks[-2:], dim=1)]


class ConditionalGaussian:
    """A batch of B independent matrices with independent entries N(0, deviation^2), B = replicates / shared.

    size: rows of each matrix. deviation: (columns,) standard deviation of the entries of each column.
    generators: one for each of the parts of equal size that the batch is drawn in, which read on at every answer; so
    equal questions in an equal order get equal answers.
    shared: neighbouring replicates that have one matrix in common.

    Answers have the dtype and device of `deviation`; what is drawn does not depend on them. A row that lies within
    rounding of the span of earlier ones counts as in it. NaN answers what is not finite.
    """

    def __init__(
        self, size: int, deviation: Tensor, generators: Sequence[np.random.Generator], replicates: int, shared: int = 1
    ):
        self.size, self.deviation, self.generators, self.shared = size, deviation, generators, shared
        self.each = replicates // shared // len(generators)
        self.rows, self.columns = _Side(), _Side()

    def times(self, rows: Tensor) -> Tensor:
        """rows (replicates, k, size) times the matrix: (replicates, k, columns)."""
        return self._answer(rows, self.rows, self.columns, len(self.deviation)).mul_(self.deviation)

    def times_transposed(self, rows: Tensor) -> Tensor:
        """rows (replicates, k, columns) times the transposed matrix: (replicates, k, size)."""
        return self._answer(rows * self.deviation, self.columns, self.rows, self.size)

    def _answer(self, rows: Tensor, here: _Side, there: _Side, length: int) -> Tensor:
        """(replicates, k, length): of standard normal entries, to rows that come from one side."""
        asked = rows.reshape(-1, self.shared * rows.shape[1], rows.shape[2])
        asked, size = near_one(asked)
        overlaps = [asked @ met.mT for met in here.met]
        fresh = beyond(asked, here.met, overlaps)
        if fresh is not None:
            drawn = self._drawn(fresh, there, length)
            answer = (asked @ fresh.mT) @ drawn
        else:
            answer = asked.new_zeros(*asked.shape[:2], length)
        for overlap, known in zip(overlaps, here.answers, strict=True):
            answer.baddbmm_(overlap, known)
        if fresh is not None:
            here.add(fresh, drawn)
        return (answer if size is None else answer.mul_(size)).reshape(*rows.shape[:2], length)

    def _drawn(self, fresh: Tensor, there: _Side, length: int) -> Tensor:
        """(B, k, length): the answers to orthonormal rows that are beyond all that was met from their side."""
        drawn = normals(self.generators, (self.each, fresh.shape[1], length), fresh)
        for met, known in zip(there.met, there.answers, strict=True):
            drawn.baddbmm_(fresh @ known.mT - drawn @ met.mT, met)
        return drawn


class ConditionalMatrices:
    """The recurrent matrices of one step by name, `rnnmc.engine.few_directions.factored.Matrices` that are
    `ConditionalGaussian`.

    Matrices that meet the same rows first, such as those of all gates that see h, are drawn side by side from then on:
    they share what they have met, and a sum of transposed ones is one draw.
    deviation: name -> standard deviation of the entries. size: n. The others are as in `ConditionalGaussian`.
    """

    def __init__(
        self,
        size: int,
        deviation: Mapping[str, float],
        like: Tensor,
        generators: Sequence[np.random.Generator],
        shared: int = 1,
    ):
        self.size, self.deviation, self.like, self.generators, self.shared = size, deviation, like, generators, shared
        self._group: dict[str, tuple[tuple[str, ...], ConditionalGaussian]] = {}

    @property
    def bytes_a_row(self) -> int:
        """What one more row, met by all matrices that have been met, costs in memory: itself and its answers."""
        groups = {id(matrix): matrix for _, matrix in self._group.values()}.values()
        numbers = sum(matrix.size + len(matrix.deviation) for matrix in groups)
        return numbers * len(self.like) * self.like.element_size()

    def times(self, rows: Tensor, names: Sequence[str]) -> list[Tensor]:
        """(R, k, n) for each name: rows (R, k, n) times its matrix."""
        found: dict[str, Tensor] = {}
        for together, matrix in self._groups(names):
            found |= dict(zip(together, matrix.times(rows).split(self.size, dim=2), strict=True))
        return [found[name] for name in names]

    def times_transposed(self, rows: Sequence[Tensor], names: Sequence[str]) -> Tensor:
        """(R, k, n): the sum of rows (R, k, n), one for each name, times its transposed matrix."""
        given = dict(zip(names, rows, strict=True))
        total = torch.zeros_like(rows[0])
        for together, matrix in self._groups(names):
            nothing = torch.zeros_like(rows[0]) if len(set(together) - set(names)) else rows[0]
            total += matrix.times_transposed(torch.cat([given.get(name, nothing) for name in together], dim=2))
        return total

    def _groups(self, names: Sequence[str]) -> list[tuple[tuple[str, ...], ConditionalGaussian]]:
        """Every group that has one of these names; those in none yet become one."""
        unmet = tuple(name for name in names if name not in self._group)
        if unmet:
            deviation = [self.like.new_full((self.size,), self.deviation[name]) for name in unmet]
            matrix = ConditionalGaussian(self.size, torch.cat(deviation), self.generators, len(self.like), self.shared)
            self._group |= dict.fromkeys(unmet, (unmet, matrix))
        return list({id(self._group[name][1]): self._group[name] for name in names}.values())


def normals(generators: Sequence[np.random.Generator], shape: tuple[int, int, int], like: Tensor) -> Tensor:
    """(generators * shape[0], ...) standard normals of the generators, in the dtype and on the device of `like`."""
    drawn = torch.empty(len(generators), int(np.prod(shape)), dtype=like.dtype)
    for part, rng in zip(drawn, generators, strict=True):
        for piece in part.split(PIECE_NUMBERS):
            piece.copy_(torch.from_numpy(rng.standard_normal(len(piece))))
    return drawn.reshape(-1, *shape[1:]).to(like.device)


def near_one(rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """(rows whose largest entries are near one, or zero; what multiplies them back, None for one).

    rows: (B, k, n). The factors (B, k, 1) are powers of two, so that rows are the same bits whether or not they are
    scaled because of others; NaN for a row that is not finite, which becomes zero.
    """
    if all_safe(torch.linalg.vector_norm(rows, dim=2)):  # a length takes less time than the largest entry
        return rows, None
    size = rows.abs().amax(2, keepdim=True)
    finite = size.isfinite()
    size = torch.where(finite & (size > 0), size, 1.0).clamp(min=torch.finfo(size.dtype).tiny)
    mantissa = 2 * torch.frexp(size).mantissa  # over the size it is a power of two, and so the other way round
    return rows.where(finite, 0.0) * (mantissa / size), (size / mantissa).where(finite, math.nan)


def beyond(rows: Tensor, met: Sequence[Tensor], overlaps: Sequence[Tensor]) -> Tensor | None:
    """(B, k, n) orthonormal rows that, with those in `met`, span `rows`; None where there is nothing new in any.

    rows: (B, k, n), finite, with largest entries near one, or zero. met: blocks of orthonormal or zero rows. overlaps:
    rows times each block transposed. A row that lies in the span of `met` and of the rows before it, up to rounding,
    gives a zero row. Gram-Schmidt by blocks, repeated until nothing is lost any more: one round of it may leave a row
    that is nearly in the span with few digits, or none.
    """
    length = torch.linalg.vector_norm(rows, dim=2, keepdim=True).double()
    inverse = torch.where(length > 0, 1 / length, 0.0)
    left = (length > 0).double()  # the share of each row's length that has not been found in the span
    least = 32 * torch.finfo(rows.dtype).eps
    for turn in range(MORE_ROUNDS + rows.shape[1]):
        for block, overlap in zip(met, overlaps, strict=True):
            rows = rows.baddbmm(overlap if turn == 0 else rows @ block.mT, block, alpha=-1)
        gram = (rows @ rows.mT).double()
        length = gram.diagonal(dim1=1, dim2=2)[:, :, None].sqrt()
        share = length * inverse
        left = left * share
        scale = torch.where(left > least, 1 / length, 0.0)
        change, kept = _elimination(scale * gram * scale.mT)
        rows = (change * scale.mT).to(rows.dtype) @ rows
        settled = (torch.minimum(share, kept) > ENOUGH) | (left <= least)
        left = left * torch.where(kept > ACCEPTED, kept, 1.0)
        if bool(settled.all()):
            break
        inverse = torch.ones_like(length)
    return rows if bool((left > least).any()) else None


def _elimination(gram: Tensor) -> tuple[Tensor, Tensor]:
    """What makes rows of this Gram matrix (B, k, k), ones or zeros on its diagonal, orthonormal one after another.

    Returns (matrix to multiply them with from the left, (B, k, 1) length left of each). A row of which no more is
    left than ACCEPTED is not made unit, and is taken out of none: it needs another round.
    """
    if gram.shape[1] == 1:
        return torch.ones_like(gram), torch.ones_like(gram)
    kept = []
    factor = torch.zeros_like(gram)
    for i in range(gram.shape[1]):
        length = gram[:, i, i].clamp(min=0).sqrt()
        good = length > ACCEPTED
        pivot = torch.where(good, length, 1.0)
        column = gram[:, :, i] * (good / pivot)[:, None]
        gram = gram - column[:, :, None] * column[:, None]
        factor[:, i + 1 :, i] = column[:, i + 1 :]
        factor[:, i, i] = pivot
        kept.append(length)
    unit = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device).expand_as(gram)
    return torch.linalg.solve_triangular(factor, unit, upper=False), torch.stack(kept, dim=1)[:, :, None]
