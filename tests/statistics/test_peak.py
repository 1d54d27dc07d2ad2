"""Where along one number a probability is largest: found, and its interval holds whatever the curve is like."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit
from scipy.stats import binom

from rnnmc.statistics import peak as peak_module
from rnnmc.statistics.peak import bracket, mode_interval, peak
from rnnmc.statistics.ranking import race, standing

START, RUNS, FAMILY = np.arange(0.0, 9.0), 40, 30
FEWEST_HELD = binom.ppf(1e-6, RUNS, 0.95)
CURVES = {  # name -> P(vanish first), P(explode first, if not vanished)
    "LSTM of width 64 to 1,000 steps": (lambda b: expit(-4 * (b - 2.7)), lambda b: 0.95 * expit(1.2 * (b - 4.3))),
    "one side far steeper": (lambda b: expit(-8 * (b - 3)), lambda b: expit(0.8 * (b - 5))),
    "a plateau": (lambda b: expit(-9 * (b - 1.9)), lambda b: 0.04 * expit(2 * (b - 5))),
    "not as the fit has it": (lambda b: 0.9 * np.exp(-((b / 2.5) ** 8)), lambda b: 0.4 * (b > 3) * (b - 3) / 5),
}


def advised(vanish, explode, rng):
    """As `rnnmc.run.advise` looks along a line: a race among a few, a bracket, values within, the fit."""
    seen = {}

    def measure(x, more):
        vanished = rng.binomial(more, vanish(x))
        exploded = rng.binomial(more - vanished, explode(x))
        seen[x] = seen.get(x, np.zeros(3, int)) + np.array([vanished, exploded, more])
        return more - vanished - exploded

    now = race(lambda turns: [measure(START[one], more) for one, more in turns], np.ones(9), 32, 256, 1e9, FAMILY)
    low, high = bracket(START, now)
    for x in np.linspace(low, high, 10)[1:-1]:
        measure(x, 64)
    x, (vanished, exploded, replicates) = np.array(sorted(seen)), np.array([seen[x] for x in sorted(seen)]).T
    low, high = bracket(x, standing(replicates - vanished - exploded, replicates, FAMILY))
    some = (x >= low) & (x <= high)
    return peak(x[some], vanished[some], exploded[some], replicates[some])


@pytest.mark.slow
@pytest.mark.parametrize("curve", CURVES)
def test_the_interval_holds_the_maximum_and_the_estimate_is_nearly_as_good(curve, monkeypatch):
    monkeypatch.setattr(peak_module, "CALIBRATIONS", 200)
    vanish, explode = CURVES[curve]
    fine = np.linspace(0, 8, 8001)
    share = (1 - vanish(fine)) * (1 - explode(fine))
    rng = np.random.default_rng(1)
    found = [advised(vanish, explode, rng) for _ in range(RUNS)]
    held = sum(top.low <= fine[share.argmax()] <= top.high for top in found)
    assert held >= FEWEST_HELD
    assert all(top.low <= top.at <= top.high for top in found)
    lost = [1 - np.interp(top.at, fine, share) / share.max() for top in found]
    assert np.mean(lost) < 0.02


@pytest.mark.slow
def test_one_gap_alone_would_not_hold_it():
    """The planted mistake: no more than the most likely gap is kept."""
    vanish, explode = CURVES["one side far steeper"]
    fine = np.linspace(0, 8, 8001)
    true = fine[((1 - vanish(fine)) * (1 - explode(fine))).argmax()]
    rng, x, held = np.random.default_rng(1), np.linspace(2, 6, 17), 0
    for _ in range(RUNS):
        vanished = rng.binomial(64, vanish(x))
        events = 64 - vanished - rng.binomial(64 - vanished, explode(x))
        deviance = peak_module._by_gap(events, np.full(17, 64), peak_module._binomial)
        held += x[deviance.argmin()] <= true <= x[deviance.argmin() + 1]
    assert held < FEWEST_HELD


def test_the_likelihood_of_each_gap_is_that_of_isotonic_regression_on_either_side():
    rng = np.random.default_rng(4)
    trials = rng.integers(5, 60, 7)
    events = rng.binomial(trials, [0.1, 0.5, 0.4, 0.9, 0.7, 0.75, 0.0])
    got = peak_module._by_gap(events, trials, peak_module._binomial)
    for gap in range(6):
        cost = 0.0
        for some, rising in ((slice(0, gap + 1), True), (slice(gap + 1, 7), False)):
            p = isotonic_regression(events[some] / trials[some], weights=trials[some], increasing=rising).x
            p = np.clip(p, 1e-300, 1 - 1e-16)
            cost -= (events[some] * np.log(p) + (trials - events)[some] * np.log1p(-p)).sum()
        assert got[gap] == pytest.approx(cost, rel=1e-9)


def test_the_regression_is_the_maximum_of_its_posterior():
    x = np.linspace(-1, 1, 9)
    terms, trials = np.vander(x, 2), np.full(9, 40)
    events = np.random.default_rng(5).binomial(trials, expit(3 * x - 1))

    def cost(at):
        eta = terms @ at
        return np.sum(trials * np.logaddexp(0, eta) - events * eta) + (at**2).sum() / (2 * peak_module.PRIOR**2)

    expected = minimize(cost, np.zeros(2), tol=1e-12).x
    assert peak_module._regression(terms, events, trials) == pytest.approx(expected, abs=1e-4)


def test_what_never_happens_leaves_the_fit_finite_and_the_middle_of_what_is_as_good():
    x, none, all_of = np.arange(5.0), np.zeros(5, int), np.full(5, 64)
    top = peak(x, none, none, all_of)
    assert (top.low, top.high) == (0, 4)
    assert top.at == pytest.approx(2, abs=0.2)
    assert top.share > 0.97


def test_the_bracket_rests_on_nothing_but_rise_and_fall():
    x = np.arange(6.0)
    now = standing(np.array([0, 2, 900, 880, 30, 0]), np.full(6, 1000), 6)
    assert bracket(x, now) == (1, 4)
    assert bracket(x, standing(np.full(6, 500), np.full(6, 1000), 6)) == (0, 5)
    flat = mode_interval(x, np.array([0, 20, 90, 88, 30, 0]), np.full(6, 100))
    assert flat == (1, 4)
    for shift in (-1, 1):
        moved = mode_interval(x + shift, np.array([0, 20, 90, 88, 30, 0]), np.full(6, 100))
        assert moved == (1 + shift, 4 + shift)
