"""Replicates are enough when confidence sequences say so: at their level, and whoever sampled what when."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from scipy import stats
from studies import command, snakemake, study_of, write

import rnnmc
from rnnmc.run.aggregate import aggregate
from rnnmc.run.measure import measure_until
from rnnmc.run.pipeline import plan
from rnnmc.run.planning import status, status_told
from rnnmc.run.sampling import jobs_missing, sample, sample_all
from rnnmc.statistics.growth import BY_NORM, TANGENT_VECTOR, Estimator
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.point import point_statistics, rectangle
from rnnmc.statistics.sequences import sequence_half, sequence_ranks
from rnnmc.statistics.stopping import (
    Knowledge,
    known,
    mean_known,
    quantile_known,
    reached,
    replicates_enough,
    seen_of,
    share_known,
    short_of,
)
from rnnmc.store.folder import manifest_path
from rnnmc.store.plan import cut_up, stored_points
from rnnmc.store.stored_point import StoredPoint
from rnnmc.store.verify import verify
from rnnmc.study.replicates import KNOWABLE, Until
from rnnmc.study.study import Thresholds

THRESHOLDS = Thresholds()
RUNS, BLOCK, MOST = 10_000, 40, 1200
LOOKS = np.arange(BLOCK, MOST + 1, BLOCK)


def until(**said: float | str) -> Until:
    return Until.read(said)


def drawn(p_vanish: float, p_explode: float, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Vanished, exploded and stable replicates in random order."""
    at = rng.random(count)
    return {"p_vanish_at": at < p_vanish, "p_explode_at": at > 1 - p_explode}


def of_counts(count: np.ndarray, looks: np.ndarray) -> Knowledge:
    """`share_known` of counts (runs, looks), each pair of a count and a look worked out once."""
    every = np.minimum(np.arange(count.max() + 1)[:, None], looks)
    return Knowledge(
        *(of[count, np.arange(len(looks))] for of in share_known(every, np.broadcast_to(looks, every.shape)))
    )


def misses(what: Knowledge, enough: np.ndarray, truth: float) -> tuple[float, float]:
    """How often a run misses the truth at its stop, (runs, looks) each; and the share of runs that have stopped."""
    run, stop = np.arange(len(enough)), np.argmax(enough, axis=1)
    missed = (what.low > truth) | (what.high < truth)
    stopped = enough.any(axis=1)
    return float(missed[run, stop][stopped].mean()), float(stopped.mean())


@pytest.mark.slow
@pytest.mark.parametrize("p_vanish", [0.02, 0.3])
def test_ten_thousand_stopped_runs_miss_no_more_often_than_the_level_allows(p_vanish):
    rng, goal = np.random.default_rng(1), until(half_width=0.1)
    at = rng.random((RUNS, MOST), dtype=np.float32)
    events = {"p_vanish_at": at < np.float32(p_vanish), "p_explode_at": at > np.float32(0.99)}
    both = [of_counts(np.cumsum(one, axis=1)[:, LOOKS - 1], LOOKS) for one in events.values()]
    narrow = np.logical_and.reduce([reached(goal, one) <= 0.1 for one in both])
    assert narrow.any(axis=1).all()
    for run in range(0, RUNS, 100):
        seen = {column: of[run] for column, of in events.items()}
        assert replicates_enough(seen, BLOCK, MOST, goal) == LOOKS[np.argmax(narrow[run])]
    # measured: well below 1 %, so that a true rate above 5 % would give so few with probability far below 1e-6
    assert misses(both[0], narrow, p_vanish)[0] <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize(
    ("goal", "p", "block"),
    [
        (until(relative=0.3, of="p_explode_at"), 0.2, 50),
        (until(relative=0.5, of="p_explode_by"), 0.01, 500),
        (until(events=1, of="p_explode_at"), 0.02, 1),
        (until(events=30, of="p_explode_at"), 0.02, 100),
        (until(deviation=0.02, of="p_growing"), 0.01, 100),
    ],
    ids=lambda value: value.told() if isinstance(value, Until) else str(value),
)
def test_ten_thousand_runs_that_stop_by_a_share_keep_the_level(goal, p, block):
    rng = np.random.default_rng(5)
    looks = block * np.arange(1, 101)
    count = np.cumsum(rng.binomial(block, p, size=(RUNS, 100)), axis=1)
    what = of_counts(count, looks)
    far = reached(goal, what)
    missed, stopped = misses(what, far >= goal.value if goal.goal == "events" else far <= goal.value, p)
    assert stopped > 0.8
    assert missed <= 0.03  # measured: at most 2.4 %; a rate of 5 % would give so few with probability below 1e-20
    if goal.goal == "relative":  # what it is for: the share itself is off by no more than that part of the truth
        stop = np.argmax(far <= goal.value, axis=1)
        off = np.abs(what.estimate[np.arange(RUNS), stop] / p - 1)[(far <= goal.value).any(axis=1)]
        assert (off > goal.value).mean() <= 0.03


