"""Intervals of rare events hold the truth, and what makes them wrong is told."""

import math

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtri
from scipy.stats import binomtest

from rnnmc.engine.splitting.population import Plan, plan_of, run_population
from rnnmc.statistics.rare import lognormal_mean, rare_statistics

COUNT = 20


def table(found, plan: Plan, particles: int) -> pl.DataFrame:
    """Of populations what `population_table` would have of them."""
    frames = []
    for number, one in enumerate(found):
        at = np.searchsorted(plan.thresholds, plan.levels)
        columns = {
            name: np.full(len(plan.thresholds), np.nan) for name in ("acceptance", "alike", "ancestors", "family")
        }
        for name, values in columns.items():
            values[at] = getattr(one, name)
        columns["level"] = np.full(len(plan.thresholds), np.nan)
        columns["level"][at] = np.arange(len(at))
        same = {"point": "p", "block": number, "horizon": 10, "particles": particles, "reached": True}
        same |= {"evaluations": one.evaluations}
        columns |= {"score": plan.thresholds, "threshold": plan.thresholds, "log_probability": one.log_probability}
        frames.append(pl.DataFrame(columns, nan_to_null=True).with_columns(pl.lit(v).alias(k) for k, v in same.items()))
    return pl.concat(frames)


def event(score, sizes, wanted, particles=500, alter=None, seed=lambda i: [4, i]) -> dict:
    """The last row of the statistics of COUNT populations; `alter` is done to their plan."""
    plan = plan_of(score, sizes, particles, wanted, 1e-20, np.random.default_rng(3))
    plan = alter(plan) if alter else plan
    found = [run_population(score, sizes, particles, plan, np.random.default_rng(seed(i))) for i in range(COUNT)]
    return rare_statistics(table(found, plan, particles)).row(-1, named=True)


def length(x):
    return np.square(x["weights"]).sum(axis=1)


AT = 2 * math.log(1e6)  # of the squared length of two numbers, P = 1e-6


def test_an_honest_run_is_trusted_and_holds_the_truth():
    row = event(length, {"weights": 2}, AT)
    assert row["doubt"] == ""
    assert row["p_low"] < 1e-6 < row["p_high"] < 4 * row["p_low"]
    assert row["populations"] == COUNT
    assert 0.03 < row["relative_error"] < 0.4


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99, 0.998])
def test_an_event_that_is_hardly_rare_is_trusted_too(p):
    """Populations know their share as well as independent replicates do, not as ancestors alone would have it."""
    found = [
        event(lambda x: x["weights"][:, 0], {"weights": 1}, -ndtri(p), seed=lambda i, turn=turn: [turn, i])
        for turn in range(8)
    ]
    assert [row["doubt"] for row in found] == [""] * 8
    assert all(row["p_low"] < row["p"] < row["p_high"] or row["p"] == row["p_high"] == 1 for row in found)
    assert sum(row["p_low"] < p < row["p_high"] for row in found) >= 4  # fewer of 8: once in a million


def test_up_to_the_first_level_the_interval_is_that_of_all_particles():
    score, sizes = length, {"weights": 2}
    plan = plan_of(score, sizes, 100, AT, 1e-20, np.random.default_rng(3))
    found = [run_population(score, sizes, 100, plan, np.random.default_rng([9, i])) for i in range(3)]
    rows = rare_statistics(table(found, plan, 100))
    level = int(np.searchsorted(plan.thresholds, plan.levels[0]))
    for row in rows.head(level + 1).iter_rows(named=True):
        count = sum(round(100 * math.exp(one.log_probability[row["score"] == plan.thresholds][0])) for one in found)
        interval = binomtest(count, 300).proportion_ci(0.95, "exact")
        assert (row["p_low"], row["p_high"]) == pytest.approx((interval.low, interval.high), abs=1e-12)
    below = rows.row(level + 1, named=True)
    logs = np.array([one.log_probability[level + 1] for one in found])
    assert (below["p"], below["p_low"], below["p_high"]) == pytest.approx(lognormal_mean(logs), rel=1e-12)


def test_the_interval_of_a_lognormal_mean_holds_it():
    """95 times of a hundred, at the deviations that populations have; Student's of the logarithms alone does not."""
    rng = np.random.default_rng(8)
    for deviation in (0.1, 0.6, 1.2):
        logs = rng.normal(-9 - deviation**2 / 2, deviation, (2000, COUNT))
        held = np.mean([low < math.exp(-9) < high for _, low, high in map(lognormal_mean, logs)])
        assert abs(held - 0.95) < 5 * math.sqrt(0.05 * 0.95 / 2000)
    centre, half = logs.mean(axis=1) + 9, 2.093 * logs.std(axis=1, ddof=1) / math.sqrt(COUNT)
    assert np.mean(np.abs(centre) < half) < 0.7


def test_an_estimate_of_zero_has_no_bounds():
    assert lognormal_mean(np.array([-np.inf, -np.inf, -np.inf]))[0] == 0
    mean, low, _ = lognormal_mean(np.array([0.0, 0.0, -np.inf, 0.0]))
    assert mean == 0.75
    assert math.isnan(low)


@pytest.mark.parametrize("logs", [[-27.0, -60.0, -60.0], [-1.0, *[-60.0] * 19], [-5.0, -9.0, -14.0]])
def test_bounds_are_probabilities_about_the_estimate_however_far_populations_are_apart(logs):
    mean, low, high = lognormal_mean(np.array(logs))
    assert 0 < low <= mean <= high <= 1


def frozen(plan: Plan) -> Plan:
    return Plan(plan.levels, 0 * plan.steps, plan.thresholds, plan.reached)


def test_a_step_of_zero_is_caught():
    assert "chains stay where they began" in event(length, {"weights": 2}, AT, alter=frozen)["doubt"]


def test_populations_with_the_same_stream_are_caught():
    assert "not independent" in event(length, {"weights": 2}, AT, seed=lambda i: [4, i // COUNT])["doubt"]


def test_a_second_region_that_most_populations_miss_is_caught():
    """A narrow way up that few particles enter, and that has nearly all of the event."""

    def two_regions(x):
        first, second = x["weights"][:, 0], x["weights"][:, 1]
        return np.where(second > 3.2, 3 * second - 8.6, first)

    assert event(two_regions, {"weights": 2}, 5.2)["doubt"]


def test_populations_of_other_plans_are_refused():
    plan = plan_of(length, {"weights": 2}, 500, AT, 1e-20, np.random.default_rng(3))
    found = [run_population(length, {"weights": 2}, 500, plan, np.random.default_rng(i)) for i in range(3)]
    frame = table(found, plan, 500)
    with pytest.raises(ValueError, match="unlike plans"):
        rare_statistics(frame.with_columns(score=pl.col("score") + pl.col("block") / 8))
