"""What a cell's `linearise` does to matrices and its push to directions, remembered instead of done.

Directions are rows, so a matrix is known by what it does to rows from the left, and a record of that is all that is
kept of it. Only what is linear, and in which vectors scale the out axis, has a record; all else raises `NotRecorded`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor


class NotRecorded(TypeError):
    """A matrix or directions met an operation that has no record."""


class Operation(NamedTuple):
    """One operation on directions; `of` and `other` are the numbers of earlier ones, `vector` that of a vector.

    kind: "part" (the directions given), "times" (the matrix `name`), "scale" (by the vector), "add" (other),
    "subtract" (other), or "add scaled" (of, to other, by the vector).
    """

    kind: str
    of: int
    other: int = -1
    vector: int = -1
    name: str = ""


@dataclass
class Record:
    """Operations in their order, and the vectors that they scale by, in the dtype of `like`."""

    like: Tensor
    operations: list[Operation] = field(default_factory=list)
    vectors: list[Tensor] = field(default_factory=list)
    met: dict[tuple[int, str], int] = field(default_factory=dict)  # (operation, matrix) -> operation

    def add(self, kind: str, of: int, other: int = -1, vector: int = -1, name: str = "") -> int:
        """The number of one more operation."""
        self.operations.append(Operation(kind, of, other, vector, name))
        return len(self.operations) - 1

    def times(self, of: int, name: str) -> int:
        """The number of the directions of number `of` times a matrix, asked of it once only."""
        if (of, name) not in self.met:
            self.met[of, name] = self.add("times", of, name=name)
        return self.met[of, name]

    def vector(self, value: Any) -> int:
        """The number of a vector, kept with no more memory behind it than it needs."""
        if isinstance(value, int | float):
            value = torch.full((1, 1, 1), float(value), dtype=self.like.dtype, device=self.like.device)
        if not isinstance(value, Tensor) or (value.ndim and (value.ndim != 3 or value.shape[1] != 1)):
            raise NotRecorded("only a vector scales")
        value = value.to(self.like.dtype)
        self.vectors.append(value.clone() if value.untyped_storage().nbytes() > value.nbytes else value)
        return len(self.vectors) - 1


class _Recorded:
    """What comes first in a product with a tensor, whichever of the two stands first."""

    __slots__ = ()

    def __rmul__(self, vector: Any) -> Any:
        return self * vector  # pyright: ignore[reportOperatorIssue]

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.Tensor.mul, torch.mul) and not kwargs and isinstance(args[1], _Recorded):
            return args[0] * args[1] if isinstance(args[0], _Recorded) else args[1] * args[0]  # pyright: ignore
        raise NotRecorded(getattr(function, "__name__", str(function)))


class Directions(_Recorded):
    """Directions after the recorded operations up to `number`."""

    __slots__ = ("number", "record")

    def __init__(self, record: Record, number: int):
        self.record, self.number = record, number

    def times(self, name: str) -> Directions:
        """These directions times a recurrent matrix."""
        return Directions(self.record, self.record.times(self.number, name))

    def __mul__(self, vector: Any) -> Directions:
        return Directions(self.record, self.record.add("scale", self.number, vector=self.record.vector(vector)))

    def __add__(self, other: Any) -> Directions:
        return Directions(self.record, self.record.add("add", self.number, number_of(other)))

    def __sub__(self, other: Any) -> Directions:
        return Directions(self.record, self.record.add("subtract", self.number, number_of(other)))

    def add_scaled(self, other: Directions, vector: Any) -> Directions:
        """These directions plus others that a vector scales."""
        number = self.record.add("add scaled", other.number, self.number, self.record.vector(vector))
        return Directions(self.record, number)


def number_of(directions: Any) -> int:
    """The number of recorded directions. Raises NotRecorded for anything else."""
    if not isinstance(directions, Directions):
        raise NotRecorded("directions go with directions only")
    return directions.number


class Expression(_Recorded):
    """A matrix that was never formed."""

    def after(self, rows: Directions) -> Directions:
        """These rows times the matrix."""
        raise NotImplementedError

    def __mul__(self, vector: Any) -> Expression:
        return _Scaled(self, vector)

    def __add__(self, other: Any) -> Expression:
        return _Sum(self, _expression(other))

    def addcmul(self, matrix: Any, vector: Any) -> Expression:
        """This matrix plus another one with its out axis scaled."""
        return _SumScaled(self, _expression(matrix), vector)


def _expression(matrix: Any) -> Expression:
    if not isinstance(matrix, Expression):
        raise NotRecorded("a matrix goes with matrices only")
    return matrix


@dataclass(frozen=True)
class Recurrent(Expression):
    """The recurrent matrix of this name."""

    name: str

    def after(self, rows: Directions) -> Directions:
        """These rows times the matrix."""
        return rows.times(self.name)


class IdentityMatrix(Expression):
    """The identity."""

    def after(self, rows: Directions) -> Directions:
        """These rows."""
        return rows


@dataclass(frozen=True)
class Product(Expression):
    """The product of two matrices, in the order that rows from the left meet them."""

    first: Expression
    second: Expression

    def after(self, rows: Directions) -> Directions:
        """These rows times one, then the other."""
        return self.second.after(self.first.after(rows))


@dataclass(frozen=True)
class _Scaled(Expression):
    matrix: Expression
    vector: Any

    def after(self, rows: Directions) -> Directions:
        return self.matrix.after(rows) * self.vector


@dataclass(frozen=True)
class _Sum(Expression):
    first: Expression
    second: Expression

    def after(self, rows: Directions) -> Directions:
        return self.first.after(rows) + self.second.after(rows)


@dataclass(frozen=True)
class _SumScaled(Expression):
    plus: Expression
    matrix: Expression
    vector: Any

    def after(self, rows: Directions) -> Directions:
        return self.plus.after(rows).add_scaled(self.matrix.after(rows), self.vector)
