"""The check against exact laws: it holds what it promises when the law is true, and does not when it is not.

Samples are drawn from the laws themselves, so that nothing here depends on the engine. Tests of chance state a level
of 1e-9 or a normal score of 6.1, about ten of them, seeds fixed.
"""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats
from studies import ROOT
from synthetic import samples_of

from rnnmc.statistics.intervals import KINDS
from rnnmc.statistics.oracles import (
    ALL,
    CHECKS,
    COVERAGE,
    FALSE_ALARM,
    JUDGED_MEASURES,
    LADDER,
    checks,
    coins,
    coverage,
    expected_coverage,
    p_value,
    passed,
)
from rnnmc.study.oracle_points import STANDARD
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import load_study
from rnnmc.theory import predictions

ALPHA, SIGMAS = 1e-9, 6.1
HORIZONS = (1, 5, 40)
GAIN = 0.8


def point(seed=0, **more):
    said = {"cell": "linear", "width": 1, "init": {"recurrent": {"gaussian": GAIN}}, "drive": "none"}
    return DesignPoint(**said | {"weights": "untied", "horizons": HORIZONS, "seed": seed} | more)


def lawful(at, replicates=3600, gain=GAIN, seed=None):
    """Samples of `point` from its law: products of independent normal numbers."""
    rng = np.random.default_rng(at.seed if seed is None else seed)
    steps = np.log(np.abs(gain * rng.standard_normal((replicates, HORIZONS[-1])))).cumsum(axis=1)
    return samples_of(steps[:, np.array(HORIZONS) - 1], HORIZONS, point=at.key, rms_offset=0.0)


def many(count, **more):
    return pl.concat([checks(at, lawful(at, **more)) for at in map(point, range(count))])


@pytest.fixture(scope="module")
def true_cells():
    """720 cells of 120 studies whose samples follow the law."""
    return many(120)


# --- when the law is true -------------------------------------------------------------------------


@pytest.mark.slow
def test_places_in_the_law_are_uniform_and_their_scores_normal(true_cells):
    assert true_cells.height == 120 * 6
    assert true_cells["score"].null_count() == 0
    assert stats.kstest(true_cells["pit"], stats.uniform.cdf).pvalue > ALPHA
    for quantity in ("probability", "mean"):
        some = true_cells.filter(pl.col("quantity") == quantity)
        assert some.height > 50
        assert stats.kstest(some["score"], stats.norm.cdf).pvalue > ALPHA
        assert abs(some["score"].mean()) < SIGMAS / math.sqrt(some.height)


@pytest.mark.slow
def test_hits_are_binomial_with_the_expected_coverage(true_cells):
    verdict = coverage(true_cells).filter(pl.col("law") == ALL).row(0, named=True)
    assert verdict["least"] < verdict["low"] <= verdict["held"] <= verdict["high"] < verdict["most"]  # seeds are fixed
    held, expected = true_cells["holds"].to_numpy(), true_cells["expected_coverage"].to_numpy()
    assert abs((held - expected).sum()) < SIGMAS * math.sqrt((expected * (1 - expected)).sum())
    assert passed(coverage(true_cells))
    assert many(3).equals(true_cells.head(18))  # and what is random in them depends on the cell alone


@pytest.mark.parametrize("interval", KINDS)
@pytest.mark.parametrize(("total", "truth"), [(3000, 1e-3), (400, 0.03), (400, 0.7), (9, 0.5)])
def test_the_expected_coverage_is_the_share_of_simulated_intervals_that_hold(interval, total, truth):
    from rnnmc.statistics.intervals import binomial_interval

    count = np.random.default_rng(1).binomial(total, truth, 20000)
    low, high = binomial_interval(count, total, 0.95, interval)
    held = int(((low <= truth) & (truth <= high)).sum())
    assert stats.binomtest(held, len(count), expected_coverage(total, truth, interval)).pvalue > ALPHA


def test_the_number_held_is_a_sum_of_unequal_coins():
    assert coins(np.full(30, 0.95)) == pytest.approx(stats.binom.pmf(np.arange(31), 30, 0.95))
    assert coins(np.array([0.9, 0.5])) == pytest.approx([0.05, 0.5, 0.45])
    assert coins(np.array([])) == pytest.approx([1.0])


def test_p_values_are_rarely_small_by_chance_and_see_bias_and_both_kinds_of_wrong_spread():
    rng = np.random.default_rng(2)
    small = sum(p_value(rng.standard_normal(12)) < 0.05 for _ in range(4000))
    assert stats.binomtest(small, 4000, 0.05, alternative="greater").pvalue > ALPHA
    assert small > 60  # and not never
    assert p_value(rng.standard_normal(60) + 1.2) < 1e-9
    assert p_value(rng.standard_normal(60) * 2.2) < 1e-9
    assert p_value(rng.standard_normal(60) * 0.2) < 1e-9
    assert p_value(np.array([])) == 1