LAWS = {
    "normal": (lambda rng, size: rng.standard_normal(size), 0.0),
    "exponential": (lambda rng, size: -rng.exponential(size=size), -1.0),
    "mostly the same": (lambda rng, size: (rng.random(size) < 0.1).astype(float), 0.1),
}


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_ten_thousand_runs_that_stop_by_a_mean_keep_the_level(law):
    draw, truth = LAWS[law]
    values = draw(np.random.default_rng(6), (RUNS, MOST))
    total, square = (np.cumsum(of, axis=1)[:, LOOKS - 1] for of in (values, values**2))
    mean = total / LOOKS
    error = np.sqrt((square / LOOKS - mean**2) / (LOOKS - 1))
    what, target = mean_known(mean, error, LOOKS), 0.2 * values.std()
    missed, stopped = misses(what, reached(until(deviation=target, of="mean"), what) <= target, truth)
    assert stopped == 1
    assert missed <= 0.03
    of_one = known("growth_rate", values[7], LOOKS)
    np.testing.assert_allclose([of_one.low, of_one.high], [what.low[7], what.high[7]], rtol=1e-9, atol=1e-12)
    # the mistake: Student's interval, looked at after every block, and a stop as soon as it leaves out zero effect
    half = stats.t.ppf(0.975, LOOKS - 1) * error
    assert np.any(np.abs(mean - truth) > half, axis=1).mean() > 0.2
    assert np.any((what.low > truth) | (what.high < truth), axis=1).mean() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("percent", [5, 50])
def test_ten_thousand_runs_that_stop_by_a_quantile_keep_the_level(percent):
    values = np.random.default_rng(7).random((RUNS, 400), dtype=np.float32)
    looks = np.arange(40, 401, 40)
    what = quantile_known(values, looks, percent)
    goal = until(deviation=0.12, of=f"q{percent:02d}")
    missed, stopped = misses(what, reached(goal, what) <= goal.value, percent / 100)
    assert stopped > 0.9
    assert missed <= 0.03
    assert np.any((what.low > percent / 100) | (what.high < percent / 100), axis=1).mean() < 0.05


def stopped_at_events(p: float, events: int, block: int, kind: str) -> tuple[float, float]:
    """How probably the lower and the upper 95 % bound miss p at the first block with so many events, exactly."""
    going, replicates, below, above = np.array([1.0]), 0, 0.0, 0.0
    while going.sum() > 1e-12:
        replicates += block
        now = np.convolve(going, stats.binom.pmf(np.arange(block + 1), block, p))
        count = np.arange(events, len(now))
        low, high = binomial_interval(np.minimum(count, replicates), np.full(len(count), replicates), kind=kind)
        below, above = below + now[events:][low > p].sum(), above + now[events:][high < p].sum()
        going = now[:events]
    return below, above


def test_an_interval_for_a_fixed_number_fails_after_a_stop_at_so_many_events_and_a_confidence_sequence_holds():
    """The planted mistake, without any simulation: the law of the stop is a sum over binomial ones."""
    # The default of curves, Wilson's, after the first event: 17 % in place of 5 %.
    assert sum(stopped_at_events(0.043, 1, 2, "wilson")) > 0.16
    # Clopper and Pearson's covers "at least as often as it says", but one side of it misses more often than it may.
    below, above = stopped_at_events(0.0126, 30, 400, "clopper-pearson")
    assert below > 0.033 > 0.025
    assert below + above > 0.0525 > 0.05
    for p, events, block in ((0.043, 1, 2), (0.0126, 30, 400), (0.0233, 1, 1)):
        assert sum(stopped_at_events(p, events, block, "confidence-sequence")) < 0.025


def test_where_replicates_are_looked_at_one_by_one_the_clopper_pearson_interval_of_inverse_sampling_holds():
    """The law is known: the number of replicates up to the r-th event is negative binomial."""
    below, above = stopped_at_events(0.05, 10, 1, "clopper-pearson")
    law = stats.nbinom(10, 0.05)
    number = np.arange(2000) + 10
    low, high = binomial_interval(np.full(2000, 10), number, kind="clopper-pearson")
    assert below == pytest.approx(law.pmf(number - 10)[low > 0.05].sum(), abs=1e-10)
    assert above == pytest.approx(law.pmf(number - 10)[high < 0.05].sum(), abs=1e-10)
    assert max(below, above) < 0.025


