"""The weights of one tile at one step, addressed by gate name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from rnnmc.numerics.layout import Layout


@dataclass(frozen=True)
class Weights:
    """Recurrent matrices and biases of a batch of replicates, in one layout.

    stacked: all recurrent matrices side by side, in x (gates * out); the matrix of gate k is U_k transposed, so that
    a row vector times it is (U_k h) transposed.
    recurrent: gate -> its matrix, a view of `stacked`.
    bias: name -> vector, for the biases that a cell adds itself (`Cell.inner_biases`); the others are in the drive.
    """

    layout: Layout
    stacked: Tensor | None
    recurrent: Mapping[str, Tensor]
    bias: Mapping[str, Tensor]

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
