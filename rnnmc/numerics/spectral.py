"""Norms of a batch of matrices without compiled code, the spectral one with a proof where a shortcut is taken.

A long chain is nearly of low rank, and then a few directions know its norm. Let G = M M^T and Q hold k orthonormal
columns from subspace iteration; write A = Q^T G Q, with top eigenvalue a, B the part of G Q outside of Q, and
delta = tr G - tr A the trace of what Q misses. For positive semidefinite G, by its Schur complement,

    a <= ||M||_2^2 <= a + ||B||_F^2 / (a - delta)    whenever a > delta,

so a is the answer up to a known error. Where that error is above tolerance, LAPACK does the whole matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor

DIRECTIONS = 8
PASSES = 3
TOLERANCE = 1e-12  # relative, on the squared norm
SHORTCUT_FROM = 3 * DIRECTIONS  # rows; below this LAPACK costs no more


def plain_norms_of(product: Tensor) -> tuple[Tensor, Tensor]:
    """As `rnnmc.numerics.norms.norms_of`, to rounding, without compiled code."""
    matrices = product.double()
    size = matrices.abs().amax(dim=(1, 2))
    size = torch.where((size > 0) & size.isfinite(), size, 1.0).clamp(min=torch.finfo(size.dtype).tiny)
    scale = torch.frexp(size).mantissa / size  # a power of two: scaling costs no accuracy
    rms = ((matrices * scale[:, None, None]).square().sum(dim=(1, 2)) / matrices.shape[1]).sqrt() / scale  # I gives 1
    spectral = spectral_norm(matrices)
    return spectral, rms.where(~spectral.isnan(), torch.nan)


def spectral_norm(matrix: Tensor) -> Tensor:
    """(R,) largest singular value of each of the (R, d, d) float64 matrices; NaN where one is not finite."""
    rows = matrix.shape[1]
    finite = matrix.isfinite().all(dim=2).all(dim=1)
    if rows <= 2:
        return torch.where(finite, matrix[:, 0, 0].abs() if rows == 1 else _of_two_by_two(matrix), torch.nan)
    size = torch.where(finite, matrix.abs().amax(dim=(1, 2)), 0.0)
    scaled = torch.where(finite[:, None, None], matrix / torch.where(size > 0, size, 1.0)[:, None, None], 0.0)
    todo, norm = finite, torch.zeros_like(size)
    if rows >= SHORTCUT_FROM:
        known, norm = _by_subspace(scaled)
        todo = finite & ~known
    if bool(todo.any()):  # the square loses nothing at the top of the spectrum, and is quicker than singular values
        rest = scaled[todo]
        norm[todo] = torch.linalg.eigvalsh(rest @ rest.mT)[:, -1].clamp(min=0).sqrt()
    return torch.where(finite, norm * size, torch.nan)


def _of_two_by_two(matrix: Tensor) -> Tensor:
    (a, b), (c, d) = matrix[:, 0].unbind(1), matrix[:, 1].unbind(1)
    return (torch.hypot(a + d, b - c) + torch.hypot(a - d, b + c)) / 2


def _by_subspace(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """((R,) whether the error is below tolerance, (R,) norm), each replicate by itself whatever the others need."""
    square = matrix.square()
    total = square.sum(dim=(1, 2))
    heaviest = square.sum(dim=1).topk(DIRECTIONS, dim=1).indices  # columns of the matrix to start from
    basis = torch.gather(matrix, 2, heaviest[:, None].expand(-1, matrix.shape[1], -1))
    known, norm = torch.zeros_like(total, dtype=torch.bool), torch.zeros_like(total)
    hopeful = ~known
    for _ in range(PASSES):
        old = torch.linalg.qr(basis).Q
        image = matrix.mT @ old
        basis = matrix @ image
        inside = image.mT @ image
        top = torch.linalg.eigvalsh(inside)[:, -1]
        margin = top - (total - inside.diagonal(dim1=1, dim2=2).sum(1)).clamp(min=0)
        outside = (basis - old @ inside).square().sum(dim=(1, 2))
        proved = hopeful & (margin > 0) & (outside <= TOLERANCE * top * margin)
        norm = torch.where(proved, top.clamp(min=0).sqrt(), norm)
        known, hopeful = known | proved, hopeful & ~proved & (margin > 0)
        if not bool(hopeful.any()):
            break
    return known, norm