def test_the_half_width_of_a_mean_is_where_the_t_likelihood_mixed_over_effects_reaches_the_inverse_of_the_level():
    number, level = 60, 0.95
    half = float(sequence_half(1.0, number, level))  # in standard errors: the t statistic itself
    effects, step = np.linspace(-0.8, 0.8, 4001, retstep=True)
    mixed = stats.nct.pdf(half, number - 1, np.sqrt(number) * effects) @ stats.norm.pdf(effects, scale=0.1) * step
    assert mixed / stats.t.pdf(half, number - 1) == pytest.approx(20, rel=1e-6)
    assert np.isinf(sequence_half(1.0, 20))
    assert sequence_half(0.0, 100) == 0
    assert float(sequence_half(1.0, 800)) == pytest.approx(3.04, abs=0.01)  # what looking costs: Student's is 1.96


def test_the_ranks_of_a_quantile_are_those_whose_share_a_confidence_sequence_does_not_reject():
    for number in (1, 5, 40, 333):
        low, high = binomial_interval(np.arange(number + 1), number, kind="confidence-sequence")
        for share in (0.05, 0.5, 0.9):
            inside = np.flatnonzero((low <= share) & (share <= high))
            first, last = sequence_ranks([number], share)
            assert (first[0], last[0]) == (inside[0], inside[-1] + 1)


def test_the_decision_needs_no_more_than_the_blocks_from_the_first_on():
    rng = np.random.default_rng(3)
    seen = drawn(0.2, 0.1, MOST, rng) | {"growth_rate": rng.standard_normal(MOST), "q25": rng.standard_normal(MOST)}
    goals = [
        until(half_width=0.05),
        until(relative=0.4, of="p_vanish_at"),
        until(events=70),
        until(deviation=0.2, of="growth_rate"),
        until(deviation=0.25, of="q25"),
    ]
    for goal in goals:
        own = {column: seen[column] for column in goal.columns}
        enough = replicates_enough(own, BLOCK, MOST, goal)
        assert enough is not None
        assert 0 < enough < MOST, goal
        assert enough % BLOCK == 0
        for there in range(BLOCK, MOST, 7 * BLOCK):
            known_so_far = {column: of[:there] for column, of in own.items()}
            expected = enough if there >= enough else None
            assert replicates_enough(known_so_far, BLOCK, MOST, goal) == expected
        short, long = ({column: of[:there] for column, of in own.items()} for there in (enough - BLOCK, enough))
        assert short_of(short, goal) is not None
        assert short_of(long, goal) is None


def test_what_cannot_be_known_so_well_takes_all_there_are():
    seen, goal = drawn(0.5, 0.1, 130, np.random.default_rng(4)), until(half_width=0.01)
    first = {column: of[:80] for column, of in seen.items()}
    assert replicates_enough(first, 40, 130, goal) is None
    assert replicates_enough(seen, 40, 130, goal) == 130
    assert str(short_of(seen, goal)).startswith("know P(vanish) to +- 0.1")
    never = {"p_explode_at": np.zeros(130, bool)}
    for impossible in (until(relative=0.9, of="p_explode_at"), until(events=1, of="p_explode_at")):
        assert replicates_enough(never, 40, 130, impossible) == 130
    lost = {"growth_rate": np.where(np.arange(130) == 50, np.inf, 0.0)}  # one has overflowed: no mean is known
    assert replicates_enough(lost, 40, 130, until(deviation=1.0, of="growth_rate")) == 40
    lost = {"growth_rate": lost["growth_rate"][::-1]}
    assert replicates_enough(lost, 100, 130, until(deviation=1.0, of="growth_rate")) == 130


