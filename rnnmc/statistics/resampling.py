"""Errors of shares where replicates share weight draws: a weight draw is what is resampled, never a row.

Replicate r belongs to weight draw r // group. Weight draws are independent of each other; of replicates within one,
and of the horizons of one replicate, nothing is assumed. A band holds over all horizons at once. docs/physics.md
section 8.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

from rnnmc.common.arrays import Flags, Floats
from rnnmc.statistics.intervals import effective_interval

DRAWS = 20_000  # of the largest deviation over horizons: at level 0.95 a critical value is known to about 0.01
AT_ONCE = 400  # of these draws: what is made of them stays in the cache, and BLAS on one thread
SEED = 7888
FEWEST = 20  # draws beyond a critical value, below which Bonferroni's is taken instead


class Shares(NamedTuple):
    """How many replicates have each of several events, and how these shares scatter from weight draw to weight draw."""

    count: Floats  # (events, horizons)
    covariance: Floats  # (events, horizons, horizons) of the share
    freedom: Floats  # (events, horizons) degrees of freedom of the variances on its diagonal
    replicates: int
    weight_draws: int


def sums_by_draw(values: NDArray, group: int) -> Floats:
    """Sums over the replicates of each weight draw, (weight draws, ...); values: (replicates, ...).

    The last weight draw may be cut off.
    """
    if group == 1:
        return values.astype(np.float64)
    return np.add.reduceat(values, np.arange(0, len(values), group), axis=0, dtype=np.float64)


def shares(flags: Sequence[Flags], group: int = 1) -> Shares:
    """Counts of these events and the covariances of their shares, from sums over whole weight draws.

    flags: for each event (replicates, horizons). The covariance is that of a ratio of sums, linearised, with
    C/(C - 1) for C weight draws; zero where all weight draws are alike. Its diagonal has 2 C/(k - 1) degrees of
    freedom where the weight draws' deviations have kurtosis k, and at most C - 1: where few weight draws have a rare
    event, the variance is itself hardly known (Satterthwaite, Biometrics Bulletin 2 (1946) 110).
    """
    replicates = len(flags[0])
    size = sums_by_draw(np.ones((replicates, 1)), group)
    draws = len(size)
    count = np.array([np.count_nonzero(flag, axis=0) for flag in flags], dtype=np.float64)
    covariance = np.zeros((*count.shape, count.shape[1]))
    freedom = np.full(count.shape, max(draws - 1.0, 1.0))
    for event, flag in enumerate(flags):
        if not count[event].any() or draws == 1:
            continue
        # In whole numbers, so that a weight draw that is like all the others deviates by exactly zero.
        if group == 1:
            squares = replicates * (replicates * _both(flag) - np.outer(count[event], count[event]))
        else:
            deviation = replicates * sums_by_draw(flag, group) - count[event] * size
            squares = deviation.T @ deviation
        covariance[event] = squares * draws / (draws - 1) / float(replicates) ** 4
        if group > 1:
            square = np.maximum(squares.diagonal(), 1)
            kurtosis = draws * (deviation**4).sum(axis=0) / square**2
            freedom[event] = np.minimum(draws - 1, 2 * draws / np.maximum(kurtosis - 1, 1e-9))
    return Shares(count, covariance, freedom, replicates, draws)


def _both(flag: Flags) -> Floats:
    """How many replicates have the event at both of two horizons, (horizons, horizons), by counting bits."""
    bits = np.packbits(np.ascontiguousarray(flag.T), axis=1)
    words = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)
    return np.array([np.bitwise_count(words & row).sum(axis=1) for row in words], dtype=np.float64)


def effective_number(found: Shares, tail: ArrayLike, kind: str) -> Floats:
    """Number of independent replicates that would pin down each share as well, (events, horizons).

    tail: what each side of the interval may miss, (events, 1) or a number.

    It is replicates / deff, times the squared ratio of Student's quantiles for replicates - 1 degrees of freedom and
    for those of the variance; deff is the variance between weight draws over that of independent replicates (Korn
    and Graubard, Survey Methodology 24 (1998) 193). Never above the number of replicates, which weight draws that
    happen to be alike do not multiply. Never below that of weight draws: the share within one lies between 0 and 1,
    and so scatters no more than a single replicate does. That number itself is taken where the variance is zero (all
    or none have the event), for then nothing tells how alike the replicates of a weight draw are; and always for a
    "confidence-sequence": its likelihood ratio is convex in the share of a weight draw, so that the mixture stays a
    supermartingale and the bounds hold at every number of whole weight draws, which an estimated deff would break:
    5 % became 12 % in trials. With one replicate a weight draw all this is the number of replicates, exactly.
    """
    if kind == "confidence-sequence":
        return np.full(found.count.shape, float(found.weight_draws))
    others = max(found.replicates - 1, 1)
    share = found.count / found.replicates
    variance = np.diagonal(found.covariance, axis1=1, axis2=2)
    independent = share * (1 - share) / others
    deff = np.where(variance > 0, variance, 1) / np.where(variance > 0, independent, 1)
    number = found.replicates / deff * (stdtrit(others, tail) / stdtrit(found.freedom, tail)) ** 2
    return np.clip(np.where(variance > 0, number, found.weight_draws), found.weight_draws, found.replicates)


def share_intervals(found: Shares, tail: ArrayLike, kind: str) -> tuple[Floats, Floats]:
    """Lower and upper bounds of the probabilities behind the shares, each (events, horizons).

    The binomial interval of this kind, of the same shares of `effective_number` replicates. tail: what each side may
    miss, (events, 1) or a number.
    """
    number = effective_number(found, tail, kind)
    every = found.count == found.replicates
    count = np.where(every, number, found.count * (number / found.replicates))
    return effective_interval(count, number, tail, kind)


def share_bands(found: Shares, level: float, kind: str) -> tuple[Floats, Floats]:
    """Lower and upper bounds that hold over all horizons of an event at once, each (events, horizons).

    Intervals at the level where the largest of the horizons' errors keeps to `level`: see `simultaneous_tail`. For a
    "confidence-sequence" that is Bonferroni's, for it must hold at every stop. With "wilson" and "jeffreys" the band is
    the hull with Clopper-Pearson's: both cover a rare event as seldom as 84 %, which balances on average over
    probabilities but not for a curve, which passes through all of them and is missed where it is missed once.
    """
    tail = (1 - level) / 2
    if kind == "confidence-sequence":
        return share_intervals(found, tail / found.count.shape[1], kind)
    tails = np.array([[simultaneous_tail(covariance, tail)] for covariance in found.covariance])
    low, high = share_intervals(found, tails, kind)
    safe_low, safe_high = share_intervals(found, tails, "clopper-pearson")
    return np.minimum(low, safe_low), np.maximum(high, safe_high)


def simultaneous_tail(covariance: Floats, tail: float) -> float:
    """What each side may miss at one horizon, for both sides to miss 2 * tail over all horizons: a sup-t band.

    covariance: (horizons, horizons) of the estimates. The Gaussian multiplier bootstrap over weight draws has in law
    exactly this covariance, so that it is drawn from directly, and the same draws serve all data: a pure
    function. Horizons without variance are left out; where none varies, Bonferroni's over all of them.
    Never above `tail`, never below Bonferroni's. Source: Montiel Olea and Plagborg-Moller, Journal of Applied
    Econometrics 34 (2019) 1; Kosorok, Introduction to Empirical Processes (2008), chapter 10.
    """
    deviation = np.sqrt(covariance.diagonal())
    varying = np.flatnonzero(deviation)
    bonferroni = tail / (len(varying) or len(deviation))
    if len(varying) < 2 or 2 * tail * DRAWS < FEWEST:
        return bonferroni
    correlation = covariance[np.ix_(varying, varying)] / np.outer(deviation[varying], deviation[varying])
    values, vectors = np.linalg.eigh(correlation)
    # The symmetric root is the one that last bits of the data cannot turn, however alike two horizons are.
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    errors = root.astype(np.float32) @ _normals(len(deviation))[:, : len(varying)]
    largest = np.abs(errors, out=errors).max(axis=1).ravel()
    rank = int(np.ceil((1 - 2 * tail) * DRAWS)) - 1
    critical = float(np.partition(largest, rank)[rank])
    return float(np.clip(ndtr(-critical), bonferroni, tail))


@lru_cache(maxsize=2)
def _normals(horizons: int) -> NDArray[np.float32]:
    """(DRAWS / AT_ONCE, horizons, AT_ONCE)."""
    normals = np.random.default_rng(SEED).standard_normal((horizons, DRAWS), dtype=np.float32)
    return np.ascontiguousarray(normals.reshape(horizons, -1, AT_ONCE).swapaxes(0, 1))
