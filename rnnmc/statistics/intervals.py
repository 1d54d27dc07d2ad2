"""Binomial intervals: how well a share of replicates pins down the probability behind it.

All bounds are pointwise over horizons. Those of a confidence sequence hold at every number of replicates at
once, also where sampling stopped because an interval had become narrow; the others hold for a number fixed
beforehand, and are too narrow after such a stop. docs/physics.md section 8.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, betaln, ndtri, xlog1py, xlogy

from rnnmc.common.arrays import Floats


def binomial_interval(
    count: ArrayLike, total: ArrayLike, level: float = 0.95, kind: str = "wilson"
) -> tuple[Floats, Floats]:
    """Lower and upper bound of the probability of an event seen `count` times in `total` replicates.

    count, total: whole numbers of any shapes that broadcast together; both bounds have that shape.
    level: two-sided, so that each tail keeps (1 - level)/2.
    kind: "wilson" (score; right on average, for curves), "jeffreys" (equal tails of the Beta(1/2, 1/2)
    posterior; the same use), "clopper-pearson" (covers at least `level` for every probability; where a
    guarantee is claimed) or "confidence-sequence" (covers at every `total` at once; after a stop by looking).

    With no event the lower bound is exactly 0, with nothing but events the upper one exactly 1, and of no
    replicate at all nothing is known: 0 and 1. Clopper-Pearson without an event in N reaches 1 - 0.025^(1/N)
    at level 0.95, for both tails are paid for; the one-sided 95 % bound 1 - 0.05^(1/N) of docs/physics.md
    section 8 is its upper bound at level 0.90.

    Raises ValueError for counts that are negative, fractional or above their total, for a level outside
    (0, 1) and for an unknown kind. Source: Brown, Cai and DasGupta, Statistical Science 16 (2001) 101;
    Robbins, Annals of Mathematical Statistics 41 (1970) 1397.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is not a kind of interval; take one of {', '.join(KINDS)}")
    if not 0 < level < 1:
        raise ValueError(f"level: {level} is not a confidence level; give a number between 0 and 1, such as 0.95")
    events, trials = np.broadcast_arrays(_whole("count", count), _whole("total", total))
    if np.any(events > trials):
        raise ValueError("count: more events than replicates; count must not be above total")

    return effective_interval(events, trials, (1 - level) / 2, kind)


def effective_interval(count: Floats, total: Floats, tail: ArrayLike, kind: str) -> tuple[Floats, Floats]:
    """Both bounds as of `binomial_interval`, for numbers of replicates that are effective ones and need not be whole.

    count, total, tail: shapes that broadcast together; 0 <= count <= total, `tail` in (0, 1/2) is what each side may
    miss. Nothing is checked. Source: Korn and Graubard, Survey Methodology 24 (1998) 193.
    """
    low, high = KINDS[kind](count, np.maximum(total, 1), np.asarray(tail))
    # Rounding must not lift a bound off the end of the range that it touches by definition.
    low = np.where(count == 0, 0.0, np.clip(low, 0.0, 1.0))
    high = np.where(count == total, 1.0, np.clip(high, 0.0, 1.0))
    return low, high


def _whole(name: str, values: ArrayLike) -> Floats:
    """The values as floats, exact up to 2^53; refuses what cannot be a number of replicates."""
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iuf":
        raise ValueError(f"{name}: {numbers.dtype} values are not numbers of replicates; give whole numbers")
    numbers = numbers.astype(np.float64)
    if not np.all(np.isfinite(numbers) & (numbers >= 0) & (numbers == np.floor(numbers))):
        raise ValueError(f"{name}: not a number of replicates; give whole numbers from 0 up")
    return numbers


def _wilson(count: Floats, total: Floats, tail: Floats) -> tuple[Floats, Floats]:
    """Probabilities that a score test with `tail` on each side does not reject."""
    z = -ndtri(tail)
    share = count / total
    shrink = 1 + z**2 / total
    centre = (share + z**2 / (2 * total)) / shrink
    half = z * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2)) / shrink
    return centre - half, centre + half


def _jeffreys(count: Floats, total: Floats, tail: Floats) -> tuple[Floats, Floats]:
    """Equal-tailed quantiles of Beta(count + 1/2, total - count + 1/2)."""
    a, b = count + 0.5, np.maximum(total - count, 0) + 0.5
    return betaincinv(a, b, tail), betaincinv(a, b, 1 - tail)


def _clopper_pearson(count: Floats, total: Floats, tail: Floats) -> tuple[Floats, Floats]:
    """Probabilities that neither one-sided exact binomial test at `tail` rejects."""
    misses = np.maximum(total - count, 0)
    # The ones keep the beta function defined at the two ends, whose bounds the caller sets exactly.
    low = betaincinv(np.where(count == 0, 1, count), misses + 1, tail)
    high = betaincinv(count + 1, np.where(misses == 0, 1, misses), 1 - tail)
    return low, high


def _confidence_sequence(count: Floats, total: Floats, tail: Floats) -> tuple[Floats, Floats]:
    """Probabilities that the uniform mixture of Robbins does not reject, at any number of replicates.

    The ratio of the mixture's likelihood to that of p is a martingale under p, and so exceeds 1/(2 tail) ever with
    probability at most 2 tail (Ville). Its logarithm is convex in p with the minimum at the share: bisect each side.
    """
    misses = np.maximum(total - count, 0)
    least = betaln(count + 1, misses + 1) + np.log(2 * tail)
    share = count / total
    inside, bounds = share, []
    for end in (np.zeros_like(share), np.ones_like(share)):
        near, far = inside, end
        for _ in range(60):
            middle = (near + far) / 2
            kept = xlogy(count, middle) + xlog1py(misses, -middle) >= least
            near, far = np.where(kept, middle, near), np.where(kept, far, middle)
        bounds.append(far)  # the far side of the last bit: never too narrow
    return bounds[0], bounds[1]


KINDS: dict[str, Callable[[Floats, Floats, Floats], tuple[Floats, Floats]]] = {
    "wilson": _wilson,
    "jeffreys": _jeffreys,
    "clopper-pearson": _clopper_pearson,
    "confidence-sequence": _confidence_sequence,
}
