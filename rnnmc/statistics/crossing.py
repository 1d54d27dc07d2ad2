"""Where a curve that is known at a few places, each with an error, turns from below zero to above it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import root_scalar

from rnnmc.common.arrays import Floats
from rnnmc.statistics.rates import pooled_freedom, student_half

DEGREE = 3  # of the polynomial about the zero, where there are values enough
PRIOR = 20  # degrees of freedom of what errors are drawn towards
STEPS = 100  # in which the curve is looked through


class Curve(NamedTuple):
    """A curve known at x, rising, by values with standard errors of so many degrees of freedom, each (places,)."""

    x: Floats
    value: Floats
    error: Floats
    freedom: Floats


class Crossing(NamedTuple):
    """What is known of the zero; None where it is not.

    turns: how often the sign surely changes along x: each value is told from zero by Student's interval, all of them
    together at the level. below, above: between which of the places the curve turns positive for the first time that is
    sure, or, where no value is surely on a side, from the first that is above zero on; one of them alone where all are
    on one side. at: zero of the polynomial through the values about it, in units of x; error to first order, from those
    of the values; bent: how far, in x, the zero moves where an outer value is left out or the degree is one less,
    beyond what their errors explain; low, high: where the polynomial is not told from zero, `bent` added; None where
    that reaches beyond the values about it.
    """

    turns: int
    below: float | None = None
    above: float | None = None
    at: float | None = None
    error: float | None = None
    bent: float | None = None
    low: float | None = None
    high: float | None = None


def crossing(curve: Curve, level: float = 0.95) -> Crossing:
    """The first place from which on the curve is above zero, by a polynomial through the values about it.

    From the last value surely below zero to the first one surely above, and one more on either side: four values make
    a cubic; where more of them cannot be told from zero, it is fitted to all by least squares. The interval holds the
    places where the polynomial's value could be zero (Fieller, Journal of the Royal Statistical Society B 16 (1954)
    175), by Student's law with the degrees of freedom of its error. docs/physics.md section 8.
    """
    each = 1 - (1 - level) / len(curve.value)
    sure = np.where(np.abs(curve.value) > student_half(curve.error, curve.freedom, each), np.sign(curve.value), 0)
    turns = int(np.count_nonzero(np.diff(sure[sure != 0])))
    first, last = _bracket(curve.value, sure)
    if last is None:
        return Crossing(turns, below=float(curve.x[-1]))
    if first is None:
        return Crossing(turns, above=float(curve.x[0]))
    found = Crossing(turns, float(curve.x[first]), float(curve.x[last]))
    used = slice(max(first - 1, 0), last + 2)
    return _zero(Curve(*(part[used] for part in curve)), found, level)


def _bracket(value: Floats, sure: Floats) -> tuple[int | None, int | None]:
    """Places of the last value below zero and the first above it."""
    above = np.flatnonzero(sure > 0) if (sure > 0).any() else np.flatnonzero(value > 0)
    if not len(above):
        return None, None
    if above[0] == 0 and (sure < 0).any() and not sure[0]:
        above = above[above > np.argmax(sure < 0)]
        if not len(above):
            return None, None
    before = slice(0, above[0])
    below = np.flatnonzero(sure[before] < 0) if (sure[before] < 0).any() else np.flatnonzero(value[before] <= 0)
    return (int(below[-1]) if len(below) else None), int(above[0])


def _zero(curve: Curve, found: Crossing, level: float) -> Crossing:
    """The zero of the polynomial between the places that `found` names, and how well it is known."""
    degree = min(DEGREE, len(curve.x) - 1)
    scaled = curve._replace(x=(curve.x - curve.x[0]) / (curve.x[-1] - curve.x[0]))
    smooth = _smoother(scaled, degree)
    at = _root(lambda place: float(smooth(place) @ curve.value), scaled.x, found, curve.x)
    if at is None:
        return found
    unit, weights = curve.x[-1] - curve.x[0], smooth(at)
    slope = (smooth(at + 1e-5) - smooth(at - 1e-5)) @ curve.value / 2e-5
    off = max((_unexplained(one(at) - weights, curve) for one in _others(scaled, degree)), default=0.0)

    def told(place: float) -> float:
        """Positive where the value is told from zero."""
        weights = smooth(place)
        half = student_half(np.linalg.norm(weights * curve.error), _freedom(weights, curve), level)
        return abs(float(weights @ curve.value)) - float(half) - off

    low, high = (_edge(told, at, end) for end in (0.0, 1.0))
    error = float(np.linalg.norm(weights * curve.error)) / abs(slope)
    back = [None if place is None else float(curve.x[0] + unit * place) for place in (at, low, high)]
    return found._replace(at=back[0], error=error * unit, bent=off / abs(slope) * unit, low=back[1], high=back[2])


def _smoother(curve: Curve, degree: int, left_out: int | None = None):
    """place -> weights of all values in the polynomial's value there; fitted by least squares, weighted with errors."""
    kept = np.array([i for i in range(len(curve.x)) if i != left_out])
    scale = 1 / np.maximum(_steadied(curve), 1e-12 * max(float(np.abs(curve.value).max()), 1e-300))[kept]
    solve = np.zeros((degree + 1, len(curve.x)))
    solve[:, kept] = np.linalg.pinv(np.vander(curve.x[kept], degree + 1) * scale[:, None], rcond=1e-14) * scale
    return lambda place: np.vander([place], degree + 1)[0] @ solve


