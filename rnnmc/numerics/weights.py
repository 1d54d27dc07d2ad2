"""The weights of one tile at one step, addressed by name, and what a cell does over its units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from rnnmc.numerics.constants import numbers_of
from rnnmc.numerics.layout import Layout


class OverUnits:
    """What goes over the units of each replicate, in either layout; x is a vector, or directions, row by row.

    A sum keeps the axis of units, of length one, so that it broadcasts against x.
    """

    layout: Layout
    bias: Mapping[str, Tensor]

    @property
    def vectors(self) -> Mapping[str, Tensor]:
        """name -> vector, for the vector weights of the cell (`Cell.vectors`)."""
        return self.bias

    def sum(self, x: Tensor) -> Tensor:
        """The sum of x over units."""
        return x.sum(self.layout.out_axis, keepdim=True)

    def mean(self, x: Tensor) -> Tensor:
        """The mean of x over units."""
        return x.mean(self.layout.out_axis, keepdim=True)

    def variance(self, x: Tensor) -> Tensor:
        """The mean squared distance of x from its mean over units."""
        return x.var(self.layout.out_axis, keepdim=True, correction=0)

    def norm(self, x: Tensor) -> Tensor:
        """The Euclidean norm of x over units; its derivative at zero counts as zero."""
        return torch.linalg.vector_norm(x, dim=self.layout.out_axis, keepdim=True)

    def constant(self, values: Sequence[float] | Callable[[int], Sequence[float]], like: Tensor) -> Tensor:
        """A vector with a given value for each unit, of the dtype of `like`.

        values: n numbers, or a function that makes them from n. Raises ValueError for another number of them.
        """
        return self.layout.constant(numbers_of(values, like.shape[self.layout.out_axis]), like)

    def transpose(self, matrix: Tensor) -> Tensor:
        """The transposed matrix, of a recurrent one or of what was made of some."""
        return matrix.transpose(self.layout.direction_axis, self.layout.out_axis)


@dataclass(frozen=True)
class Weights(OverUnits):
    """Recurrent matrices and biases of a batch of replicates, in one layout.

    stacked: all recurrent matrices side by side, in x (gates * out); the matrix of gate k is U_k transposed, so that
    a row vector times it is (U_k h) transposed.
    recurrent: gate -> its matrix, a view of `stacked`.
    bias: name -> vector, for the biases that a cell adds itself (`Cell.inner_biases`), as the others are in the drive,
    and for its vector weights (`Cell.vectors`).
    inputs, offset: what has made the drive W x + b of every gate, side by side: the matrix W (m x gates n), None
    without input weights, and the vector b. No cell reads them.
    """

    layout: Layout
    stacked: Tensor | None
    recurrent: Mapping[str, Tensor]
    bias: Mapping[str, Tensor]
    inputs: Tensor | None = None
    offset: Tensor | None = None

    def product(self, rows: Tensor, matrix: Tensor, plus: Tensor | None = None) -> Tensor:
        """rows (k x in) times matrix (in x out) for each replicate, added to `plus` if given."""
        return self.layout.product(rows, matrix, plus)

    def apply(self, h: Tensor, *gates: str) -> dict[str, Tensor]:
        """U_k h for each named gate, as one product. The gates must be neighbours in the cell's own order."""
        names = list(self.recurrent)
        first, width = names.index(gates[0]), self.recurrent[gates[0]].shape[self.layout.out_axis]
        if tuple(names[first : first + len(gates)]) != gates or self.stacked is None:
            raise ValueError(f"gates {gates} are not neighbours in {names}")
        block = self.stacked.narrow(self.layout.out_axis, first * width, len(gates) * width)
        return dict(zip(gates, self.product(h, block).split(width, self.layout.out_axis), strict=True))

    @cached_property
    def identity(self) -> Tensor:
        """The identity, shaped to broadcast against a recurrent matrix."""
        matrix = next(iter(self.recurrent.values()))
        return self.layout.identity(matrix.shape[self.layout.out_axis], matrix)
