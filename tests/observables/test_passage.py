"""First passages, exact to the step: against chains whose every step is stored, and against exact laws."""

import math

import numpy as np
import polars as pl
import pytest
from looking import looking, seen, tiled
from studies import small, study_of

from rnnmc.common.errors import UsageError
from rnnmc.engine.block import run_block
from rnnmc.observables import passage
from rnnmc.observables.passage import NEVER, Passage
from rnnmc.report.pictures import picture_of
from rnnmc.report.pictures.passage import _corners
from rnnmc.report.rendering import rendered
from rnnmc.statistics.point import point_statistics
from rnnmc.statistics.summaries import summary_of as summary_named
from rnnmc.statistics.summaries.passage import SUMMARY
from rnnmc.statistics.summaries.summary import Settings
from rnnmc.store.plan import cut_up, describe_points
from rnnmc.study.point import DesignPoint

LADDERS = {"vanish": [0.9, 0.5, 0.1, 1e-3, 1e-6], "explode": [1.1, 2.0, 10.0, 1e3, 1e6]}
TILE = 128  # replicates that run together, in place of the thousands of a narrow cell
NEAR_STABLE = {"recurrent": {"gaussian": 0.577}, "bias": {"forget": {"constant": 3.0}}}
POINTS = {
    "vanishing lstm": {"cell": "lstm", "width": 12},
    "near-stable lstm": {"cell": "lstm", "width": 12, "init": NEAR_STABLE},
    "critical tanh": {"cell": "tanh", "width": 24, "init": {"recurrent": {"gaussian": 1.0}}},
    "chaotic gru": {"cell": "gru", "width": 10, "init": {"recurrent": {"gaussian": 8.0}}, "state_std": 1.0},
    "one unit": {"cell": "tanh", "width": 1, "init": {"recurrent": {"gaussian": 1.5}}},
    "two units": {"cell": "gru_reset_after", "width": 2, "init": {"recurrent": {"gaussian": 4.0}}, "state_std": 1.0},
    "lstm in columns": {"cell": "lstm", "width": 5, "init": {"recurrent": {"gaussian": 5.0}}, "state_std": 1.0},
    "relu that dies": {"cell": "relu", "width": 2, "init": {"recurrent": {"gaussian": 1.4}}, "state_std": 1.0},
    "relu that grows before it dies": {"cell": "relu", "width": 2, "init": {"recurrent": {"gaussian": 40.0}}},
    "relu that overflows": {"cell": "relu", "width": 16, "init": {"recurrent": {"gaussian": 6.0}}},
    "saturated tanh": {
        "cell": "tanh",
        "width": 3,
        "init": {"recurrent": {"gaussian": 60.0}, "bias": {"gaussian": 9.0}},
    },
}


