"""The Frobenius norm of a matrix M that is known by what it does to a few rows (Hutch++, Meyer et al. 2021).

||M V||_F^2 is known exactly for orthonormal V. The rest, ||M (I - V V^T)||_F^2, is told without bias by the images of
random rows that V does not depend on, and how far it may be off by how much these images overlap.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

DEVIATIONS = 4  # standard errors of the estimate that are told
TINY = 1e-300  # of a square: what is divided by is no less


def nats_missed(known: Tensor, missing: Tensor) -> Tensor:
    """(R,) nats by which the log of the root of `known` may be too small, if so much is missing of that square.

    Infinite where nothing is known beside something that is missed, as where it has shrunk out of sight.
    """
    nothing = torch.where(missing > 0, math.inf, 0.0)
    return 0.5 * torch.where(known > 0, missing / known.clamp(min=TINY), nothing).log1p()


def square_and_error(known: Tensor, gram: Tensor) -> tuple[Tensor, Tensor]:
    """((R,) estimate of ||M||_F^2, (R,) nats that log ||M||_F may be off: DEVIATIONS standard errors).

    known: (R,) ||M V||_F^2. gram: (R, m, m) float64 inner products of the images M (I - V V^T) q of m random rows q,
    each brought to the length that the square has in the mean. Source: the variance of Hutchinson's estimate is
    2 tr(B^2) / m for B = Q^T Q, Q being what is left; tr(B^2) is the mean square of the products of different images.
    """
    count, squares = gram.shape[1], gram.diagonal(dim1=1, dim2=2)
    left = squares.mean(1)
    overlap = (gram.square().sum((1, 2)) - squares.square().sum(1)).clamp(min=0) / (count * max(1, count - 1))
    deviation = (2 / count * overlap).sqrt() / left.clamp(min=TINY)
    total = known + left
    return total, torch.log1p(left / total.clamp(min=TINY) * torch.expm1(DEVIATIONS * deviation)) / 2
