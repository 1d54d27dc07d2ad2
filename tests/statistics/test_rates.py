"""Intervals of growth rates, of their median and of the share that grows, against laws written plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rnnmc.statistics.point import growth_rate
from rnnmc.statistics.rates import median_interval, normal_score, pooled_freedom, rate_columns, student_half

HORIZONS = np.array([1, 5, 10, 50, 100])


def columns(log_norm: np.ndarray, group: int = 1, kind: str = "wilson", level: float = 0.95) -> dict[str, np.ndarray]:
    """Those of the rates at the last horizon's rows."""
    rate, error = growth_rate(log_norm, HORIZONS, group)
    return rate_columns(log_norm, HORIZONS, rate, error, group, kind, level) | {"rate": rate, "error": error}


def paths(replicates: int, seed: int = 0, drift: float = -0.02) -> np.ndarray:
    random = np.random.default_rng(seed)
    return drift * HORIZONS + np.cumsum(random.normal(size=(replicates, len(HORIZONS))), axis=1)


def test_the_interval_of_a_mean_is_students_with_one_freedom_less_than_replicates():
    found = columns(log_norm := paths(6))
    slopes = (log_norm[:, 4] - log_norm[:, 2]) / 90
    want = stats.t.interval(0.95, 5, loc=slopes.mean(), scale=stats.sem(slopes))
    assert (found["growth_rate_low"][4], found["growth_rate_high"][4]) == pytest.approx(want, rel=1e-12)
    assert found["growth_rate_freedom"][4] == 5
    assert np.isnan(found["growth_rate_low"][:2]).all()  # no horizon at a tenth
    assert np.isnan(columns(paths(1))["growth_rate_low"]).all()


def test_replicates_of_one_weight_draw_are_one_degree_of_freedom():
    log_norm = np.repeat(paths(8), 5, axis=0) + 0.01 * paths(40, 1)
    found = columns(log_norm, group=5)
    assert found["growth_rate_freedom"][4] == 7
    half = (found["growth_rate_high"] - found["growth_rate_low"])[4] / 2
    assert half == pytest.approx(stats.t.ppf(0.975, 7) * found["error"][4])


def test_the_dead_do_not_grow_and_the_overflown_do_where_the_mean_is_not_known():
    log_norm = paths(21, drift=0.5)
    log_norm[:4, 3:] = -np.inf
    log_norm[4:6, 4:] = np.inf
    found = columns(log_norm)
    assert np.isnan(found["rate"][4])
    assert found["p_growing"][4] == 17 / 21
    slopes = np.concatenate([np.full(4, -np.inf), np.full(2, np.inf), (log_norm[6:, 4] - log_norm[6:, 2]) / 90])
    assert found["growth_median"][4] == np.sort(slopes)[10]
    assert found["growth_rate_freedom"][3] == 16  # of those that live
    assert np.isnan(found["growth_rate_freedom"][4])


@pytest.mark.parametrize("number", [1, 2, 5, 6, 9, 20, 41, 1000])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_the_ranks_of_a_median_are_the_closest_that_the_binomial_law_allows(number, level):
    median, low, high = median_interval(np.arange(number, dtype=float)[:, None], 1, level)
    assert median[0] == (number - 1) / 2
    # P(the median lies below the k-th smallest) = P(no more than k - 1 of the values below it)
    allowed = [k for k in range(1, number // 2 + 1) if stats.binom.cdf(k - 1, number, 0.5) <= (1 - level) / 2]
    if not allowed:
        assert np.isnan([low[0], high[0]]).all()
    else:
        assert (low[0], high[0]) == (allowed[-1] - 1, number - allowed[-1])


@pytest.mark.slow
@pytest.mark.parametrize("law", ["normal", "cauchy", "skew"])
def test_the_interval_of_a_median_holds_it_for_every_law_and_from_rows_of_weight_draws_it_does_not(law):
    random, studies, draws, group = np.random.default_rng(3), 2000, 30, 4
    own = random.normal(size=(draws, 1, studies)) + 0.2 * random.normal(size=(draws, group, studies))
    spread = {"normal": own, "cauchy": np.sinh(4 * own), "skew": -np.exp(2 * own)}[law].reshape(-1, studies)
    truth = -1.0 if law == "skew" else 0.0
    hits = {}
    for together in (group, 1):
        _, low, high = median_interval(spread, together)
        hits[together] = int(((low <= truth) & (truth <= high)).sum())
    least = stats.binom.ppf(1e-7, studies, 0.95)
    assert hits[group] >= least
    assert hits[1] < least


@given(st.lists(st.floats(1e-6, 10), min_size=1, max_size=6), st.floats(1, 100))
def test_a_sum_of_variances_has_between_the_least_and_all_degrees_of_freedom(parts, freedom):
    pooled = pooled_freedom(parts, [freedom] * len(parts))
    assert freedom * (1 - 1e-9) <= pooled <= freedom * len(parts) * (1 + 1e-9)


def test_nothing_left_to_chance_has_no_end_of_freedom_and_no_width():
    assert pooled_freedom([0.0, 0.0], [5, 5]) == math.inf
    assert pooled_freedom([2.0, 1.0], [math.inf, math.inf]) == math.inf
    assert student_half(0.0, 5) == 0
    assert student_half(1.0, math.inf) == pytest.approx(stats.norm.ppf(0.975))


@pytest.mark.parametrize(("deviation", "freedom"), [(4.0, 5), (-4.0, 5), (0.0, 3), (2.5, 1e9), (-30.0, 2)])
def test_a_deviation_is_told_by_the_normal_score_of_its_tail(deviation, freedom):
    score = normal_score(deviation, freedom)
    assert stats.norm.sf(abs(score)) == pytest.approx(stats.t.sf(abs(deviation), freedom), rel=1e-6)
    assert math.copysign(1, score) == math.copysign(1, deviation)


def test_what_is_too_far_out_for_a_tail_stays_a_number():
    assert normal_score(1e3, math.inf) == 1e3
    assert normal_score(-1e3, 1e6) == -1e3
