"""Replicates are enough when confidence sequences say so: at their level, and whoever sampled what when."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from studies import command, snakemake, study_of, write

import rnnmc
from rnnmc.run.aggregate import aggregate
from rnnmc.run.measure import measure_until
from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import jobs_missing, sample, sample_all
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.stopping import counts_of, half_widths, replicates_enough
from rnnmc.store.folder import manifest_path
from rnnmc.store.plan import cut_up, stored_points
from rnnmc.store.stored_point import StoredPoint
from rnnmc.store.verify import verify
from rnnmc.study.study import Thresholds

THRESHOLDS = Thresholds()
RUNS, BLOCK, MOST = 10_000, 40, 1200


def log_norms(p_vanish: float, p_explode: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Vanished, exploded and stable replicates in random order."""
    at = rng.random(count)
    return np.where(at < p_vanish, -20.0, np.where(at > 1 - p_explode, 20.0, 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("p_vanish", [0.02, 0.3])
def test_ten_thousand_stopped_runs_miss_no_more_often_than_the_level_allows(p_vanish):
    rng = np.random.default_rng(1)
    runs = np.stack([log_norms(p_vanish, 0.01, MOST, rng) for _ in range(RUNS)])
    counts = np.arange(BLOCK, MOST + 1, BLOCK)
    vanished, exploded = (np.cumsum(event, axis=1)[:, counts - 1] for event in (runs < -7, runs > 7))
    narrow = half_widths(vanished, exploded, np.broadcast_to(counts, vanished.shape)) <= 0.1
    assert narrow.any(axis=1).all()
    stop = np.argmax(narrow, axis=1)
    for run in range(0, RUNS, 100):
        assert replicates_enough(runs[run], BLOCK, MOST, 0.1, THRESHOLDS) == counts[stop[run]]
    low, high = binomial_interval(vanished[np.arange(RUNS), stop], counts[stop], kind="confidence-sequence")
    # measured: well below 1 %, so that a true rate above 5 % would give so few with probability far below 1e-6
    assert np.count_nonzero((low > p_vanish) | (high < p_vanish)) <= 0.02 * RUNS


@pytest.mark.slow
def test_looking_at_a_fixed_number_interval_after_each_block_misses_more_often_than_its_level():
    """The mistake that the confidence sequence is there for: Jeffreys' 95 % interval, and a stop once it is narrow."""
    rng = np.random.default_rng(2)
    p, half_width, block = 0.1, 0.05, 10
    events = rng.random((RUNS, 600)) < p
    counts = np.arange(block, 601, block)
    seen = np.cumsum(events, axis=1)[:, counts - 1]
    low, high = binomial_interval(seen, np.broadcast_to(counts, seen.shape), kind="jeffreys")
    misses = (low > p) | (high < p)
    stop = np.argmax((high - low) / 2 <= half_width, axis=1)
    # a rate of 5 % would give more than 630 of 10,000 with probability below 1e-8
    assert np.count_nonzero(misses[np.arange(RUNS), stop]) > 630
    assert np.count_nonzero(misses[:, round(stop.mean())]) < 630  # the interval itself, at a number fixed beforehand


def test_the_decision_needs_no_more_than_the_blocks_from_the_first_on():
    samples = log_norms(0.2, 0.1, MOST, np.random.default_rng(3))
    enough = replicates_enough(samples, BLOCK, MOST, 0.05, THRESHOLDS)
    assert enough is not None
    assert enough % BLOCK == 0
    for there in range(0, MOST, 7 * BLOCK):
        expected = enough if there >= enough else None
        assert replicates_enough(samples[:there] if there else samples[:1], BLOCK, MOST, 0.05, THRESHOLDS) == expected
    around = np.array([enough - BLOCK, enough])
    before, after = half_widths(*counts_of(samples, around, THRESHOLDS), around)
    assert before > 0.05 >= after


def test_what_cannot_be_known_so_well_takes_all_there_are():
    samples = log_norms(0.5, 0.1, 130, np.random.default_rng(4))
    assert replicates_enough(samples[:80], 40, 130, 0.01, THRESHOLDS) is None
    assert replicates_enough(samples, 40, 130, 0.01, THRESHOLDS) == 130


POINT = {"cell": "tanh", "width": 2, "init": {"recurrent": {"gaussian": 1.0}}}  # half of them vanish in ten steps
CONTENT = {
    "study": "adaptive",
    "horizons": [1, 10],
    "points": [
        POINT | {"replicates": {"half_width": 0.004, "max": 400_000}},
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
        assert (row["p_vanish_at_high"] - row["p_vanish_at_low"]) / 2 <= 0.004
        assert rnnmc.scan(folder).collect().height == sum(used[-1]) * 2
        proof = verify(folder)
        assert not proof.unplanned
        assert not proof.missing
    assert used[0] == used[1]
    assert used[0][0] < 400_000
    assert used[0][1] == 500
    point = study.points[0].point
    here = measure_until(point, (), 0.004, study.thresholds, most=400_000)["samples"]
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
    plan(narrow, tmp_path)
    (undecided,) = stored_points(tmp_path)
    assert undecided.replicates == 400_000
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
