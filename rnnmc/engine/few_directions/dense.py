"""Dense recurrent matrices, as they multiply a few rows from either side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnmc.numerics.weights import Weights

PACKED_FROM = 1 << 18  # entries of the matrices that meet the same rows: with fewer, to call oneDNN takes longer
ROWS_AT_ONCE = 8  # a hint to oneDNN


class Dense:
    """`Matrices` that lie side by side in `Weights`, in the layout `Rows`: neighbours take one multiply."""

    def __init__(self, weights: Weights):
        self.weights, self.order = weights, list(weights.recurrent)

    def times(self, rows: Tensor, names: Sequence[str]) -> Sequence[Tensor]:
        """See `Matrices`. To the last bit what `Weights.apply` and `Weights.product` give."""
        side_by_side = self._side_by_side(names)
        if side_by_side is None:
            return [self.times(rows, [name])[0] for name in names]
        return _apart(self.weights.product(rows, side_by_side), names)

    def times_transposed(self, rows: Sequence[Tensor], names: Sequence[str]) -> Tensor:
        """See `Matrices`."""
        side_by_side = self._side_by_side(names)
        if side_by_side is None:
            first, *rest = (self.times_transposed([some], [name]) for name, some in zip(names, rows, strict=True))
            return sum(rest, start=first)
        return _together(rows) @ side_by_side.mT  # as fast as from a transposed copy

    def _side_by_side(self, names: Sequence[str]) -> Tensor | None:
        """(R, n, n times the number of names), or None where other matrices lie between them."""
        first = self.order.index(names[0])
        if len(names) == 1:
            return self.weights.recurrent[names[0]]
        if self.order[first : first + len(names)] != list(names) or self.weights.stacked is None:
            return None
        n = self.weights.recurrent[names[0]].shape[2]
        return self.weights.stacked.narrow(2, first * n, len(names) * n)


class Packed(Dense):
    """`Dense` with a copy for each direction, in the order in which oneDNN reads it: up to three times faster.

    Single rows are multiplied as `Dense` does, so that a state is the same to the last bit; what cannot be packed too.
    """

    def __init__(self, weights: Weights):
        super().__init__(weights)
        stacked = weights.stacked
        self._packs: dict[tuple[bool, tuple[str, ...]], list[Tensor]] = {}
        self.can = (
            stacked is not None
            and stacked[0].numel() >= PACKED_FROM
            and stacked.dtype == torch.float32
            and stacked.device.type == "cpu"
            and torch.backends.mkldnn.is_available()
            and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        )

    def times(self, rows: Tensor, names: Sequence[str]) -> Sequence[Tensor]:
        """See `Matrices`."""
        packs = self._packed(names, False) if rows.shape[1] > 1 else None
        return super().times(rows, names) if packs is None else _apart(_linear(rows, packs), names)

    def times_transposed(self, rows: Sequence[Tensor], names: Sequence[str]) -> Tensor:
        """See `Matrices`."""
        packs = self._packed(names, True) if rows[0].shape[1] > 1 else None
        return super().times_transposed(rows, names) if packs is None else _linear(_together(rows), packs)

    def _packed(self, names: Sequence[str], transposed: bool) -> list[Tensor] | None:
        """A packed matrix for each replicate."""
        key = transposed, tuple(names)
        if self.can and key not in self._packs and (side_by_side := self._side_by_side(names)) is not None:
            pack = torch.ops.mkldnn._reorder_linear_weight  # what torch.compile does with weights that stay
            self._packs[key] = [pack(one if transposed else one.mT, ROWS_AT_ONCE) for one in side_by_side]
        return self._packs.get(key)


def _linear(rows: Tensor, packs: Sequence[Tensor]) -> Tensor:
    linear = torch.ops.mkldnn._linear_pointwise.default
    if len(packs) == 1:
        return linear(rows, packs[0], None, "none", [], "")
    return torch.stack([linear(some, pack, None, "none", [], "") for some, pack in zip(rows, packs, strict=True)])


def _together(rows: Sequence[Tensor]) -> Tensor:
    return rows[0] if len(rows) == 1 else torch.cat([*rows], dim=2)


def _apart(rows: Tensor, names: Sequence[str]) -> Sequence[Tensor]:
    return [rows] if len(names) == 1 else rows.split(rows.shape[2] // len(names), dim=2)