def test_what_decides_is_the_very_column_of_the_statistics():
    point = rnnmc.DesignPoint(cell="relu", width=2, init={"recurrent": {"gaussian": 1.2}}, horizons=(1, 4, 40))
    samples = pl.DataFrame(rnnmc.run_block(point, 0, 300))
    for estimator in (BY_NORM, Estimator(TANGENT_VECTOR, False)):
        looked = (THRESHOLDS.vanish, THRESHOLDS.explode, "confidence-sequence")
        statistics = point_statistics(samples, *looked, estimator=estimator)
        row = statistics.filter((pl.col("horizon") == 40) & (pl.col("measure") == "log_spectral")).row(0, named=True)
        assert 0 < row["p_dead_at"] < 1
        for column in KNOWABLE:
            goal = until(deviation=0.1, of=column)
            seen = seen_of(rectangle(samples), goal, THRESHOLDS, estimator)
            what = known(column, seen[column], np.array([len(seen[column])]))
            middle = pytest.approx(row[column], rel=1e-6)
            assert what.estimate[0] == middle or column == "growth_median", column  # the lower of two middle values
            if f"{column}_low" in row and column != "growth_rate":
                assert row[f"{column}_low"] == pytest.approx(what.low[0], rel=1e-9)
                assert row[f"{column}_high"] == pytest.approx(what.high[0], rel=1e-9)
            if column == "growth_rate":  # beside what the other estimator leaves open
                wider = abs(row["growth_systematic"])
                assert row[f"{column}_high"] - row[f"{column}_low"] == pytest.approx(what.high[0] - what.low[0] + wider)


POINT = {"cell": "tanh", "width": 2, "init": {"recurrent": {"gaussian": 1.0}}}  # half of them vanish in ten steps
CONTENT = {
    "study": "adaptive",
    "horizons": [1, 10],
    "points": [
        POINT | {"replicates": {"deviation": 0.005, "of": "growth_rate", "max": 400_000}},
        POINT | {"width": 3, "replicates": 500},
    ],
}


@pytest.mark.slow
def test_a_study_stops_at_the_same_replicates_however_many_blocks_run_at_a_time(tmp_path):
    study = study_of(CONTENT)
    used = []
    for slots in (1, 5):
        folder = tmp_path / str(slots)
        plan(study, folder)
        while jobs := jobs_missing(folder, cut_up(study), study.thresholds, slots):
            sample(folder, jobs, None, "cpu")
        sample_all(folder, cut_up(study), study.thresholds, None, "cpu")
        used.append([stored.replicates for stored in stored_points(folder)])
        statistics = aggregate(folder, study.thresholds, study.interval)
        row = statistics.filter(pl.col("replicates") == used[-1][0]).row(-1, named=True)
        assert row["interval"] == "confidence-sequence"
        beside = abs(row["growth_systematic"])
        assert row["growth_rate_high"] - row["growth_rate_low"] - beside <= 2 * 0.005
        assert rnnmc.scan(folder).collect().height == sum(used[-1]) * 2
        proof = verify(folder)
        assert not proof.unplanned
        assert not proof.missing
    assert used[0] == used[1]
    assert used[0][0] < 400_000
    assert used[0][1] == 500
    point = study.points[0].point
    here = measure_until(point, (), until(deviation=0.005, of="growth_rate"), study.thresholds, most=400_000)["samples"]
    assert here.height == used[0][0] * 2


@pytest.mark.slow
def test_a_narrower_target_goes_on_from_what_is_there(tmp_path):
    wide, narrow = (
        study_of(CONTENT | {"points": [POINT | {"replicates": {"half_width": h, "max": 400_000}}]})
        for h in (0.02, 0.004)
    )
    plan(wide, tmp_path)
    sample_all(tmp_path, cut_up(wide), wide.thresholds, None, "cpu")
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("samples/**/*.parquet")}
    (few,) = stored_points(tmp_path)
    assert status(tmp_path)["points"][0]["until"] is None
    plan(narrow, tmp_path)
    (undecided,) = stored_points(tmp_path)
    assert undecided.replicates == 400_000
    said = [str(one) for one in status_told(status(tmp_path))]
    assert "of up to" in said[0]
    assert "up to: as many as it takes to know P(vanish) and P(explode) to +- 0.004" in said
    sample_all(tmp_path, cut_up(narrow), narrow.thresholds, None, "cpu")
    (many,) = stored_points(tmp_path)
    assert few.replicates < many.replicates < 400_000
    assert all(path.stat().st_mtime_ns == when for path, when in first.items())
    manifest = json.loads(manifest_path(tmp_path, StoredPoint.of(narrow.points[0])).read_bytes())
    assert manifest["replicates"] == many.replicates


@pytest.mark.slow
@pytest.mark.process
def test_the_workflow_stops_at_the_same_replicates_as_this_process(tmp_path):
    study = study_of(CONTENT)
    plan(study, tmp_path / "here")
    sample_all(tmp_path / "here", cut_up(study), study.thresholds, None, "cpu")
    done = command(*snakemake(write(tmp_path, CONTENT), "--until", "aggregate"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    used, here = (stored_points(folder) for folder in (tmp_path / "results/adaptive", tmp_path / "here"))
    assert [place.replicates for place in used] == [place.replicates for place in here]
    assert verify(tmp_path / "results/adaptive").digest == verify(tmp_path / "here").digest
