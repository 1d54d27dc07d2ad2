"""Where along one number the probability of staying stable is largest, and how well replicates know that.

The interval asks for one thing alone, that P rises and then falls: of the gaps between two neighbouring numbers those
are kept in which the maximum can lie, by the likelihood of the best rise and fall with the maximum there. It makes no
use of a formula for P, for where P is flat any formula would be trusted too far.

The estimate does: what is stable has neither vanished nor exploded first, so P = (1 - V)(1 - E), where V is the
probability of vanishing first and E that of exploding first among all others. Along a forget bias or a gain both are
steep and monotonic, and so well told by a logistic regression each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

from rnnmc.common.arrays import Floats
from rnnmc.statistics.ranking import LEVEL, Standing
from rnnmc.statistics.resampling import SEED
from rnnmc.statistics.stopping import Whole

PRIOR = 8.0  # deviation of each coefficient: far wider than what is seen, but finite where an event is never seen
STEPS, POINTS = 50, 801
EQUAL = 0.005  # of P: numbers at which the fit differs by less are as good, and the middle of them is the estimate
CALIBRATIONS = 1000


class Peak(NamedTuple):
    """at: the number at which P is largest, by the fit. low, high: its interval. share: P there, by the fit."""

    at: float
    low: float
    high: float
    share: float


def bracket(x: Floats, now: Standing) -> tuple[float, float]:
    """Between which two of `x` the maximum lies, as far as intervals tell, if P rises and then falls along `x`.

    x: (k,) rising; now: how they stand. An x with a point to its right that is clearly better lies left of the
    maximum, and so on; the ends of `x` where there is none.
    """
    best_right = np.maximum.accumulate(now.low[::-1])[::-1]
    best_left = np.maximum.accumulate(now.low)
    left, right = x[now.high < best_right], x[now.high < best_left]
    return float(left.max() if len(left) else x[0]), float(right.min() if len(right) else x[-1])


def peak(x: Floats, vanished: Whole, exploded: Whole, replicates: Whole, level: float = LEVEL) -> Peak:
    """The maximum of P between the first and the last of `x`, from counts at each.

    x, vanished, exploded, replicates: (k,), k > 1, x rising: how many of so many replicates vanished or exploded first
    at x. The range of x is better a `bracket`: it is what the fit has to tell, and every gap costs width.
    """
    low, high = mode_interval(x, replicates - vanished - exploded, replicates, level)
    middle, half = (x[0] + x[-1]) / 2, (x[-1] - x[0]) / 2
    fine = np.linspace(-1, 1, POINTS)
    terms, of_fine = (np.vander(one, 2) for one in ((x - middle) / half, fine))
    log_p = np.zeros(POINTS)
    for events, trials in ((vanished, replicates), (exploded, replicates - vanished)):
        log_p -= np.logaddexp(0, of_fine @ _regression(terms, events, trials))
    share = np.exp(log_p)
    as_good = middle + half * fine[share > share.max() - EQUAL]
    at = float(np.clip((as_good[0] + as_good[-1]) / 2, low, high))
    return Peak(at, low, high, float(np.interp(at, middle + half * fine, share)))


def mode_interval(x: Floats, events: Whole, trials: Whole, level: float = LEVEL) -> tuple[float, float]:
    """Where the maximum of the probability of an event can lie, if it rises and then falls between x[0] and x[-1].

    x, events, trials: (k,), x rising. With the maximum in the gap between two neighbours, the most likely probabilities
    are those of isotonic regression on either side. The gaps kept are those whose deviance is above the least by no
    more than what a probability that is the same everywhere would give with probability `level`: nothing is harder to
    place. Both ends are of `x`. Source: Robertson, Wright and Dykstra, Order Restricted Statistical Inference (1988).
    """
    deviance = 2 * _by_gap(events, trials, _binomial)
    kept = np.flatnonzero(deviance - deviance.min() <= _allowed(trials, level))
    return float(x[kept[0]]), float(x[kept[-1] + 1])


def _allowed(trials: Whole, level: float) -> float:
    """The quantile, at the worst gap, of the deviance above its least, where all probabilities are equal."""
    rng = np.random.default_rng(SEED)  # the same counts give the same interval
    rises = []
    for noise in rng.standard_normal((CALIBRATIONS, len(trials))):
        lost = _by_gap(noise * np.sqrt(trials), trials, _normal)
        rises.append(lost - lost.min())
    return float(np.quantile(rises, level, axis=0).max())


def _by_gap(sums: Iterable[float], weights: Iterable[float], cost: Callable[[float, float], float]) -> Floats:
    """(k - 1,): the least cost of values that rise up to a gap and fall from it on, for each gap."""
    pairs = [(float(total), float(weight)) for total, weight in zip(sums, weights, strict=True)]
    rising, falling = _rising(pairs, cost), _rising(pairs[::-1], cost)[::-1]
    return np.array(rising[:-1]) + np.array(falling[1:])


def _rising(pairs: list[tuple[float, float]], cost: Callable[[float, float], float]) -> list[float]:
    """The least cost of rising values for the first, the first two, ... of (sum, weight): neighbours out of order are
    pooled, one after the other.
    """
    pools: list[tuple[float, float, float]] = []  # sum, weight, and the cost of all pools up to this one
    costs = []
    for total, weight in pairs:
        while pools and pools[-1][0] * weight >= total * pools[-1][1]:
            more, heavier, _ = pools.pop()
            total, weight = total + more, weight + heavier
        pools.append((total, weight, (pools[-1][2] if pools else 0.0) + cost(total, weight)))
        costs.append(pools[-1][2])
    return costs


def _binomial(events: float, trials: float) -> float:
    """Minus the logarithm of the likelihood of so many events, at their own share."""
    return -float(xlogy(events, events / trials) + xlogy(trials - events, 1 - events / trials))


def _normal(total: float, weight: float) -> float:
    """The sum of squares about the mean, less what is the same for every mean, in units of the variance."""
    return -total * total / weight


def _regression(terms: Floats, events: Whole, trials: Whole) -> Floats:
    """The most likely coefficients of a logistic regression with a normal prior."""
    precision = np.eye(terms.shape[1]) / PRIOR**2
    at = np.zeros(terms.shape[1])
    for _ in range(STEPS):
        share = 1 / (1 + np.exp(-terms @ at))
        slope = terms.T @ (events - trials * share) - precision @ at
        step = np.linalg.solve(terms.T @ ((trials * share * (1 - share))[:, None] * terms) + precision, slope)
        at = at + step * min(1.0, 2 / max(np.abs(step).max(), 1e-12))  # a long step of Newton's overshoots
    return at
