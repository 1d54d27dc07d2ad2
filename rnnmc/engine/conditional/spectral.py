"""The spectral norm of a product that is only known by what it does to rows, with a bound that rarely fails.

Golub-Kahan-Lanczos (Golub and Kahan 1965) from one random direction v_1, along the chain forwards and backwards:

    P v_i = alpha_i u_i + beta_(i-1) u_(i-1),   P^T u_i = alpha_i v_i + beta_i v_(i+1),

with everything kept orthonormal. ||P^T U|| rises to ||P||_2 from below. One direction at a time finds the norm with the
least that has to be remembered, also where singular values lie close, at horizons far below the width.

How much is missing cannot be told from a residual: Lanczos dwells on a cluster of singular values before it sees a
single larger one, of which v_1 may hold little. But how little is known in law, as v_1 is uniform on the sphere. With
theta_i the eigenvalues of V^T P^T P V, the vector prod (P^T P - theta_i) v_1 has the length prod alpha_i beta_i. An
eigenvalue lambda of P^T P whose eigenvector holds the share w of v_1 adds w prod (lambda - theta_i)^2 to its square, so

    prod (lambda - theta_i) <= prod alpha_i beta_i / sqrt w,   and   P(w < x) < sqrt(2 d x / pi).

With w at its quantile DOUBT this bounds lambda, at every stage at once, in all but a share DOUBT of the replicates (van
Dorsselaer, Hochstenbach and van der Vorst 2000).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rnnmc.engine.conditional.chain import Followed, Logged
from rnnmc.engine.conditional.draws import beyond
from rnnmc.engine.conditional.sweeps import OrthonormalRows

TOLERANCE = 1e-3  # nats: error of the norm at which no further direction is looked for
DOUBT = 1e-2  # share of replicates in which the bound may fail
MOST_FOUND = 64  # directions
HALVINGS = 50  # of the interval in which the bound lies


class Krylov:
    """What Golub-Kahan-Lanczos has found of P at one horizon, of R replicates; all of P over 2^exponent.

    found, images: blocks of orthonormal rows v_i (R, j, d), and P times each. log_norm: (R,) of ||P||_2, from below.
    error: (R,) nats that it may be too small by; inf while nothing is known.
    """

    def __init__(self, chain: Followed, here: Logged):
        self.chain, self.here = chain, here
        self.found, self.images = [chain.found], [here.images]
        self._left: list[Tensor] = []
        self._pulled: list[Tensor] = []
        self._log_product = torch.zeros_like(here.images[:, 0, 0], dtype=torch.float64)
        self.log_norm = torch.full_like(self._log_product, math.nan)
        self.error = torch.full_like(self._log_product, math.inf)

    def search(self) -> Krylov:
        """Sweep back and forth until every replicate's error is below TOLERANCE, or memory is used up.

        Nothing is done where all directions are found from the start.
        """
        cost = self.here.horizon * self.chain.bytes_a_row
        living = self.images[0].abs().amax((1, 2)) > 0
        while self.chain.tests.shape[1] and self.chain.links and self.chain.left >= cost:
            self.chain.left -= cost
            new = self._back()
            unknown = living & (self.error > TOLERANCE)
            if not bool(unknown.any()) or len(self.found) == MOST_FOUND or self.chain.left < cost:
                break
            self.chain.left -= cost
            self._forth(new)
        return self

    def _back(self) -> Tensor:
        """From the newest image to a new direction, (R, 1, d) unit or zero."""
        left, alpha = _orthonormal(self.images[-1], self._left)
        carried = OrthonormalRows(left, self.chain.parts)
        for link in reversed(self.chain.links[: self.here.horizon]):
            carried.through(link.times_transposed)
        pulled = carried.image(self.here.exponent)
        new, beta = _orthonormal(pulled, self.found)
        self._left.append(left)
        self._pulled.append(pulled)
        self._log_product = self._log_product + (alpha * beta).log()
        self._conclude()
        return new

    def _forth(self, new: Tensor) -> None:
        carried = OrthonormalRows(new, self.chain.parts)
        for link in self.chain.links[: self.here.horizon]:
            carried.through(link.times)
        self.found.append(new)
        self.images.append(carried.image(self.here.exponent))

    def _conclude(self) -> None:
        """Norm and error from all that is known; those of a replicate whose error is small already stay."""
        theta, norm = squared(self.images), squared(self._pulled)[:, -1]
        top = theta[:, -1:].clamp(min=torch.finfo(theta.dtype).tiny)
        log_product = self._log_product - theta.shape[1] * top[:, 0].log()
        more = bound(theta / top, log_product, self.found[0].shape[2])
        error = (more.log1p() + (top[:, 0] / norm.clamp(min=torch.finfo(norm.dtype).tiny)).log()) / 2
        open_ = self.error > TOLERANCE
        self.log_norm = torch.where(open_, torch.maximum(norm, theta[:, -1]).log() / 2, self.log_norm)
        self.error = torch.where(open_, error.clamp(min=0), self.error)


def bound(share: Tensor, log_product: Tensor, size: int) -> Tensor:
    """(R,) x, for which the largest eigenvalue of P^T P is at most 1 + x, in units of theta_1.

    share: (R, q) theta_i / theta_1. log_product: (R,) log of prod alpha_i beta_i / theta_1. size: d.
    """
    target = log_product - 0.5 * math.log(math.pi / 2 * DOUBT**2 / size)
    below = torch.full_like(target, -80.0)
    above = (target / share.shape[1]).maximum(below)
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        reached = (middle.exp()[:, None] + (1 - share).clamp(min=0)).log().sum(1) >= target
        below, above = torch.where(reached, below, middle), torch.where(reached, middle, above)
    return above.exp()


def squared(images: list[Tensor]) -> Tensor:
    """(R, q) squared singular values of the q rows of all blocks together, rising."""
    rows = torch.cat(images, dim=1)
    return torch.linalg.eigvalsh(rows.double() @ rows.double().mT).clamp(min=0)


def _orthonormal(row: Tensor, met: list[Tensor]) -> tuple[Tensor, Tensor]:
    """((R, 1, d) unit row beyond those met, zero where nothing is left; (R,) length left, no less than rounding)."""
    length = torch.linalg.vector_norm(row, dim=2)[:, 0].double()
    least = 32 * torch.finfo(row.dtype).eps * length
    scaled = row / torch.where(length > 0, length, 1.0)[:, None, None].to(row.dtype)
    new = beyond(scaled, met, [scaled @ block.mT for block in met])
    if new is None:
        return torch.zeros_like(row), least
    return new, (row.double() * new.double()).sum((1, 2)).abs().maximum(least)