def firsts(point, replicates, ladders=LADDERS):
    """(observed, by brute force, distance), each (replicates, rows): first passages from every step's log-norm.

    distance: how near any log-norm, of those up to the later of the two passages, comes to the threshold's logarithm.
    """
    tables = seen(point, replicates, {"passage": ladders}, tile=TILE)
    rows = len(looking(point, {"passage": ladders})[0].index(point)["threshold"])
    table = pl.from_arrow(tables["passage"])
    observed = table["first"].fill_null(NEVER).to_numpy().reshape(replicates, rows)
    samples, brute, distance = pl.from_arrow(tables["samples"]), [], []
    for measure, threshold, direction in table.head(rows).select("measure", "threshold", "direction").iter_rows():
        log = samples[measure].to_numpy().reshape(replicates, -1)
        beyond = log < np.log(threshold) if direction == "below" else log > np.log(threshold)
        brute.append(np.where(beyond.any(axis=1), beyond.argmax(axis=1) + 1, NEVER))
        distance.append(np.abs(log - np.log(threshold)).min(axis=1))
    return observed, np.stack(brute, axis=1), np.stack(distance, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", POINTS)
def test_first_passages_are_those_of_a_chain_whose_every_step_is_stored(name, dtype):
    point = DesignPoint(**POINTS[name], horizons=range_to(150), dtype=dtype)
    observed, brute, distance = firsts(point, min(100, tiled(point, TILE).block))
    differ = observed != brute
    # Stored log-norms of a float32 chain are rounded to 24 bits, |log| <= 14: only a tie may come out differently.
    assert distance[differ].max(initial=0) < (1e-6 if dtype == "float32" else 1e-13)
    assert differ.mean() < 1e-3
    assert (brute != NEVER).any()


def range_to(last):
    return tuple(range(1, last + 1))


def test_a_dead_chain_has_passed_below_and_an_overflow_above_every_threshold():
    ladders = {"vanish": [1e-300], "explode": [1e300]}
    dies = DesignPoint(**POINTS["relu that dies"], horizons=range_to(60))
    observed, _, _ = firsts(dies, 100, ladders)
    samples = pl.from_arrow(run_block(dies, 0, 100, cut=tiled(dies, TILE)))
    dead = (samples["status"].cast(pl.String) == "dead").to_numpy().reshape(100, -1)
    first = np.where(dead.any(axis=1), dead.argmax(axis=1) + 1, NEVER)
    assert (first != NEVER).sum() > 20
    np.testing.assert_array_equal(observed[:, 0], first)

    flows = DesignPoint(**POINTS["relu that overflows"], horizons=range_to(120))
    observed, _, _ = firsts(flows, 50, ladders)
    samples = pl.from_arrow(run_block(flows, 0, 50, cut=tiled(flows, TILE)))
    over = (samples["status"].cast(pl.String) == "overflow").to_numpy().reshape(50, -1)
    first = np.where(over.any(axis=1), over.argmax(axis=1) + 1, NEVER)
    assert (first != NEVER).mean() > 0.9
    np.testing.assert_array_equal(observed[:, 1], first)


def test_a_linear_chain_of_one_unit_passes_when_its_power_does():
    # ||P_t|| = |u|^t, so the first passage below is the least t with t log|u| < log threshold, in exact arithmetic.
    point = DesignPoint(
        cell="linear",
        width=1,
        init={"recurrent": {"gaussian": 1.0}},
        drive="none",
        horizons=[1, 400],
        dtype="float64",
    )
    tables = seen(point, 500, {"passage": LADDERS})
    rate = pl.from_arrow(tables["samples"]).filter(pl.col("horizon") == 1)["log_spectral"].to_numpy()
    passages = pl.from_arrow(tables["passage"]).filter(pl.col("measure") == "log_spectral")
    for (threshold, direction), of_rung in passages.group_by("threshold", "direction"):
        steps = np.floor(np.log(threshold) / rate) + 1
        passes = (rate < 0) == (direction == "below")
        wanted = np.where(passes & (steps <= 400), steps, NEVER)
        np.testing.assert_array_equal(of_rung["first"].fill_null(NEVER).to_numpy(), wanted)


@pytest.mark.slow
def test_an_orthogonal_chain_passes_nothing_in_many_steps():
    init = {"recurrent": {"orthogonal": 1.0}}
    point = DesignPoint(cell="linear", width=9, init=init, drive="none", horizons=[5000])
    assert pl.from_arrow(seen(point, 20, "passage")["passage"])["first"].null_count() == 20 * 16


@pytest.mark.slow
def test_looking_for_more_changes_neither_first_passages_nor_samples():
    for horizons in ([100], range_to(100)):
        point = DesignPoint(**POINTS["critical tanh"], horizons=horizons)
        some, more = seen(point, 30, "passage"), seen(point, 30, "passage", "extremes")
        assert some["passage"].equals(more["passage"])
        assert some["samples"].equals(more["samples"])
        assert some["samples"].equals(run_block(point, 0, 30))


@pytest.mark.parametrize("name", ["near-stable lstm", "critical tanh"])
def test_a_bound_that_claims_too_much_is_caught(name, monkeypatch):
    # Planted: the largest column norm taken for the spectral norm itself, as if the chain were of rank one.
    right = passage._Watch._draw_closer

    def wrong(self, low, high, *rest):
        right(self, low, high, *rest)
        high[0] = low[0] + 2 * passage.ROUNDING

    monkeypatch.setattr(passage._Watch, "_draw_closer", wrong)
    point = DesignPoint(**POINTS[name], horizons=range_to(150), dtype="float64")
    observed, brute, _ = firsts(point, min(100, tiled(point, TILE).block))
    assert (observed != brute).any()


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"vanish": [0.1, 2.0]}, "passage"),
        ({"vanish": []}, "passage"),
        ({"vanish": "0.1"}, "passage"),
        ({"explode": [10.0, 10.0]}, "passage.explode"),
        ({"explode": [float("inf")]}, "passage.explode"),
        ({"explode": True}, "passage.explode"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused_by_name(parameters, place):
    with pytest.raises(UsageError, match=f"observables.{place}: .* is not a ladder of thresholds on the norm; give "):
        looking(DesignPoint(cell="tanh", width=2), {"passage": parameters})


def test_a_ladder_is_kept_sorted_away_from_one_and_written_as_it_reads():
    said = Passage.read({"vanish": [1e-6, 0.1], "explode": 100}, "")
    assert said.vanish == (0.1, 1e-6)
    assert said.explode == (100.0,)
    (again,) = looking(DesignPoint(cell="tanh", width=2), said.written())
    assert again == said


# --- the summary ----------------------------------------------------------------------------------


def summary_of(first, group=1, vanish=(0.1, 1e-3), explode=(10.0, 1e3)):
    """The summary of first passages given as (replicates, rungs), the same for both measures."""
    observable = Passage(vanish=vanish, explode=explode)
    index = observable.index(None)
    both = np.concatenate([first, first], axis=1)
    rows = both.shape[1]
    table = pl.DataFrame(
        {
            "point": pl.Series(["0123456789ab"] * both.size, dtype=pl.Categorical),
            "block": np.zeros(both.size, np.int32),
            "replicate": np.repeat(np.arange(len(both), dtype=np.int32), rows),
            **{name: np.tile(labels, len(both)) for name, labels in index.items()},
            "first": pl.Series(both.ravel(), dtype=pl.Int32).replace(NEVER, None),
        }
    )
    return SUMMARY.summarise(observable, table, Settings(1e-3, 1e3, group=group))


def test_the_summary_counts_replicates_and_takes_quantiles_over_those_that_never_pass_too():
    random = np.random.default_rng(5)
    first = random.integers(1, 50, (400, 4)).astype(np.int32)
    first[random.random((400, 4)) < [0.0, 0.1, 0.5, 1.0]] = NEVER
    rows = summary_of(first).filter(pl.col("measure") == "log_rms")
    beyond = np.where(first == NEVER, np.inf, first)
    for rung, row in enumerate(rows.iter_rows(named=True)):
        passed = np.count_nonzero(first[:, rung] != NEVER)
        assert row["replicates"] == 400
        assert row["passed_count"] == passed
        assert row["p_passed"] == passed / 400
        for percent in (5, 25, 50, 75, 95):
            wanted = np.quantile(beyond[:, rung], percent / 100, method="inverted_cdf")
            assert row[f"q{percent:02d}"] == (None if np.isinf(wanted) else wanted)
        assert row["smallest"] == (beyond[:, rung].min() if passed else None)
        assert row["largest"] == (first[:, rung].max() if passed else None)


def test_the_intervals_are_those_of_scipy():
    from scipy.stats import binomtest

    first = np.where(np.arange(300)[:, None] < [200, 30, 0, 300], 7, NEVER)
    for row in summary_of(first).iter_rows(named=True):
        interval = binomtest(row["passed_count"], 300).proportion_ci(method="wilson")
        assert row["p_passed_low"] == pytest.approx(interval.low, abs=1e-12)
        assert row["p_passed_high"] == pytest.approx(interval.high, abs=1e-12)


def test_vanishing_and_exploding_compete_and_each_counts_only_where_it_came_first():
    # By hand: below 0.1 at 3, 9, never, never; above 10 at 5, 2, 4, never.
    first = np.array([[3, NEVER, 5, NEVER], [9, NEVER, 2, NEVER], [NEVER, NEVER, 4, NEVER], [NEVER] * 4])
    rows = summary_of(first).filter(pl.col("measure") == "log_spectral")
    assert rows["opposite"].to_list() == [10.0, 1e3, 0.1, 1e-3]
    assert rows["first_count"].to_list() == [1, 0, 2, 0]
    assert rows["p_first"].to_list() == [0.25, 0, 0.5, 0]
    assert rows["p_passed"].to_list() == [0.5, 0, 0.75, 0]  # planted: counting whoever passed at all


def test_competing_risks_are_counted_and_not_one_minus_kaplan_meier():
    from scipy.stats import CensoredData, ecdf

    random = np.random.default_rng(11)
    down, up = random.geometric(0.02, 3000), random.geometric(0.03, 3000)
    last = 60
    first = np.stack([np.where(t <= last, t, NEVER) for t in (down, up)], axis=1)
    first = first[down != up][:, [0, 0, 1, 1]]  # a norm is never on both sides at once
    down, up = (np.where(passed == NEVER, last + 1, passed) for passed in (first[:, 0], first[:, 2]))
    row = summary_of(first).row(0, named=True)
    assert row["p_first"] == np.mean((down <= last) & (down < up))  # Aalen and Johansen's, as nothing is censored
    event = (down <= last) & (down < up)
    time = np.minimum(np.minimum(down, up), last)
    alone = 1 - ecdf(CensoredData(uncensored=time[event], right=time[~event])).sf.evaluate(last)
    assert alone > row["p_first_high"]  # Kaplan and Meier's, with the other risk as censoring, answers another question


@pytest.mark.slow
def test_where_every_step_is_stored_the_shares_are_those_of_the_statistics():
    point = DesignPoint(**POINTS["two units"], horizons=range_to(150), dtype="float64")
    tables = seen(point, 300, "passage")
    known = point_statistics(pl.from_arrow(tables["samples"]), 1e-3, 1e3).filter(pl.col("horizon") == 150)
    settings = Settings(1e-3, 1e3)
    rows = SUMMARY.summarise(Passage(), pl.from_arrow(tables["passage"]), settings)
    for of_measure in known.iter_rows(named=True):
        for threshold, event in ((1e-3, "vanish"), (1e3, "explode")):
            row = rows.row(
                by_predicate=(pl.col("measure") == of_measure["measure"]) & (pl.col("threshold") == threshold),
                named=True,
            )
            assert row["first_count"] == of_measure[f"{event}_by_count"] > 0
            for end in ("", "_low", "_high"):
                assert row[f"p_first{end}"] == pytest.approx(of_measure[f"p_{event}_by{end}"], abs=1e-12)


def test_a_rung_without_a_mirror_has_no_opposite():
    rows = summary_of(np.full((5, 3), 4, np.int32), vanish=(0.1, 1e-3), explode=(10.0,))
    assert rows["opposite"].to_list() == [10.0, None, 0.1] * 2
    assert rows["p_first"].to_list() == [0, None, 0] * 2


def test_replicates_of_one_weight_draw_widen_the_interval():
    first = np.repeat(np.where(np.arange(60) % 3 == 0, 5, NEVER), 10)[:, None].repeat(4, axis=1)
    single, shared = (summary_of(first, group).row(0, named=True) for group in (1, 10))
    width = [row["p_passed_high"] - row["p_passed_low"] for row in (single, shared)]
    assert width[1] == pytest.approx(width[0] * math.sqrt(10), rel=0.1)


# --- the pictures of this observable and of the two that are looked at likewise -------------------


@pytest.mark.process
@pytest.mark.parametrize("name", ["passage", "extremes", "gradient"])
def test_a_picture_has_one_chart_a_cell_and_renders(name):
    entry = {"cell": ["tanh", "lstm"], "width": [2, 3], "observables": [name]}
    study = study_of(small(points=[entry], horizons=[1, 4, 12], replicates=20))
    summaries = []
    points = cut_up(study)
    for stored in points:
        (observable,) = stored.observables
        table = pl.from_arrow(seen(stored.design, 20, name)[name])
        summaries.append(summary_named(name).summarise(observable, table, Settings(1e-3, 1e3)))
    charts = picture_of(name).charts(pl.concat(summaries), pl.from_arrow(describe_points(study.points, points)))
    assert list(charts) == [f"{name}-tanh", f"{name}-lstm"]
    assert all(len(content) > 5000 for content in rendered(charts).values())


def test_every_corner_of_a_curve_lies_on_the_empirical_distribution():
    first = np.random.default_rng(2).integers(1, 90, (300, 4)).astype(np.int32)
    first[first > 60] = NEVER
    for rung, row in enumerate(summary_of(first).head(4).iter_rows(named=True)):
        corners = _corners(row | {"panel": "", "label": "", "last": 60})
        passed = np.where(first[:, rung] == NEVER, 61, first[:, rung])
        for corner in corners:
            # A quantile is the first step by which its share has passed, so that the step before has not reached it.
            assert np.mean(passed < corner["step"]) <= corner["share"] <= np.mean(passed <= corner["step"])
        assert corners[-1]["share"] == row["p_passed"] == np.mean(passed <= 60)
