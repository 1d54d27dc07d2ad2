"""Functions of a unit that keep their relative accuracy in saturation, and sums of scaled matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def sech2(a: Tensor) -> Tensor:
    """Derivative of tanh at a. 1 - tanh(a)^2 would be exactly zero from |a| = 19 (float64) or 9 (float32) on."""
    return a.cosh().reciprocal().square()


def logistic(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(s, 1 - s, s (1 - s)) of the logistic function s at a, each to full relative accuracy."""
    s, rest = a.sigmoid(), (-a).sigmoid()
    return s, rest, s * rest


def scaled_sum(matrices: Mapping[str, Tensor], scales: Mapping[str, Tensor], plus: Tensor | None = None) -> Tensor:
    """The sum of the named matrices, the out axis of each scaled by its vector, added to `plus` if given."""
    (name, scale), *rest = scales.items()
    total = matrices[name] * scale if plus is None else plus.addcmul(matrices[name], scale)
    for name, scale in rest:
        total = total.addcmul(matrices[name], scale)
    return total


def softplus(a: Tensor) -> Tensor:
    """log(1 + e^a), to full relative accuracy where it is small, and without overflow."""
    return a.relu() + (-a.abs()).exp().log1p()
