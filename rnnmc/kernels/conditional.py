"""Gaussian matrices that are never formed: what such a matrix answers, drawn given all that it has answered before.

Let N have independent standard normal entries. Whatever has been asked of it is known on the span of the rows that it
has met from the left, x N, and of those that it has met from the right, y N^T. Given that, what is left of N beyond
both spans is as it always was: for a unit row q beyond the rows met,

    q N = its known part on the span met on the other side + z beyond that span,   z ~ N(0, I),

exactly. So an answer costs as many normals as it is long, times the rows that are new, instead of n^2, and all
answers together have the joint law of those of one real matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

ACCEPTED = 1e-8  # squared length that elimination may leave of a unit row and still give its direction to many digits
ENOUGH = 0.5  # of its length left: a row then is orthogonal to rounding ("twice is enough", Kahan and Parlett)
MOST_ROUNDS = 8  # each gains at least four digits
PIECE_NUMBERS = 1 << 16  # drawn at a time: float64 that is in the cache when it becomes float32


class _Side:
    """What a matrix has met from one side: blocks of orthonormal rows (or zero rows), and what it answered to each."""

    def __init__(self) -> None:
        self.met: list[Tensor] = []
        self.answers: list[Tensor] = []


class ConditionalGaussian:
    """A batch of B independent matrices with independent entries N(0, deviation^2), B = R / shared.

    size: rows of each matrix. deviation: (columns,) standard deviation of the entries of each column.
    generators: one for each of the parts of equal size that the batch is drawn in, which read on at every answer; so
    equal questions in an equal order get equal answers.
    shared: neighbouring replicates that have one matrix in common.

    Answers have the dtype and device of `deviation`; normals are drawn in float64 on the CPU, whatever these are. A row
    that lies within rounding of the span of earlier ones counts as in it.
    """

    def __init__(
        self, size: int, deviation: Tensor, generators: Sequence[np.random.Generator], replicates: int, shared: int = 1
    ):
        self.size, self.deviation, self.generators, self.shared = size, deviation, generators, shared
        self.each = replicates // shared // len(generators)
        self.rows, self.columns = _Side(), _Side()

    def times(self, rows: Tensor) -> Tensor:
        """rows (R, k, size) times the matrix: (R, k, columns)."""
        return self._answer(rows, self.rows, self.columns, len(self.deviation)) * self.deviation

    def times_transposed(self, rows: Tensor) -> Tensor:
        """rows (R, k, columns) times the transposed matrix: (R, k, size)."""
        return self._answer(rows * self.deviation, self.columns, self.rows, self.size)

    def _answer(self, rows: Tensor, here: _Side, there: _Side, length: int) -> Tensor:
        """To rows that come from one side, in standard normal entries."""
        asked = rows.reshape(-1, self.shared * rows.shape[1], rows.shape[2])
        fresh = beyond(asked, here.met)
        if fresh is not None:
            here.met.append(fresh)
            here.answers.append(self._drawn(fresh, there, length))
        answer = asked.new_zeros(*asked.shape[:2], length)
        for met, known in zip(here.met, here.answers, strict=True):
            answer = answer.baddbmm_(asked @ met.mT, known)
        return answer.reshape(*rows.shape[:2], length)

    def _drawn(self, fresh: Tensor, there: _Side, length: int) -> Tensor:
        """(B, k, length): the answers to orthonormal rows that are beyond all that was met from their side."""
        drawn = normals(self.generators, (self.each, fresh.shape[1], length), fresh)
        for met, known in zip(there.met, there.answers, strict=True):
            drawn.baddbmm_(fresh @ known.mT - drawn @ met.mT, met)
        return drawn


def normals(generators: Sequence[np.random.Generator], shape: tuple[int, int, int], like: Tensor) -> Tensor:
    """(generators * shape[0], ...) standard normals, drawn in float64, in the dtype and on the device of `like`."""
    drawn = torch.empty(len(generators), int(np.prod(shape)), dtype=like.dtype)
    for part, rng in zip(drawn, generators, strict=True):
        for piece in part.split(PIECE_NUMBERS):
            piece.copy_(torch.from_numpy(rng.standard_normal(len(piece))))
    return drawn.reshape(-1, *shape[1:]).to(like.device)


def beyond(rows: Tensor, met: Sequence[Tensor]) -> Tensor | None:
    """(B, k, n) orthonormal rows that, with those in `met`, span `rows`; None where there is nothing new in any.

    rows: (B, k, n), finite. met: blocks of orthonormal or zero rows. A row that lies in the span of those before it, up
    to rounding, gives a zero row. Gram-Schmidt by blocks, repeated until nothing is lost any more: one round of it may
    leave a row that is nearly in the span with few digits, or none.
    """
    length = rows.norm(dim=2, keepdim=True)
    rows = _of_length_one(rows, length)
    left = (length > 0).to(rows.dtype)  # how much of each row has not been found in the span
    least = 32 * torch.finfo(rows.dtype).eps
    for _ in range(MOST_ROUNDS):
        if met:
            for block in met:
                rows = rows.baddbmm(rows @ block.mT, block, alpha=-1)
            length = rows.norm(dim=2, keepdim=True)
            left = left * length
            rows = _of_length_one(rows, length.where(left > least, 0.0))
        else:
            length = left
        rows, kept = _eliminated(rows)
        left = left * kept
        alive = left > least
        rows = rows.where(alive, 0.0)
        lost = (length < ENOUGH) | (kept < ENOUGH)
        if not bool((alive & lost).any()):
            break
    return rows if bool(alive.any()) else None


def _of_length_one(rows: Tensor, length: Tensor) -> Tensor:
    return torch.where(length > 0, rows / torch.where(length > 0, length, 1.0), 0.0)


def _eliminated(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(rows less their part along the rows before them, (B, k, 1) length left); those of enough length made unit.

    A row of too little length for its direction to be known is left short, and taken out of none: for another round.
    """
    gram = (rows.double() @ rows.double().mT) if rows.shape[1] > 1 else rows.double().square().sum(2, keepdim=True)
    factor, kept = torch.zeros_like(gram), torch.ones_like(gram[:, :, :1])
    for i in range(rows.shape[1]):
        square = gram[:, i, i].clone()
        good = square > ACCEPTED
        kept[:, i, 0] = torch.where(good, square, 1.0).sqrt()
        factor[:, :, i] = (gram[:, :, i] / kept[:, i]) * good[:, None]
        gram = gram - factor[:, :, i, None] * factor[:, None, :, i]
        factor[:, :i, i] = 0.0
        factor[:, i, i] = kept[:, i, 0]
    unit = torch.eye(rows.shape[1], dtype=gram.dtype, device=gram.device).expand_as(gram)
    inverse = torch.linalg.solve_triangular(factor, unit, upper=False)
    return inverse.to(rows.dtype) @ rows, kept.to(rows.dtype)
