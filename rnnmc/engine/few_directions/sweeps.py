"""A few rows carried along a trajectory, forwards by its Jacobians or backwards by the transposed ones.

Every row has an exponent of two of its own and is rescaled when it threatens to leave the floating-point range, so that
rows of any horizon, however far apart in size, go through a step in one multiply.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from rnnmc.chain.product import all_safe, is_resolved, rescaled
from rnnmc.engine.few_directions.path import Path

if TYPE_CHECKING:
    from rnnmc.cells.cell import State

FULL = 8  # rows: a multiply of a few less takes longer, unless the matrices are packed


class Image(NamedTuple):
    """What rows have become: rows (R, k, d) float64, divided by 2^exponent, (R, k, 1) int64.

    resolved: (R,) bool, False once a single step has shrunk a row so far that its dtype lost digits.
    """

    rows: Tensor
    exponent: Tensor
    resolved: Tensor


class ScaledRows:
    """Rows on their way; those that joined last leave first, and the rest is filled up for the multiply."""

    def __init__(self, path: Path):
        self.parts_of_state, self.dtype, self.can_die = len(path.start), path.start[0].dtype, path.cell.can_die
        self.count, self.full = 0, 1 if path.linearised.packed else FULL
        self.parts: State = ()

    def join(self, rows: Tensor) -> None:
        """Add rows (R, k, d), as they are at this step."""
        parts = rows.to(self.dtype).split(rows.shape[2] // self.parts_of_state, dim=2)
        exponent = torch.zeros(*rows.shape[:2], 1, dtype=torch.int64, device=rows.device)
        resolved, empty = torch.ones_like(exponent, dtype=torch.bool), (rows == 0).all(2, keepdim=True)
        if self.count:
            self._cut(self.count)
            parts = tuple(torch.cat(pair, dim=1) for pair in zip(self.parts, parts, strict=True))
            exponent = torch.cat([self.exponent, exponent], dim=1)
            resolved = torch.cat([self.resolved, resolved], dim=1)
            empty = torch.cat([self.empty, empty], dim=1)
        self.count = exponent.shape[1]
        self.parts, self.exponent, self.resolved, self.empty = parts, exponent, resolved, empty
        self._fill()

    def leave(self, count: int) -> Image:
        """Take the last `count` rows out."""
        image = self.image(self.count - count, self.count)
        self._cut(self.count - count)
        self.count -= count
        if self.count:
            self._fill()
        return image

    def image(self, first: int, last: int) -> Image:
        """The rows from `first` to before `last` as they are now."""
        rows = torch.cat([part[:, first:last].double() for part in self.parts], dim=2)
        return Image(rows, self.exponent[:, first:last], self.resolved[:, first:last].flatten(1).all(dim=1))

    def nothing_left(self) -> Tensor:
        """(R, 1, 1) whether every row is zero."""
        zero = torch.stack([(part[:, : self.count] == 0).all(2).all(1) for part in self.parts])
        return zero.all(0)[:, None, None]

    def through(self, step: Callable[[State], State]) -> None:
        """Carry every row through one more step."""
        self.parts = step(self.parts)
        if self.parts[0].device.type != "cpu" or not all_safe(self._lengths()):
            size = self.parts[0].abs().amax(2, keepdim=True)
            for part in self.parts[1:]:
                size = torch.maximum(size, part.abs().amax(2, keepdim=True))
            self.resolved = self.resolved & is_resolved(size, self.empty | self.can_die)
            self.parts, self.exponent = rescaled(self.parts, size, self.exponent)

    def _lengths(self) -> Tensor:
        """(R, k) of the rows, each of the part that is longest; cheaper than the largest entry."""
        length = torch.linalg.vector_norm(self.parts[0], dim=2)
        for part in self.parts[1:]:
            length = torch.maximum(length, torch.linalg.vector_norm(part, dim=2))
        return length

    def _cut(self, count: int) -> None:
        self.parts = tuple(part[:, :count] for part in self.parts)
        self.exponent, self.resolved = self.exponent[:, :count], self.resolved[:, :count]
        self.empty = self.empty[:, :count]

    def _fill(self) -> None:
        """Repeat the first row until the rows are a full multiply."""
        missing = -self.count % self.full
        if missing:
            self.parts = tuple(_repeated(part, missing) for part in self.parts)
            self.exponent, self.resolved = _repeated(self.exponent, missing), _repeated(self.resolved, missing)
            self.empty = _repeated(self.empty, missing)


def _repeated(rows: Tensor, times: int) -> Tensor:
    return torch.cat([rows, rows[:, :1].expand(-1, times, -1)], dim=1)


def forward(path: Path, horizons: Sequence[int], rows: Sequence[Tensor]) -> list[Image]:
    """P of each horizon times the (R, k, d) rows that belong to it. horizons: falling."""
    carried = ScaledRows(path)
    for some in rows:
        carried.join(some)
    images, left = [], list(zip(horizons, rows, strict=True))
    for step in path.forward(horizons[0]):
        carried.through(step.factors.times)
        if step.number == left[-1][0]:
            images.append(carried.leave(left.pop()[1].shape[1]))
    return images[::-1]


def backward(path: Path, horizons: Sequence[int], rows: Sequence[Tensor]) -> list[Image]:
    """The transposed P of each horizon times the (R, k, d) rows that belong to it. horizons: falling."""
    carried = ScaledRows(path)
    waiting = list(zip(horizons, rows, strict=True))[::-1]
    for step in path.backward(horizons[0]):
        while waiting and waiting[-1][0] == step.number:
            carried.join(waiting.pop()[1])
        carried.through(step.factors.times_transposed)
    return [carried.leave(some.shape[1]) for some in rows[::-1]][::-1]
