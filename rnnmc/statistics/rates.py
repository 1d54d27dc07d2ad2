"""Growth rates over replicates beyond their mean: the interval of the mean, the median, and how many grow.

A mean with the standard error of `freedom` + 1 weight draws has Student's interval: 1.96 standard errors of six cover
89 times of a hundred. The mean of a few very negative rates among many that grow, as of networks that have fallen into
a superstable cycle, says little of either; the median and the share that grows do. docs/physics.md section 8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtri, stdtr, stdtrit

from rnnmc.common.arrays import Floats
from rnnmc.statistics.intervals import effective_interval
from rnnmc.statistics.resampling import effective_number, share_intervals, shares, sums_by_draw
from rnnmc.statistics.sequences import sequence_half, sequence_ranks

GROWTH_ROUNDING = 1e-6  # nats a step that float32 may add to a growth rate


def student_half(error: ArrayLike, freedom: ArrayLike, level: float = 0.95) -> Floats:
    """Half the width of the two-sided interval of a mean with this standard error, in its unit.

    freedom: degrees of freedom of the error, inf where it is known; shapes that broadcast together.
    """
    with np.errstate(invalid="ignore"):
        return stdtrit(np.asarray(freedom, float), (1 + level) / 2) * np.asarray(error, float)


def pooled_freedom(parts: ArrayLike, freedom: ArrayLike) -> float:
    """Degrees of freedom of a sum of independent variances (parts), each with its own.

    Satterthwaite, Biometrics Bulletin 2 (1946) 110. Infinite where nothing is left to chance.
    """
    own = np.asarray(parts, float)
    spread = float((own**2 / np.asarray(freedom, float)).sum())
    return float(own.sum()) ** 2 / spread if spread > 0 else np.inf


def normal_score(deviation: float, freedom: float) -> float:
    """A number of standard errors with these degrees of freedom, as the number of a normal law with the same tail.

    Itself where that tail is too small to be told from zero.
    """
    score = -float(ndtri(stdtr(freedom, -abs(deviation))))
    return float(np.copysign(score if np.isfinite(score) else abs(deviation), deviation))


def deviation_from(
    predicted: float, rate: float, systematic: float, errors: tuple[float, float], freedom: float
) -> float:
    """Measured less predicted growth rate in standard errors, as far out as a normal law has them.

    rate and systematic (nats a step): the prediction deviates where it lies outside of what the two estimators leave
    open in between. errors: standard errors of the measured rate, with so many degrees of freedom, and of the predicted
    one, to which GROWTH_ROUNDING is added.
    """
    squares = [errors[0] ** 2, errors[1] ** 2 + GROWTH_ROUNDING**2]
    low, high = sorted((rate, rate + systematic))
    away = max(low - predicted, 0.0) + min(high - predicted, 0.0)
    return normal_score(away / float(np.sqrt(sum(squares))), pooled_freedom(squares, [freedom, np.inf]))


def decade_start(horizons: NDArray[np.int64], horizon: int) -> int:
    """Place of the largest stored horizon that is at most a tenth of this one; -1 without one."""
    return int(np.searchsorted(horizons, horizon / 10, side="right")) - 1


def slopes_of(log_norm: Floats, horizons: NDArray[np.int64], at: int) -> Floats:
    """(replicates,): how fast each norm grew over the last decade before the horizon at this place, nats a step.

    log_norm: (replicates, horizons). -inf for the dead, +inf for the overflown. There must be a `decade_start`.
    """
    start = decade_start(horizons, horizons[at])
    end, begin = log_norm[:, at], log_norm[:, start]
    finite = np.isfinite(end) & np.isfinite(begin)
    slopes = np.where(finite, 0.0, end)
    slopes[finite] = (end[finite] - begin[finite]) / (horizons[at] - horizons[start])
    return slopes


def rate_columns(
    log_norm: Floats, horizons: NDArray[np.int64], rate: Floats, error: Floats, group: int, kind: str, level: float
) -> dict[str, Floats]:
    """Columns beside the growth rates `rate` with their errors, (horizons,) each; NaN where undefined.

    log_norm: (replicates, horizons) in nats; rate and error, nats a step: `rnnmc.statistics.point.growth_rate`.
    growth_rate_freedom: degrees of freedom of the error, one less than the weight draws behind it. growth_rate_low and
    growth_rate_high: Student's interval. growth_median with growth_median_low and growth_median_high, nats a step: of
    all replicates, the dead -inf and the overflown +inf, so that it is known where the mean is not; the interval is
    that of order statistics, which holds for every law, NaN where there are too few. p_growing with p_growing_low and
    p_growing_high: of all replicates the share whose norm grew, with the interval of this kind. For the kind
    "confidence-sequence" all three are such: see `rnnmc.statistics.sequences`.
    """
    names = ("growth_rate_freedom", "growth_median", "growth_median_low", "growth_median_high")
    names += ("p_growing", "p_growing_low", "p_growing_high")
    found = {name: np.full(len(horizons), np.nan) for name in names}
    starts = [decade_start(horizons, horizon) for horizon in horizons]
    known = [j for j, start in enumerate(starts) if start >= 0]
    slopes = np.empty((len(log_norm), len(known)), order="F")
    for column, j in enumerate(known):
        slopes[:, column] = slopes_of(log_norm, horizons, j)
        if not np.isnan(error[j]):
            found["growth_rate_freedom"][j] = np.count_nonzero(sums_by_draw(np.isfinite(slopes[:, column]), group)) - 1
    if known:
        grows = shares([slopes > 0], group)
        low, high = share_intervals(grows, (1 - level) / 2, kind)
        medians = median_interval(slopes, group, level, kind)
        for name, values in zip(names[1:], (*medians, grows.count[0] / len(slopes), low[0], high[0]), strict=True):
            found[name][known] = values
    if kind == "confidence-sequence":
        half = sequence_half(error, found["growth_rate_freedom"] + 1, level)
    else:
        half = student_half(error, found["growth_rate_freedom"], level)
    return found | {"growth_rate_low": rate - half, "growth_rate_high": rate + half}


def median_interval(
    values: Floats, group: int = 1, level: float = 0.95, kind: str = "wilson"
) -> tuple[Floats, Floats, Floats]:
    """The median of each column, and two of its values between which the median of their law lies; NaN if too few.

    values: (replicates, columns), infinities included; all three results: (columns,). The median is the middle value,
    or the mean of the middle two, the lower of these where one is infinite. The ranks of the bounds are those that a
    binomial law leaves `level`, whatever the law of the values; where replicates share weight draws, of as many as
    would pin down the share below the median as well; or, of the kind "confidence-sequence", of all weight draws.
    """
    ordered, number, tail = np.sort(values, axis=0), len(values), (1 - level) / 2
    low, high = ordered[(number - 1) // 2], ordered[number // 2]
    with np.errstate(invalid="ignore"):
        median = np.where(np.isfinite(low) & np.isfinite(high), (low + high) / 2, low)
    if kind == "confidence-sequence":
        draws = -(-number // group)
        first, last = (int(rank[0]) for rank in sequence_ranks([draws], 0.5, level))
        outer = (first - 1) * number // draws, -(-last * number // draws) - 1  # a draw may lie below it in part
        ranks = np.full(values.shape[1], outer[0]), np.full(values.shape[1], outer[1])
    elif group == 1:
        below = bdtr(np.arange(number // 2 + 1), number, 0.5)  # P(no more than so many below the median)
        first = int(np.searchsorted(below, tail, side="right"))
        ranks = np.full(values.shape[1], first - 1), np.full(values.shape[1], number - first)
    else:
        effective = effective_number(shares([values < median], group), tail, "clopper-pearson")
        bounds = effective_interval(effective / 2, effective, tail, "clopper-pearson")
        ranks = np.floor(bounds[0][0] * number).astype(int) - 1, np.ceil(bounds[1][0] * number).astype(int)
    inside = (ranks[0] >= 0) & (ranks[1] < number)
    each = np.arange(values.shape[1])
    low, high = (np.where(inside, ordered[np.clip(rank, 0, number - 1), each], np.nan) for rank in ranks)
    return median, low, high
