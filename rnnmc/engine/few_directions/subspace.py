"""What the images of a few directions say of the norms of a matrix that is never formed, and how well they say it.

P is known by P v for orthonormal v ("right") and by P^T u for orthonormal u ("left"), each side's new directions being
the other side's best images: block Golub-Kahan-Lanczos, whose largest singular value rises to ||P||_2 from below.

Error of the spectral norm. Let G = P^T P (or P P^T), x_1 ... x_p Ritz vectors with values theta_1 >= theta_2 ..., and
B = [G x_i - theta_i x_i], all orthogonal to the x. With c the largest eigenvalue of G beyond them, by Schur complement,

    theta_1 <= ||P||_2^2 <= lambda_max( diag(theta) + B^T B / (theta_1 - c) ),  and  <= theta_1 + ||B|| if c <= theta_1.

B is known once the other side has met the images of the x; p is chosen to make the bound least. c is not known, but
from a random start the next Ritz value and its own residual are an estimate. So the bound minus theta_1 estimates what
theta_1 misses, as does what the other side, half a step further, has gained on it. And half a step leaves at most
c / theta_1 of what is missing, c being the largest eigenvalue beyond the directions that were followed: its share of
theta_1 is seen in the images of the random start. SAFETY covers what is estimated.

Frobenius norm: ||P V||_F^2 exactly, and the rest from random probes, projected off V and brought to the length that
they have in the mean (`rnnmc.numerics.frobenius`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rnnmc.engine.few_directions.sweeps import Image
from rnnmc.numerics.frobenius import TINY, nats_missed, square_and_error

WEAK = 0.1  # of the largest singular value: directions below it wait until stronger ones have been followed
MARGIN = 4  # by which an eigenvalue that was not looked for may exceed its estimate
SAFETY = 10  # on the error of the spectral norm: in tests it was up to 4 times its estimate after one round
LOG_TWO = math.log(2)


class _Side:
    """Orthonormal (or zero) rows and their images, (R, m, d) float64 each, and what the images say.

    theta: (R, m) squared singular values of the images, falling. mix: (R, m, m) their vectors, as columns.
    """

    def __init__(self, like: Tensor):
        self.rows = self.images = like[:, :0].double()

    @property
    def count(self) -> int:
        """Of rows."""
        return self.rows.shape[1]

    def add(self, rows: Tensor, images: Tensor) -> None:
        self.rows, self.images = torch.cat([self.rows, rows], dim=1), torch.cat([self.images, images], dim=1)
        value, vector = torch.linalg.eigh(self.images @ self.images.mT)
        self.theta, self.mix = value.flip(1).clamp(min=0), vector.flip(2)

    def best(self, count: int, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
        """theta (R, count), its Ritz vectors and their unit images (R, count, d); zero below what is resolved."""
        theta, mix = self.theta[:, :count], self.mix[:, :, :count].mT
        known = theta > theta[:, :1] * max((32 * epsilon) ** 2, 1e-14)
        theta = torch.where(known, theta, 0.0)
        scale = torch.where(known, theta.clamp(min=TINY).rsqrt(), 0.0)[:, :, None]
        return theta, mix @ self.rows, scale * (mix @ self.images)


class Subspace:
    """What is known of P, of each of R replicates.

    start, probes: random orthonormal and random normal rows (R, k, d), in the dtype of the sweeps, and their images.
    right, left: what is known of P and of its transpose, all divided by 2^exponent, (R,). finite, resolved: (R,) bool,
    whether all images are finite, and as in `Image`.
    """

    def __init__(self, start: tuple[Tensor, Image], probes: tuple[Tensor, Image]):
        self.dtype, self.epsilon = start[0].dtype, torch.finfo(start[0].dtype).eps
        self.block = start[0].shape[1]  # directions taken at a time
        self.exponent = torch.cat([start[1].exponent, probes[1].exponent], dim=1).amax((1, 2))
        self.resolved = start[1].resolved & probes[1].resolved
        self._spectral: tuple[Tensor, Tensor] | None = None  # as long as nothing is added
        images, probed = self._scaled(start[1]), self._scaled(probes[1])
        self.finite = images.isfinite().all(2).all(1) & probed.isfinite().all(2).all(1)
        self.right, self.left = _Side(start[0]), _Side(start[0])
        self.right.add(start[0].double(), self._if_finite(images))
        self._first = torch.linalg.vector_norm(start[1].rows[:, 0], dim=1), start[1].exponent[:, 0, 0]
        self.probes, self.probed = probes[0].double(), self._if_finite(probed)
        self.share = self.right.theta / self.right.theta[:, :1].clamp(min=TINY)  # of each direction beside the top one
        self.followed = self.block  # directions that were strong enough at every time

    @property
    def living(self) -> Tensor:
        """(R,) whether there is a norm that is neither zero nor beyond all numbers."""
        return self.finite & (self.right.theta[:, 0] > 0)

    def log_first(self) -> Tensor:
        """(R,) log ||P v|| of the first random direction v, in nats."""
        length, exponent = self._first
        return length.log() + exponent.double() * LOG_TWO

    def wanted(self, of_left: bool) -> Tensor | None:
        """(R, k, d) rows for the left (or right) side to meet next, in the sweeps' dtype; None where there is none."""
        here, there = (self.left, self.right) if of_left else (self.right, self.left)
        theta = self.right.theta[:, : self.block]
        strong = max(1, int((theta > WEAK**2 * theta[:, :1]).sum(1).max()))  # in any replicate
        self.followed = min(self.followed, strong)
        images = there.best(min(strong, there.count), self.epsilon)[2]
        rows = orthonormal(images, here.rows, max(32 * self.epsilon, 1e-7))
        used = (rows != 0).any(2).any(0)
        return rows[:, used].to(self.dtype) if bool(used.any()) else None

    def take(self, of_left: bool, rows: Tensor, image: Image) -> None:
        """The images of rows that were `wanted`."""
        self.resolved, self._spectral = self.resolved & image.resolved, None
        (self.left if of_left else self.right).add(rows.double(), self._if_finite(self._scaled(image)))

    def _scaled(self, image: Image) -> Tensor:
        shift = (image.exponent - self.exponent[:, None, None]).clamp(-1000, 1000)
        return image.rows * shift.double().exp2()

    def _if_finite(self, images: Tensor) -> Tensor:
        return torch.where(self.finite[:, None, None], images, 0.0)

    def log_spectral(self) -> tuple[Tensor, Tensor]:
        """(R,) log ||P||_2, and (R,) by how much it may be too small: nats, infinite while nothing is known."""
        if self._spectral is None:
            self._spectral = self._log_spectral()
        return self._spectral

    def _log_spectral(self) -> tuple[Tensor, Tensor]:
        theta = self.right.theta[:, 0]
        missing = torch.full_like(theta, math.inf)
        sides = [(self.right, self.left), (self.left, self.right)] if self.left.count else []
        if sides:
            theta = theta.maximum(self.left.theta[:, 0])
        for side, other in sides:
            gained = theta - side.theta[:, 0]
            left = self._missing(side, other).maximum(gained)
            missing = missing.minimum(torch.where(gained > 0, left * self._half_step(side), left))
        error = SAFETY * nats_missed(theta, missing)
        return 0.5 * theta.log() + self.exponent.double() * LOG_TWO, error

    def _missing(self, side: _Side, other: _Side) -> Tensor:
        """(R,) estimate of ||P||_2^2 - theta_1 of a side, from the Ritz vectors whose images the other side has met."""
        count = min(self.block, side.count)
        theta, vectors, images = side.best(count, self.epsilon)
        inside = images @ other.rows.mT
        missed = (images - inside @ other.rows).square().sum(2)
        root = theta.sqrt()[:, :, None]
        residual = root * (inside @ other.images - root * vectors)
        square = residual @ residual.mT + torch.diag_embed(missed * theta * theta[:, :1])
        length = square.diagonal(dim1=1, dim2=2).sqrt()
        after = {p: self._beyond(p, side, other) for p in sorted({1, 2, 4, count - 1, count}) if 1 <= p <= count}
        after = {p: c + length[:, p] if p < count else MARGIN * c for p, c in after.items() if c is not None}
        if not after:
            return torch.full_like(theta[:, 0], math.inf)
        beyond = torch.stack([*after.values()])  # (choices of p, R), as what follows
        first = torch.arange(count, device=theta.device) < torch.tensor([*after], device=theta.device)[:, None]
        some = (first[:, :, None] & first[:, None])[:, None]
        gap = theta[:, 0] - beyond
        wide = gap > 1e-9 * theta[:, 0]
        block = torch.diag_embed(theta) + square / torch.where(wide, gap, 1.0)[:, :, None, None]
        quadratic = torch.linalg.eigvalsh(torch.where(some, block, 0.0))[..., -1]
        norm = torch.linalg.eigvalsh(torch.where(some, square, 0.0))[..., -1].clamp(min=0).sqrt()
        linear = theta[:, 0].maximum(beyond) + norm
        bound = torch.where(wide, quadratic.minimum(linear), linear)
        return (bound.amin(0) - theta[:, 0]).clamp(min=0)

    def _beyond(self, p: int, side: _Side, other: _Side) -> Tensor | None:
        """(R,) the largest known Ritz value after the first p of a side; None where there is no telling."""
        later = [one.theta[:, p] for one in (side, other) if one.count > p]
        if side is self.left and side.count == p == self.followed < self.block:  # the weak ones are in the start alone
            later.append(MARGIN * self.share[:, p] * side.theta[:, 0])
        return torch.stack(later).amax(0) if later else None

    def _half_step(self, side: _Side) -> Tensor:
        """(R,) the share of what a side misses that half a step leaves: at most c / theta_1, with a margin for c."""
        if self.followed < self.block:
            return (MARGIN**2 * self.share[:, self.followed]).clamp(max=1)
        last = side.theta[:, min(self.block, side.count) - 1] / side.theta[:, 0].clamp(min=TINY)
        return (MARGIN * last.maximum(self.share[:, -1])).clamp(max=1)

    def log_frobenius(self) -> tuple[Tensor, Tensor]:
        """(R,) log ||P||_F, and (R,) how far it may be off, in nats."""
        side = self.right
        captured, beyond = side.theta.sum(1), side.rows.shape[2] - (side.rows != 0).any(2).sum(1)
        inside = self.probes @ side.rows.mT
        length = (self.probes - inside @ side.rows).square().sum(2)
        images = (self.probed - inside @ side.images) * (beyond[:, None] / length.clamp(min=TINY)).sqrt()[:, :, None]
        total, error = square_and_error(captured, images @ images.mT)
        return 0.5 * total.log() + self.exponent.double() * LOG_TWO, error


def orthonormal(rows: Tensor, against: Tensor, least: float) -> Tensor:
    """(R, k, d) orthonormal rows that span what `rows` do beyond orthonormal `against`; zero where there is no more.

    rows: unit or zero. least: remainders shorter than that are noise.
    """
    for shortest in (least, 0.5):
        for _ in range(2):
            rows = rows - (rows @ against.mT) @ against
        value, vector = torch.linalg.eigh(rows @ rows.mT)
        scale = torch.where(value > shortest**2, value.clamp(min=TINY).rsqrt(), 0.0)
        rows = (vector * scale[:, None]).mT @ rows
    return rows
