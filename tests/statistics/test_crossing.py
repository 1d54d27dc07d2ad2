"""Zeros of noisy curves: what is said where they are plain, beyond the ends, several, or not to be told from noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rnnmc.statistics.crossing import Curve, crossing

X = np.array([0.0, 1.0, 2.0, 3.0, 4.0])


def curve(value, error: float = 1e-3, freedom: float = 1e9, x: np.ndarray = X) -> Curve:
    value = np.asarray(value, float)
    return Curve(x[: len(value)], value, np.full(len(value), error), np.full(len(value), freedom))


@pytest.mark.parametrize(
    ("value", "turns", "below", "above"),
    [
        ([-2, -1, 1, 2, 3], 1, 1, 2),
        ([1, 2, 3, 4, 5], 0, None, 0),
        ([-5, -4, -3, -2, -1], 0, 4, None),
        ([-1, 1, -1, 1, 2], 3, 0, 1),
        ([1, -1, -2, 1, 2], 2, None, 0),  # it is above zero from the first place on
        ([-1, 1e-4, 2, 3, 4], 1, 0, 2),  # what cannot be told from zero bounds nothing
        ([-1, -1e-4, 1e-4, -1e-4, 1], 1, 0, 4),
        ([1e-4, -1, 1, 2, 3], 1, 1, 2),
        ([-2, -1, 1e-4], 0, 1, 2),  # none surely above: the first that is above at all
        ([1e-4, -1, -2], 0, 2, None),  # nor above at all once it was surely below
    ],
)
def test_the_bracket_is_where_the_sign_surely_turns(value, turns, below, above):
    found = crossing(curve(value))
    assert (found.turns, found.below, found.above) == (turns, below, above)
    assert (found.at is None) == (below is None or above is None)


@pytest.mark.parametrize("root", [1.2, 1.5, 1.99])
def test_a_cubic_is_met_where_it_crosses_and_a_quartic_is_not_further_than_the_bend_says(root):
    def cubic(x):
        return (x - root) * (1 + 0.1 * (x - 2) ** 2)

    found = crossing(curve(cubic(X), 1e-9))
    assert found.at == pytest.approx(root, abs=1e-6)
    quartic = crossing(curve(cubic(X) + 0.02 * (X - root) * X**3, 1e-9))
    assert abs(quartic.at - root) > 1e-4
    assert quartic.low < root < quartic.high


def test_the_interval_is_fiellers():
    """Of a line through two places, by its quadratic equation."""
    y, error, freedom = np.array([-1.0, 0.8]), 0.15, 6.0
    found = crossing(Curve(np.array([0.0, 1.0]), y, np.full(2, error), np.full(2, freedom)))
    assert found.at == pytest.approx(1 / 1.8)

    def left(x):  # |value| less the half-width that Satterthwaite's degrees of freedom give there
        parts = np.array([(1 - x) ** 2, x**2]) * error**2
        degrees = parts.sum() ** 2 / (parts**2 / freedom).sum()
        return abs(y @ [1 - x, x]) - stats.t.ppf(0.975, degrees) * np.sqrt(parts.sum())

    assert found.low is not None
    assert found.high is not None
    assert [left(found.low), left(found.high)] == pytest.approx([0, 0], abs=1e-9)
    assert found.bent == 0


def test_known_without_error_the_zero_is_a_point():
    found = crossing(Curve(X, X - 1.5, np.zeros(5), np.full(5, 5.0)))
    assert (found.at, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5), abs=1e-9)


@pytest.mark.parametrize(("value", "open_end"), [([-0.1, -0.05, 0.004], "high"), ([-0.004, 0.05, 0.1], "low")])
def test_an_interval_that_reaches_beyond_the_values_is_open(value, open_end):
    found = crossing(curve(value, 0.01))
    assert getattr(found, open_end) is None
    assert getattr(found, {"low": "high", "high": "low"}[open_end]) is not None
