"""Growth rates over replicates beyond their mean: the interval of the mean, the median, and how many grow.

A mean with the standard error of `freedom` + 1 weight draws has Student's interval: 1.96 standard errors of six cover 89
times of a hundred. The mean of a few very negative rates among many that grow, as of networks that have fallen into a
superstable cycle, says little of either; the median and the share that grows do. docs/physics.md section 8.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtr, stdtrit
from scipy.stats import binom

from rnnmc.common.arrays import Floats
from rnnmc.statistics.intervals import effective_interval
from rnnmc.statistics.resampling import effective_number, share_intervals, shares, sums_by_draw


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
    """A number of standard errors with these degrees of freedom, as the number of a normal law with the same tail."""
    return float(-ndtri(stdtr(freedom, -abs(deviation))) * np.sign(deviation))


def decade_start(horizons: NDArray[np.int64], horizon: int) -> int:
    """Place of the largest stored horizon that is at most a tenth of this one; -1 without one."""
    return int(np.searchsorted(horizons, horizon / 10, side="right")) - 1


def rate_columns(
    log_norm: Floats, horizons: NDArray[np.int64], rate: Floats, error: Floats, group: int, kind: str, level: float
) -> dict[str, Floats]:
    """Columns beside the growth rates `rate` with their errors, (horizons,) each; NaN where undefined.

    log_norm: (replicates, horizons) in nats; rate and error, nats a step: `rnnmc.statistics.point.growth_rate`.
    growth_rate_freedom: degrees of freedom of the error, one less than the weight draws behind it. growth_rate_low and
    growth_rate_high: Student's interval. growth_median with growth_median_low and growth_median_high, nats a step: of
    all replicates, the dead -inf and the overflown +inf, so that it is known where the mean is not; the interval is
    that of order statistics, which holds for every law, NaN where there are too few. p_growing with p_growing_low and
    p_growing_high: of all replicates the share whose norm grew, with the interval of this kind.
    """
    names = ("growth_rate_freedom", "growth_median", "growth_median_low", "growth_median_high")
    names += ("p_growing", "p_growing_low", "p_growing_high")
    found = {name: np.full(len(horizons), np.nan) for name in names}
    for j, horizon in enumerate(horizons):
        start = decade_start(horizons, horizon)
        if start < 0:
            continue
        end, begin = log_norm[:, j], log_norm[:, start]
        finite = np.isfinite(end) & np.isfinite(begin)
        slope = end.copy()
        slope[finite] = (end[finite] - begin[finite]) / (horizon - horizons[start])
        if not np.isnan(error[j]):
            found["growth_rate_freedom"][j] = np.count_nonzero(sums_by_draw(finite, group)) - 1
        found["growth_median"][j] = _median(np.sort(slope))
        found["growth_median_low"][j], found["growth_median_high"][j] = median_interval(slope, group, level)
        grows = shares([(slope > 0)[:, None]], group)
        low, high = share_intervals(grows, (1 - level) / 2, kind)
        for name, value in zip(names[4:], (grows.count / len(slope), low, high), strict=True):
            found[name][j] = value[0, 0]
    half = student_half(error, found["growth_rate_freedom"], level)
    return found | {"growth_rate_low": rate - half, "growth_rate_high": rate + half}


def median_interval(values: Floats, group: int = 1, level: float = 0.95) -> tuple[float, float]:
    """Two of the values between which the median of the law that they come from lies; NaN where they are too few.

    values: (replicates,), infinities included. The ranks are those that a binomial law leaves `level`, whatever the law
    of the values; where replicates share weight draws, of as many as would pin down the share below the median as well.
    """
    ordered, number, tail = np.sort(values), len(values), (1 - level) / 2
    if group == 1:
        first = int(binom.ppf(tail, number, 0.5))  # fewer than this many below the median: no more often than `tail`
        ranks = first - 1, number - first
    else:
        below = shares([(values < _median(ordered))[:, None]], group)
        effective = effective_number(below, tail, "clopper-pearson")
        low, high = effective_interval(effective / 2, effective, tail, "clopper-pearson")
        ranks = int(np.floor(low[0, 0] * number)) - 1, int(np.ceil(high[0, 0] * number))
    if ranks[0] < 0 or ranks[1] >= number:
        return np.nan, np.nan
    return float(ordered[ranks[0]]), float(ordered[ranks[1]])


def _median(ordered: Floats) -> float:
    """The middle one, or the mean of the middle two; the lower of these where one is infinite."""
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float((low + high) / 2 if np.isfinite(low) and np.isfinite(high) else low)
