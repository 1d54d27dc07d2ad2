"""Confidence sequences of means and quantiles: they hold at every number of replicates at once.

Those of a probability are the kind "confidence-sequence" of `rnnmc.statistics.intervals`. docs/physics.md section 8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, xlog1py, xlogy

from rnnmc.common.arrays import Floats

PRIOR = 100.0  # replicates: an effect of the size of 1 / sqrt(PRIOR) deviations is awaited; narrowest near ten times it


def sequence_half(error: ArrayLike, number: ArrayLike, level: float = 0.95) -> Floats:
    """Half the width of the confidence sequence of a mean, in the unit of its standard error.

    error: deviation (ddof = 1) / sqrt(number); number: of replicates, 2 and more; shapes that broadcast together.
    Infinite for the first few, some 30 at 95 %.

    The t statistic's law depends on (mean - true mean) / deviation alone; mixed over N(0, 1/PRIOR) for that ratio, its
    likelihood over that of ratio 0 is a martingale for normal replicates, whatever their deviation, and so holds at
    every number at once (Lai, Annals of Statistics 4 (1976) 265; Wang and Ramdas, 2023). For others it holds as well as
    the central limit theorem does from the first look on: it has the limit of the asymptotic confidence sequences of
    Waudby-Smith et al. (Annals of Statistics 52 (2024) 2613).
    """
    n, error = np.broadcast_arrays(np.asarray(number, float), np.asarray(error, float))
    shrink = PRIOR / (n + PRIOR)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.exp(-np.log((1 - level) ** 2 * shrink) / n)
        square = np.where(reach * shrink < 1, (n - 1) * (reach - 1) / (1 - reach * shrink), np.inf)
        return np.where((error == 0) & np.isfinite(square), 0.0, np.sqrt(square) * error)


def sequence_ranks(number: ArrayLike, share: float, level: float = 0.95) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ranks, from 1 on, of the values between which a quantile lies at every number of values at once.

    share: that lies below the quantile, in (0, 1). number: of values, an array whose shape both results have; rank 0 is
    minus infinity, rank number + 1 infinity. For any law: how many of the values lie below their quantile is binomial,
    ties apart, which only help, and the ranks are those that the confidence sequence of `share` does not reject (Howard
    and Ramdas, Bernoulli 28 (2022) 1704, with the uniform mixture).
    """
    total = np.asarray(number, np.int64)
    middle, most = np.floor(share * (total + 1)).astype(np.int64).clip(0, total), np.log(1 / (1 - level))
    ends = []
    for end in (np.zeros_like(total), total):  # the likelihood ratio is convex in the count: bisect each side
        near, far = middle, end
        kept = _ratio(end, total, share) <= most
        while np.any(np.abs(far - near) > 1):
            half = (near + far) // 2
            inside = _ratio(half, total, share) <= most
            near, far = np.where(inside, half, near), np.where(inside, far, half)
        ends.append(np.where(kept, end, near))
    return ends[0], ends[1] + 1


def _ratio(count: NDArray[np.int64], total: NDArray[np.int64], share: float) -> Floats:
    """Logarithm of the mixture's likelihood over that of `share`."""
    return betaln(count + 1, total - count + 1) - xlogy(count, share) - xlog1py(total - count, -share)
