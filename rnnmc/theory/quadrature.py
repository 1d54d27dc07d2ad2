"""Means over a normal variable, by a rule that converges exponentially even where tanh is almost a step."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from rnnmc.common.arrays import Floats

REACH = 9.0  # deviations: the normal density beyond is below 1e-18
FINEST = 2_000_001  # nodes: enough up to deviations of 10^4


def nodes(deviation: float) -> tuple[Floats, Floats]:
    """(z, weights), each (k,): sum(weights * f(deviation * z)) is E f(deviation * N(0, 1)).

    The trapezoidal rule with step h. For f analytic in a strip of half width w its error falls as
    exp(-2 pi w / (deviation h)). tanh, the logistic function and their derivatives have w >= pi / 2, and
    1 / (1 + theta sech^4) has w >= pi / 4: below 1e-18 with deviation * h <= 0.1. The normal density itself asks for
    h <= 0.5. Raises OverflowError for a deviation above 10^4, which so many nodes would not resolve.
    """
    step = min(0.25, 0.1 / deviation) if deviation > 0 else 0.25
    count = 2 * math.ceil(REACH / step) + 1
    if count > FINEST:
        raise OverflowError(f"a deviation of {deviation:g} asks for {count:,} nodes")
    z = np.linspace(-REACH, REACH, count)
    weights = np.exp(-(z**2) / 2)
    return z, weights / weights.sum()


def normal_mean(function: Callable[[Floats], Floats], deviation: float, mean: float = 0.0) -> float:
    """E function(mean + deviation * N(0, 1)); see `nodes` for which functions."""
    if deviation == 0:
        return float(function(np.array([mean]))[0])
    z, weights = nodes(deviation)
    return float(weights @ function(mean + deviation * z))


def sech2(a: Floats) -> Floats:
    """Derivative of tanh, to full relative accuracy however large |a|."""
    small = np.exp(-2 * np.abs(a))
    return 4 * small / (1 + small) ** 2


def gate_moments(variance: float, bias: float = 0.0) -> tuple[float, float, float]:
    """(E s^2, E (1-s)^2, E (s(1-s))^2) of a gate s = sg(a), a ~ N(bias, variance)."""
    deviation = float(np.sqrt(variance))
    return (
        normal_mean(lambda a: expit(a) ** 2, deviation, bias),
        normal_mean(lambda a: expit(-a) ** 2, deviation, bias),
        normal_mean(lambda a: (expit(a) * expit(-a)) ** 2, deviation, bias),
    )


def tanh_moments(variance: float) -> tuple[float, float]:
    """(E tanh(a)^2, E sech(a)^4), a ~ N(0, variance)."""
    deviation = float(np.sqrt(variance))
    return normal_mean(lambda a: np.tanh(a) ** 2, deviation), normal_mean(lambda a: sech2(a) ** 2, deviation)


def root(function: Callable[[float], float], low: float, high: float, tolerance: float = 1e-13) -> float:
    """Where `function` changes sign between low and high, to `tolerance`."""
    return float(brentq(function, low, high, xtol=tolerance, rtol=1e-14))  # pyright: ignore[reportArgumentType]


def settled(step: Callable[[float], float], start: float) -> float:
    """The fixed point that iterating the variance map `step` from `start` >= 0 leads to, to 1e-13 of itself.

    `step` rises, so an orbit moves one way and stops at the next fixed point on it: a march in factors of 1.2 brackets
    it, as iterating itself hardly moves near an onset. What falls below 1e-13 counts as zero. Raises OverflowError
    beyond e^50.
    """

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        return step(q) / q - 1

    value = step(start) if start == 0 else start
    if value == 0:
        return 0.0
    here = math.log(value)
    stride = math.log(1.2) if excess(here) > 0 else -math.log(1.2)
    while excess(here + stride) * stride > 0:
        here += stride
        if here < math.log(1e-13):
            return 0.0
        if here > 50:
            raise OverflowError("the variance of the state leaves what can be followed")
    return math.exp(root(excess, here, here + stride))


def half_log(square: float) -> float:
    """Half the logarithm of a mean square. Raises FloatingPointError where it is too small for float64."""
    if not square > 0:
        raise FloatingPointError("a mean square is too small for float64")
    return math.log(square) / 2
