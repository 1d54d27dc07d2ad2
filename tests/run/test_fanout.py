"""Blocks over a real Ray: the numbers are those of one process, whatever the workers and the order."""

from __future__ import annotations

import itertools
import pickle
import random
from pathlib import Path

import pytest
from studies import sample_here, samples_digest, small, study_of

from rnnmc.common.errors import RunError, UsageError
from rnnmc.engine.block import partition
from rnnmc.run import fanout, pipeline
from rnnmc.run.cluster import connected
from rnnmc.run.fanout import TASK_SECONDS, Done, Job, batches, expected_seconds
from rnnmc.store.places import Place
from rnnmc.store.reading import samples_of

STUDY = study_of(
    small(replicates=700, points=[{"cell": ["lstm", "gru"], "width": [1, 16]}, {"cell": "tanh", "width": 64}])
)


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory: pytest.TempPathFactory) -> str:
    return sample_here(STUDY, tmp_path_factory.mktemp("one"))


@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_and_the_order_of_blocks_change_no_byte_of_the_samples(
    workers: int, tmp_path: Path, in_one_process: str
) -> None:
    pipeline.plan(STUDY, tmp_path)
    jobs = pipeline.jobs_missing(tmp_path, STUDY.points)
    if workers == 2:
        random.Random(1).shuffle(jobs)
    seen: list[Done] = []
    with connected(cpus=workers) as cluster:
        assert cluster.cpus == workers
        pipeline.sample(tmp_path, jobs, cluster, "auto", seen.append)
        with pytest.raises(UsageError, match="no CUDA device"):
            pipeline.sample(tmp_path, jobs[:1], cluster, "cuda")
        _a_failing_block_is_reported_and_stops_no_other(tmp_path / "partly", jobs[:3], cluster)
    assert sorted((done.key, done.block) for done in seen) == sorted((job.point.key, job.block) for job in jobs)
    assert sum(done.replicates for done in seen) == 5 * 700
    assert samples_digest(tmp_path) == in_one_process
    assert pipeline.jobs_missing(tmp_path, STUDY.points) == []


def _a_failing_block_is_reported_and_stops_no_other(directory: Path, jobs: list[Job], cluster: object) -> None:
    pipeline.plan(STUDY, directory)
    wrong = Job(jobs[0].point, 0, partition(jobs[0].point).block + 1, 1)
    with pytest.raises(RunError, match="finished blocks are kept") as failure:
        pipeline.sample(directory, [wrong, *jobs], cluster, "cpu")  # pyright: ignore[reportArgumentType]
    assert "replicates" in str(failure.value)
    assert len(list(directory.rglob("*.parquet"))) == 1 + len(jobs)  # points.parquet and the shards


def test_small_blocks_share_a_task_of_about_a_second_and_large_ones_have_one_each(monkeypatch):
    entries = [{"cell": "tanh", "width": 4, "init": {"recurrent": {"gaussian": [0.5 + i / 500 for i in range(500)]}}}]
    jobs = pipeline.jobs_of(study_of(small(points=[*entries, {"cell": "lstm", "width": 128}])).points)
    together = list(batches(jobs))
    assert [(task.point["key"], task.block, task.replicates) for task in itertools.chain(*together)] == [
        (job.point.key, job.block, job.replicates) for job in jobs
    ]
    cost = [expected_seconds(job.point, job.replicates) for job in jobs[: len(together[0])]]
    assert sum(cost[:-1]) < TASK_SECONDS <= sum(cost)
    assert len(together) < len(jobs) / 5
    few = jobs[:40]
    assert 10 <= len(list(batches(few, 10))) <= 20, "no slot stands idle while another has many"
    assert len(list(batches(few, 1))) == 2
    monkeypatch.setattr(fanout, "TASK_SECONDS", 0)
    assert {len(batch) for batch in batches(jobs)} == {1}


def test_what_a_task_is_told_grows_by_the_block_and_not_by_the_description_of_its_point():
    (planned,) = study_of(small(replicates=10**8, points=[{"cell": "tanh", "width": 1}])).points
    jobs = pipeline.jobs_of([planned])
    assert len(jobs) > 1000
    assert len(pickle.dumps(list(batches(jobs)))) < 100 * len(jobs)


def test_asking_for_more_replicates_reuses_what_is_there_and_gives_the_same_first_ones(tmp_path: Path) -> None:
    few, many = (study_of(small(replicates=count, points=[{"cell": "lstm", "width": 64}])) for count in (100, 300))
    for study in (few, many):
        pipeline.plan(study, tmp_path)
        jobs = pipeline.jobs_missing(tmp_path, study.points)
        if study is many:
            whole = 100 // partition(study.points[0].point).block
            assert min(job.block for job in jobs) == whole
        pipeline.sample(tmp_path, jobs, None, "cpu")
        if study is few:
            first = samples_of(tmp_path, Place.of(few.points[0]))
    assert samples_of(tmp_path, Place.of(many.points[0])).head(first.height).drop("point").equals(first.drop("point"))