# --- when it is not -------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [GAIN * 1.1, GAIN / 1.1])
def test_another_gain_fails_and_the_scores_say_on_which_side(gain):
    found = many(4, gain=gain)
    assert not passed(coverage(found))
    assert (found["score"].sum() < 0) == (gain > GAIN)


def test_replicates_that_repeat_each_other_are_found_by_their_spread():
    at = point()
    one = lawful(at, replicates=60)
    copies = [one.with_columns(block=pl.lit(i, pl.Int32)) for i in range(120)]
    assert not passed(coverage(checks(at, pl.concat(copies))))


def test_death_and_overflow_where_there_can_be_none_fail():
    at = point()
    for worst, status in ((-math.inf, "dead"), (math.inf, "overflow")):
        gone = lawful(at).with_columns(log_spectral=pl.lit(worst), log_rms=pl.lit(worst), status=pl.lit(status))
        found = checks(at, gone)
        assert not found["holds"].any()
        assert not found["score"].is_nan().any()
        assert not passed(coverage(found))


# --- cells ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_replicate_serves_one_cell_and_no_other():
    at, total = point(), 2401
    samples = lawful(at, replicates=total)
    found = checks(at, samples)
    assert found["replicates"].sum() == total
    owner = pl.int_range(pl.len()).over("horizon") % 6  # samples are in order
    for i, (horizon, measure) in enumerate(found.select("horizon", "measure").iter_rows()):
        other = ~((owner == i) & (pl.col("horizon") == horizon))
        spoilt = samples.with_columns(pl.when(other).then(999.0).otherwise(pl.col(measure)).alias(measure))
        assert checks(at, spoilt).row(i) == found.row(i)


def test_what_a_cell_judges_does_not_depend_on_the_samples():
    at = point()
    one, other = (checks(at, lawful(at, seed=seed)).select("quantity", "at", "truth") for seed in (1, 2))
    assert one.equals(other)


@pytest.mark.slow
def test_probabilities_run_down_the_ladder_as_far_as_there_are_replicates_for(true_cells):
    few = true_cells.filter(pl.col("quantity") == "probability")
    assert (few["replicates"] * few["truth"]).min() >= 3
    assert (few["replicates"] * (1 - few["truth"])).min() >= 3
    at = point()
    found = pl.concat([checks(at, lawful(at, replicates=30000)) for at in map(point, range(12))])
    found = found.filter(pl.col("quantity") == "probability")
    nearest = {min(LADDER, key=lambda rung: abs(math.log(rung / (1 - rung) * (1 - t) / t))) for t in found["truth"]}
    assert nearest == set(LADDER)
    (_, prediction) = predictions(at)[0]
    for row in checks(at, lawful(at)).filter(pl.col("quantity") == "probability").iter_rows(named=True):
        assert prediction.log_norm[row["measure"]].below(row["at"], row["horizon"]) == row["truth"]


def test_a_certain_cell_asks_every_replicate_up_to_rounding():
    init = {"recurrent": {"orthogonal": 1.0}}
    at = point(width=4, init=init, horizons=(10, 100))
    exact = np.zeros((50, 2))
    for error, good in ((0.0, True), (1e-5, True), (1e-2, False), (-1e-2, False), (-math.inf, False)):
        one = exact.copy()
        one[7, :] = error
        found = checks(at, samples_of(one, (10, 100), point=at.key, rms_offset=0.0))
        assert set(found["quantity"]) == {"certain"}
        assert found["score"].null_count() == found.height == 4
        assert bool(found["holds"].all()) is good
        verdict = coverage(found).filter(pl.col("law") == ALL).row(0, named=True)
        assert (verdict["cells"], verdict["certain"], verdict["passed"]) == (0, 4, good)


def test_the_share_of_the_dead_is_judged_where_a_law_says_it():
    at = point(cell="relu", width=2, init={"recurrent": {"identity": 1.0}}, state_std=1.0, horizons=(1, 9))
    live = np.random.default_rng(3).binomial(2, 0.5, 4000)
    with np.errstate(divide="ignore"):
        spectral, rms = np.log(live > 0), np.log(live / 2) / 2
    both = [samples_of(np.stack([log, log], axis=1), (1, 9), point=at.key, rms_offset=0.0) for log in (spectral, rms)]
    samples = both[0].with_columns(log_rms=both[1]["log_rms"])
    found = checks(at, samples)
    assert set(found["truth"].round(12)) <= {0.25, 0.75}
    assert passed(coverage(found))
    fewer = samples.filter(pl.col("status") == "ok")
    assert not passed(coverage(checks(at, fewer)))