def _steadied(curve: Curve) -> Floats:
    """Errors to weigh values by: those of few degrees of freedom drawn towards the mean of all.

    Weighed by its own error, a value that has a small one by chance would count for more than it knows.
    """
    square, freedom = curve.error**2, np.minimum(curve.freedom, 1e9)
    return np.sqrt((freedom * square + PRIOR * square.mean()) / (freedom + PRIOR))


def _others(curve: Curve, degree: int) -> list:
    """Polynomials that could have been taken instead: without an outer value, and of one degree less."""
    number = len(curve.x)
    if number == degree + 1:  # through all values
        zero = [i for i in (0, number - 1) if number > 2 and _between(curve.value, i)]
        return [_smoother(curve, degree - 1, i) for i in zero]
    return [_smoother(curve, degree - 1)]


def _between(value: Floats, left_out: int) -> bool:
    """Whether those that are left still lie on both sides of zero."""
    rest = np.delete(value, left_out)
    return bool(rest.min() <= 0 <= rest.max())


def _unexplained(weights: Floats, curve: Curve) -> float:
    """How far a sum of the values is from zero beyond its own standard error."""
    square = float(weights @ curve.value) ** 2 - float(((weights * curve.error) ** 2).sum())
    return float(np.sqrt(max(square, 0.0)))


def _freedom(weights: Floats, curve: Curve) -> float:
    return pooled_freedom((weights * curve.error) ** 2, curve.freedom)


def _root(value, x: Floats, found: Crossing, places: Floats) -> float | None:
    """The first upward zero between the places that are on either side, or else the one next to them."""
    first, last = (float(x[places == place][0]) for place in (found.below, found.above))
    grid = np.linspace(0, 1, STEPS + 1)
    grid = np.unique(np.concatenate([grid, x]))
    seen = np.array([value(place) for place in grid])
    up = np.flatnonzero((seen[:-1] <= 0) & (seen[1:] > 0))
    if not len(up):
        return None
    away = np.maximum(first - grid[up + 1], grid[up] - last).clip(0)
    start = int(up[np.argmin(away)])
    return float(root_scalar(value, bracket=(grid[start], grid[start + 1]), xtol=1e-14).root)


def _edge(told, at: float, end: float) -> float | None:
    """The place nearest to `at`, on the way to `end`, from which on the value is told from zero; None without one."""
    before = at
    for place in np.linspace(at, end, STEPS + 1)[1:]:
        if told(place) > 0:
            known = told(before) >= 0  # as where nothing is left to chance
            return before if known else float(root_scalar(told, bracket=(before, place), xtol=1e-12).root)
        before = place
    return None
