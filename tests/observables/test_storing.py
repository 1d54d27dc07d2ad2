"""What observables saw is stored beside the samples: found again, proved whole, and added without sampling anew."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from looking import looking, seen
from studies import command, sample_here, snakemake, study_of, write

import rnnmc
from rnnmc.common.errors import UsageError
from rnnmc.engine.block import run_block
from rnnmc.run.aggregate import aggregate
from rnnmc.run.pipeline import plan
from rnnmc.run.repair import repair
from rnnmc.run.sampling import jobs_missing, sample_all
from rnnmc.statistics.summaries.summary import moments, quantiles
from rnnmc.store.folder import shard_path
from rnnmc.store.plan import cut_up
from rnnmc.store.shards import DamagedShard
from rnnmc.store.verify import verify
from rnnmc.study.point import DesignPoint

KEYS = ["point", "block", "replicate", "horizon"]


def content(*observables: str, replicates: int = 200, width: int | tuple[int, ...] = (2, 12)) -> dict:
    entry = {"cell": "lstm", "width": width if isinstance(width, int) else list(width)}
    entry["observables"] = list(observables)
    return {"study": "seen", "replicates": replicates, "horizons": [1, 10, 50], "points": [entry]}


def times_written(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("samples/**/*.parquet")}


@pytest.mark.parametrize("width", [2, 12])
def test_observables_change_no_bit_of_the_samples(width):
    point = DesignPoint(cell="lstm", width=width, horizons=[1, 10, 50])
    tables = seen(point, 100, "vector", "extremes")
    assert set(tables) == {"samples", "vector", "extremes"}
    assert tables["samples"].equals(run_block(point, 0, 100))
    assert all(tables[one.name].schema == one.schema() for one in looking(point, "vector", "extremes"))


def test_a_study_stores_what_each_observable_saw_with_the_keys_of_the_samples(tmp_path):
    sample_here(study_of(content("vector", "extremes")), tmp_path)
    samples, seen = rnnmc.scan(tmp_path).collect(), rnnmc.scan(tmp_path, "vector").collect()
    assert seen.select(KEYS).sort(KEYS).equals(samples.select(KEYS).sort(KEYS))
    both = samples.join(seen, on=KEYS)
    assert (both["log_vector"] <= both["log_spectral"] + 1e-5).all()
    facts = json.loads(pq.read_metadata(next(tmp_path.rglob("observables/vector/**/*.parquet"))).metadata[b"rnnmc"])
    assert (facts["observable"], facts["replicates"]) == ("vector", 200)
    with pytest.raises(UsageError, match="saw nothing of paths; name it under observables"):
        rnnmc.scan(tmp_path, "paths")


@pytest.mark.parametrize("name", ["passage", "spectrum", "terms", "paths", "extremes", "vector", "gradient"])
def test_what_every_observable_stores_is_found_again(name, tmp_path):
    study = study_of(content(name, replicates=8, width=2))
    sample_here(study, tmp_path)  # which verifies
    assert not jobs_missing(tmp_path, cut_up(study))


def test_an_observable_that_is_asked_for_later_leaves_the_samples_untouched(tmp_path):
    first, later = study_of(content()), study_of(content("vector"))
    digest = sample_here(first, tmp_path)
    before = times_written(tmp_path)
    plan(later, tmp_path)
    assert len(jobs_missing(tmp_path, cut_up(later))) == 2
    assert sample_here(later, tmp_path) != digest  # it covers what the observable saw too
    assert times_written(tmp_path) == before
    assert not jobs_missing(tmp_path, cut_up(later))
    assert sample_here(first, tmp_path) == digest
    assert times_written(tmp_path) == before


def test_more_replicates_extend_both(tmp_path):
    sample_here(study_of(content("vector")), tmp_path)
    study = study_of(content("vector", replicates=300))
    sample_here(study, tmp_path)
    sample_all(tmp_path, cut_up(study), study.thresholds, None, "cpu")
    assert rnnmc.scan(tmp_path, "vector").collect().height == 2 * 300 * 3


def test_a_damaged_shard_of_an_observable_is_found_named_and_repaired(tmp_path):
    study = study_of(content("vector"))
    digest = sample_here(study, tmp_path)
    stored = cut_up(study)[0]
    path = shard_path(tmp_path, stored, 0, stored.observables[0])
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    proof = verify(tmp_path)
    assert [error.path for error in proof.damaged] == [path]
    with pytest.raises(DamagedShard, match="vector"):
        jobs_missing(tmp_path, cut_up(study))
    repair(tmp_path, proof)
    assert verify(tmp_path).digest == digest
    path.unlink()
    assert [(lost.key, block) for lost, block in verify(tmp_path).missing] == [(stored.key, 0)]


@pytest.mark.slow
@pytest.mark.process
def test_the_workflow_sums_up_observables_and_runs_again_when_one_is_added(tmp_path):
    path = write(tmp_path, content("vector", width=2))
    done = command(*snakemake(path, "--until", "aggregate"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "results/seen"
    assert (folder / "statistics-vector.csv").exists()
    write(tmp_path, content("vector", "extremes", width=2))
    done = command(*snakemake(path, "--until", "aggregate"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (folder / "statistics-extremes.csv").exists()


def test_the_usual_summary_agrees_with_numpy(tmp_path):
    study = study_of(content("vector"))
    sample_here(study, tmp_path)
    sample_all(tmp_path, cut_up(study), study.thresholds, None, "cpu")
    aggregate(tmp_path, study.thresholds, study.interval)
    table = pl.read_parquet(tmp_path / "statistics-vector.parquet")
    seen = rnnmc.scan(tmp_path, "vector").collect()
    assert table.height == 2 * 3
    for row in table.iter_rows(named=True):
        values = seen.filter(point=row["point"], horizon=row["horizon"])["log_vector"].to_numpy()
        assert row["replicates"] == row["finite"] == len(values) == 200
        assert row["mean"] == pytest.approx(np.mean(values), rel=1e-12)
        assert row["deviation"] == pytest.approx(np.std(values, ddof=1), rel=1e-12)
        assert row["error"] == pytest.approx(np.std(values, ddof=1) / math.sqrt(200), rel=1e-12)
        for percent in (5, 25, 50, 75, 95):
            assert row[f"q{percent:02d}"] == np.quantile(values, percent / 100, method="inverted_cdf")


def test_moments_count_weight_draws_and_leave_out_what_is_not_finite():
    values = np.random.default_rng(0).normal(size=(12, 2))
    values[3, 1] = -np.inf
    found = moments(values, group=3)
    by_draw = values[:, 0].reshape(4, 3).mean(axis=1)
    assert found["error"][0] == pytest.approx(np.std(by_draw, ddof=1) / 2)
    assert found["finite"].to_list() == [12, 11]
    assert found["mean"][1] == pytest.approx(values[np.isfinite(values[:, 1]), 1].mean())
    assert quantiles(values)["q05"][1] == -np.inf
    for bad in (np.nan, np.inf):
        values[5, 1] = bad
        assert moments(values)["mean"].to_list() == [pytest.approx(values[:, 0].mean()), None]
    assert quantiles(values)["q95"][1] == np.inf
    values[5, 1] = np.nan
    assert quantiles(values)["q50"].null_count() == 1


@pytest.mark.process
@pytest.mark.parametrize(
    ("cell", "observable", "sentence"),
    [
        ("tanh", "paths", "observables: paths"),
        ("relu", "terms", "observables: terms"),
        ("lstm", "{spectrum: 33}", "observables: spectrum"),
        ("lstm", "{spectrum: 0}", "observables.spectrum"),
        ("lstm", "{passage: {vanish: [-1]}}", "observables.passage"),
    ],
)
def test_an_observable_that_a_point_does_not_have_is_refused_in_one_sentence(tmp_path, cell, observable, sentence):
    path = tmp_path / "bad.yaml"
    path.write_text(f"study: bad\npoints:\n  - {{cell: {cell}, width: 16, observables: [{observable}]}}\n")
    done = command("rnnmc", "plan", path, cwd=tmp_path)
    assert done.returncode == 2
    assert f"points[0].{sentence}" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.process
def test_measure_prints_and_writes_what_observables_saw(tmp_path):
    words = ["rnnmc", "measure", "lstm", "--width", "4", "--replicates", "50", "--horizons", "10,20"]
    done = command(*words, "--observables", "vector,extremes", "--out", "x.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "vector" in done.stdout
    assert pl.read_parquet(tmp_path / "x.vector.parquet").height == 100
    said = json.loads(command(*words, "--observables", "[vector]", "--json", cwd=tmp_path).stdout)
    assert {row["horizon"] for row in said["vector"]} == {10, 20}


def test_rows_that_are_not_there_are_not_left_out_without_a_word(tmp_path):
    sample_here(study_of(content("vector", replicates=300)), tmp_path)
    assert len(list(tmp_path.rglob("samples/**/*.parquet"))) == 2
    next(tmp_path.rglob("samples/**/000000.parquet")).unlink()
    with pytest.warns(UserWarning, match=r": 1 of 2 blocks are there; run the study again for the rest"):
        rnnmc.scan(tmp_path)
    rnnmc.scan(tmp_path, "vector")  # whose own are all there
