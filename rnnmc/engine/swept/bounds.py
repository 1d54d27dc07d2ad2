"""What the images of a few directions say of the norms of a matrix P that is never formed, with errors that are proved.

X: k orthonormal rows, A = P X their images, G: m standard normal rows that X does not depend on, Y = P G. All of P that
X misses is C = P (1 - X^T X), and R = Y - A X G is what C makes of the normal rows. So the sum of |R_i|^2 is at least
||C||^2 times a chi-square of m degrees, and that of (R_i . a)^2, for any a that G has no part in, ||C^T a||^2 times one
(exactly). Divided by a low quantile these are upper bounds, wrong in as many cases as the quantile says.

With Ritz values theta_1 >= ... >= theta_k of A (squared singular values) and a_i their images, for each p <= k,

    theta_1 <= ||P||^2 <= theta_1 + sum_{i <= p} ||C^T a_i||^2 / (theta_1 - theta_{p+1} - ||C||^2)

where the denominator is positive (a Schur complement of P^T P; theta_{k+1} = 0), and ||P||^2 <= theta_1 + ||C||^2
always. Where singular values are close, the bound on ||C|| is far too large, as it adds them all up; in the denominator
a few times theta_k then takes its place, or of a norm of C that weighs larger singular values more, if that is more:
estimates, as X is iterated from a random start, so that what is beyond it is smaller than what is last in it.

The Frobenius norm is that of A and, without bias, the mean of the |R_i|^2, brought to the lengths that the rows have
beyond X in the mean (Hutch++, Meyer et al. 2021).
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from rnnmc.numerics.frobenius import TINY, nats_missed

UNSEEN = 3e-5  # probability that the random rows understate ||C^T a_i|| so far
UNSEEN_BEYOND = 1e-3  # the same of ||C||, which only matters where it comes near theta_1: X has missed a direction then
DEVIATE = -3.09  # of a normal number, below which it falls with that probability
MARGIN = 4  # by which ||C||^2 may exceed theta_k, the last that a random start and its iteration have found


class Told(NamedTuple):
    """Of B matrices: log ||P||_2 and log ||P||_F, (B,) nats, and how far they may be off. The first is never above.

    The second is off by more in fewer than one of a thousand.
    """

    spectral: Tensor
    spectral_error: Tensor
    frobenius: Tensor
    frobenius_error: Tensor


def told_by_right(rows: Tensor, images: Tensor, normal: Tensor, normal_images: Tensor) -> Told:
    """What is told by the images of orthonormal rows X (B, k, d) and of normal rows G (B, m, d); all in float64."""
    theta, mix = _ritz(images)
    inside, d = normal @ rows.mT, rows.shape[2]
    missed = normal_images - inside @ images
    coupled = (missed @ images.mT @ mix).square().sum(1) / _low(normal.shape[1], UNSEEN)
    beyond = missed.square().sum((1, 2)) / _low(normal.shape[1], UNSEEN_BEYOND)
    following = torch.cat([theta[:, 1:], torch.zeros_like(theta[:, :1])], dim=1)
    largest = beyond.minimum((MARGIN * theta[:, -1]).maximum(_largest(missed @ missed.mT)))
    gap = theta[:, :1] - following - largest[:, None]
    quadratic = torch.where(gap > 1e-9 * theta[:, :1], coupled.cumsum(1) / gap.clamp(min=TINY), math.inf)
    more = quadratic.amin(1).minimum(beyond)
    lengths = lengths_of(normal.square().sum(2), inside, d - rows.shape[1])
    return _told(theta[:, 0], theta.sum(1), more, missed, lengths)


def told_by_left(rows: Tensor, images: Tensor, normal_images: Tensor) -> Told:
    """The same by P^T U, the images of orthonormal rows U by the transpose; U does not know the normal rows either."""
    theta, _ = _ritz(images)
    missed = normal_images - (normal_images @ rows.mT) @ rows
    beyond = missed.square().sum((1, 2)) / _low(normal_images.shape[1], UNSEEN_BEYOND)
    return _told(theta[:, 0], theta.sum(1), beyond, missed, torch.ones_like(missed[:, :, 0]))


def told_by_rest(top: Tensor, squares: Tensor, missed: Tensor, lengths: Tensor) -> Told:
    """The same by the largest Ritz value of A and the sum of all, (B,): the whole norm of what is missed is the error.

    missed: (B, m, d), R itself, zero where nothing is. lengths: (B, m), see `lengths_of`.
    """
    beyond = missed.square().sum((1, 2)) / _low(missed.shape[1], UNSEEN)
    return _told(top, squares, beyond, missed, lengths)


def _largest(gram: Tensor) -> Tensor:
    """(B,) estimate of the root of tr (C C^T)^2, which is at least ||C||^2; from the Gram matrix of the R_i."""
    count, squares = gram.shape[1], gram.diagonal(dim1=1, dim2=2).square().sum(1)
    return ((gram.square().sum((1, 2)) - squares).clamp(min=0) / (count * (count - 1))).sqrt()


def _ritz(images: Tensor) -> tuple[Tensor, Tensor]:
    """(B, k) squared singular values, falling, and the (B, k, k) vectors, as columns."""
    value, vector = torch.linalg.eigh(images @ images.mT)
    return value.flip(1).clamp(min=0), vector.flip(2)


def lengths_of(squares: Tensor, inside: Tensor, beyond: Tensor | int) -> Tensor:
    """(B, m) by which rows are brought to the squared length that they have beyond X in the mean.

    squares: (B, m) their own. inside: (B, m, k) what they have along X. beyond: how many directions are not in X.
    """
    return beyond / (squares - inside.square().sum(2)).clamp(min=TINY)


def _told(top: Tensor, known: Tensor, more: Tensor, missed: Tensor, lengths: Tensor) -> Told:
    error = nats_missed(top, more)
    rest = missed * lengths.sqrt()[:, :, None]
    gram = rest @ rest.mT
    left = gram.diagonal(dim1=1, dim2=2).mean(1)
    total = (known + left).clamp(min=TINY)
    return Told(0.5 * top.log(), error, 0.5 * total.log(), 0.5 * (left * _short(gram) / total).log1p())


def _short(gram: Tensor) -> Tensor:
    """(B,) by how many times itself the mean of m squared lengths, of which this is the Gram matrix, may fall short.

    It has a chi-square's m degrees where all lie along one line, more where many directions share them: as many times
    more as the root of the mean squared cosine between two of them is below one, cautiously: lengths that differ share
    less. By the cubic approximation of Wilson and Hilferty,
    which makes more of it than there is at few degrees.
    """
    count, squares = gram.shape[1], gram.diagonal(dim1=1, dim2=2)
    cosines = gram.square() / (squares[:, :, None] * squares[:, None]).clamp(min=TINY)
    others = cosines.sum((1, 2)) - cosines.diagonal(dim1=1, dim2=2).sum(1)
    degrees = count / (others / (count * (count - 1))).clamp(min=1e-3, max=1).sqrt()
    scale = 2 / (9 * degrees)
    low = (1 - scale + DEVIATE * scale.sqrt()).clamp(min=0.01) ** 3
    return (1 / low).clamp(max=count / _low(count, UNSEEN_BEYOND)) - 1


@cache
def _low(degrees: int, probability: float) -> float:
    """Below which a chi-square of an even number of degrees falls with this probability."""
    low, high = 0.0, float(degrees)
    for _ in range(200):
        x = (low + high) / 2
        terms = [math.exp(i * math.log(x / 2) - math.lgamma(i + 1) - x / 2) for i in range(degrees // 2, 300)]
        low, high = (x, high) if sum(terms) < probability else (low, x)
    return low


def orthonormal_rows(rows: Tensor) -> Tensor:
    """(B, k, d) orthonormal rows that span at least what `rows` do, of any sizes; float64."""
    length = torch.linalg.vector_norm(rows, dim=2, keepdim=True)
    return torch.linalg.qr((rows / length.clamp(min=TINY)).mT).Q.mT
