"""Rows carried along a chain of Jacobians in the log domain, forwards or backwards."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rnnmc.chain.product import all_safe, is_resolved, rescaled

Map = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]  # directions (R, k, n) of each part to others


class OrthonormalRows:
    """What k rows have become after some maps, in each replicate: 2^exponent factor @ rows.

    rows: (R, k, d) orthonormal, in the chain's dtype. factor: (R, k, k) float64, its largest entry near one, or zero.
    exponent: (R, 1, 1) int64. size: (R, 1, 1) largest entry that the last map left, or the length of it all where that
    is far from the limits of the dtype.
    """

    def __init__(self, rows: Tensor, parts: int = 1):
        self.rows, self.parts = rows, parts
        self.factor = torch.eye(rows.shape[1], dtype=torch.float64, device=rows.device).expand(len(rows), -1, -1)
        self.exponent = torch.zeros_like(self.factor[:, :1, :1], dtype=torch.int64)
        self.size = torch.ones_like(rows[:, :1, :1])

    def through(self, push: Map) -> None:
        """Carry the rows through one more map, and make them orthonormal again. What is not finite becomes zero."""
        pushed = push(self.rows.split(self.rows.shape[2] // self.parts, dim=2))
        pushed = pushed[0] if self.parts == 1 else torch.cat(pushed, dim=2)
        self.size = torch.linalg.vector_norm(pushed.flatten(1), dim=1)[:, None, None]
        if all_safe(self.size):
            shift = torch.zeros_like(self.exponent)
        else:
            self.size = pushed.abs().amax((1, 2), keepdim=True)
            (pushed,), shift = rescaled((pushed,), self.size, torch.zeros_like(self.exponent))
            pushed = pushed.where(self.size.isfinite(), 0.0)
        self.rows, lower = factorised(pushed)
        factor = self.factor @ lower
        (self.factor,), self.exponent = rescaled((factor,), factor.abs().amax((1, 2), keepdim=True), self.exponent)
        self.exponent = self.exponent + shift

    def image(self, exponent: Tensor) -> Tensor:
        """(R, k, d) what the rows have become, divided by 2^exponent, in the chain's dtype."""
        scale = (self.exponent - exponent).clamp(-1000, 1000).double().exp2()
        return (self.factor * scale).to(self.rows.dtype) @ self.rows

    def resolved(self, can_die: bool) -> Tensor:
        """(R, 1, 1) whether the last map left enough for all digits to be there, or exactly nothing if it may."""
        return is_resolved(self.size, can_die)


def factorised(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(Q, L) of rows = L Q: Q (R, k, d) orthonormal rows, L (R, k, k) float64, lower triangular, of whatever rank.

    rows: largest entries near one, or zero. By Cholesky where they are far from dependent, which is cheaper; Q is then
    orthonormal to rounding times a hundred, and rows = L Q to rounding all the same.
    """
    if rows.shape[1] == 1:
        length = torch.linalg.vector_norm(rows, dim=2, keepdim=True)
        return rows / torch.where(length > 0, length, 1.0), length.double()
    lower, info = torch.linalg.cholesky_ex((rows @ rows.mT).double())
    diagonal = lower.diagonal(dim1=1, dim2=2)
    if bool(((info == 0) & (diagonal.amin(1) > 0.1 * diagonal.amax(1))).all()):
        unit = torch.eye(rows.shape[1], dtype=lower.dtype, device=lower.device).expand_as(lower)
        return torch.linalg.solve_triangular(lower, unit, upper=False).to(rows.dtype) @ rows, lower
    q, r = torch.linalg.qr(rows.mT)
    return q.mT, r.mT.double()
