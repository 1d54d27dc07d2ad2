"""Blocks over a real Ray: the numbers are those of one process, whatever the workers and the order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from studies import sample_here, samples_digest, small, study_of

from rnnmc import pipeline
from rnnmc.block import partition
from rnnmc.cluster import connected
from rnnmc.errors import RunError, UsageError
from rnnmc.fanout import Done, Job
from rnnmc.places import Place
from rnnmc.reading import samples_of

STUDY = study_of(
    small(replicates=700, points=[{"cell": ["lstm", "gru"], "width": [1, 16]}, {"cell": "tanh", "width": 64}])
)


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory: pytest.TempPathFactory) -> str:
    return sample_here(STUDY, tmp_path_factory.mktemp("one"))


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