def test_further_measures_are_judged_where_they_were_observed_and_have_a_status_of_their_own():
    at = point(cell="relu", width=3, state_std=1.0, horizons=(4,))
    assert checks(at, samples_of(np.zeros((900, 1)), (4,), point=at.key)).is_empty()
    rng = np.random.default_rng(4)
    live = rng.binomial(3, 0.5, (4000, 4))
    with np.errstate(divide="ignore"):
        log = (np.log(GAIN**2 / 3 * rng.chisquare(np.maximum(live, 1)) * (live > 0)) / 2).sum(axis=1)
    samples = samples_of(np.zeros((4000, 1)), (4,), point=at.key).with_columns(log_vector=log)
    found = checks(at, samples)
    assert found["measure"].to_list() == ["log_vector"]
    assert passed(coverage(found))


def test_of_replicates_that_share_a_weight_draw_one_counts():
    at = point(drive="white", nested={"drives": 5, "states": 1})
    samples = lawful(at).with_columns(replicate=pl.int_range(pl.len()).floordiv(3).cast(pl.Int32), block=pl.lit(0))
    assert checks(at, samples)["replicates"].sum() == 3600 // 5


def test_levels_that_no_number_can_hold_are_left_out():
    at = point(horizons=(1, 2000))
    samples = samples_of(np.full((1200, 2), -5.0), (1, 2000), point=at.key, rms_offset=0.0)
    found = checks(at, samples)
    assert set(found.filter(pl.col("horizon") == 2000)["quantity"]) <= {"mean"}


def test_columns_and_empty_checks():
    nothing = checks(point(cell="gru", drive="ar1"), lawful(point(cell="gru", drive="ar1")))
    assert dict(nothing.schema) == {name: kind() for name, kind in CHECKS.items()}
    verdict = coverage(nothing)
    assert dict(verdict.schema) == {name: kind() for name, kind in COVERAGE.items()}
    assert verdict["law"].to_list() == [ALL]
    assert not passed(verdict)  # nothing was proved


# --- studies --------------------------------------------------------------------------------------


def offered(entry_point, columns):
    """(horizon, measure, law name, norm) of every cell of a point whose samples have these measures."""
    for law, prediction in predictions(entry_point):
        for measure, norm in prediction.log_norm.items() if law.exact else ():
            for horizon in entry_point.horizons if measure in columns else ():
                yield horizon, measure, law.name, norm


@pytest.mark.slow
def test_the_oracle_study_has_hundreds_of_cells_of_every_cell_and_width():
    study, random, certain = load_study(ROOT / "config/oracle.yaml"), [], 0
    for planned in study.points:
        at, named = planned.point, {one.name for one in planned.observables}
        assert "paths" not in named or len(at.cell_object.parts) == 2
        further = {"vector": "log_vector", "paths": "log_memory"}
        columns = {"log_spectral", "log_rms"} | {further[name] for name in named}
        cells = list(offered(at, columns))
        assert cells, f"{at.label} has no exact law"
        for _, _, law, norm in cells:
            sure = all(len(norm.values(h)) == 1 and norm.dead(h) == 0 for h in at.horizons)
            certain += sure
            random += [] if sure else [(at.cell, at.width, law, at.dtype, at.weights, at.drive.name)]
    by = [set(column) for column in zip(*random, strict=True)]
    assert len(random) >= 400
    assert certain >= 100
    assert by[0] >= {"linear", "tanh", "relu", "lstm", "gru", "gru_tied", "gru_reset_after", "gru_output_gated",
                     "minimal_rnn", "min_gru", "lru"}  # fmt: skip
    assert by[1] >= {1, 4, 16, 64}
    assert len(by[2]) >= 10
    assert by[3:] == [{"float32", "float64"}, {"tied", "untied"}, {"none", "white", "field", "constant", "ar1"}]
    assert max(planned.point.horizons[-1] for planned in study.points) <= 1000


def test_standard_points_have_exact_laws_for_norms_alone_and_are_cheap():
    work = 0
    for entry in STANDARD:
        at = DesignPoint(**{key: value for key, value in entry.items() if key != "replicates"})
        assert list(offered(at, {"log_spectral", "log_rms"})), at.label
        work += at.state_size**2 * at.width * at.horizons[-1] * entry["replicates"]
    assert work < 3e9  # multiplications: seconds
    assert FALSE_ALARM <= 1e-6
    assert set(JUDGED_MEASURES[:2]) == {"log_spectral", "log_rms"}
