"""Shards that are truncated, altered or foreign are found before anything is aggregated, and named."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from studies import ROOT, command, first_shard, samples_digest, small, study_of

from rnnmc import pipeline
from rnnmc.errors import RunError
from rnnmc.store import DamagedShard, read_shard, shard_path
from rnnmc.study import Thresholds

STUDY = study_of(small())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("finished")
    pipeline.plan(STUDY, directory)
    pipeline.sample(directory, pipeline.jobs_missing(directory, STUDY.points), None, "cpu")
    return directory


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "study"))


def test_a_flip_of_any_one_bit_anywhere_in_a_shard_is_found(folder: Path) -> None:
    path = first_shard(folder, STUDY)
    whole, point = path.read_bytes(), STUDY.points[0].point
    rng = random.Random(0)
    places = [*range(16), *range(len(whole) - 16, len(whole)), *(rng.randrange(len(whole)) for _ in range(300))]
    for place in places:
        content = bytearray(whole)
        content[place] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        with pytest.raises(DamagedShard, match=path.name):
            read_shard(path, point)
    path.write_bytes(whole)
    assert read_shard(path, point).table.num_rows == 300 * 3


@pytest.mark.parametrize("kept", [0, 3, 1000, -1])
def test_a_truncated_shard_is_found_before_anything_is_aggregated(folder: Path, kept: int) -> None:
    path = first_shard(folder, STUDY)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DamagedShard, match="rnnmc verify --repair"):
        pipeline.aggregate(folder, Thresholds(), "wilson")
    with pytest.raises(DamagedShard):
        pipeline.jobs_missing(folder, STUDY.points)
    assert not (folder / "statistics.parquet").exists()


def test_a_foreign_shard_is_found(folder: Path) -> None:
    ours, other = first_shard(folder, STUDY), shard_path(folder, STUDY.points[1].point, 0)
    shutil.copy(other, ours)
    with pytest.raises(DamagedShard, match="not what its place says"):
        read_shard(ours, STUDY.points[0].point)
    ours.write_text("PAR1 but not really PAR1")
    with pytest.raises(DamagedShard, match="not a whole shard"):
        read_shard(ours, STUDY.points[0].point)


def test_verify_lists_what_is_damaged_and_repairs_it_to_the_same_samples(folder: Path, finished: Path) -> None:
    path = first_shard(folder, STUDY)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found = command("rnnmc", "verify", folder, cwd=folder)
    assert found.returncode == 1
    assert path.name in found.stdout
    assert path.read_bytes() == content  # nothing is computed again unless asked
    mended = command("rnnmc", "verify", "--repair", folder, cwd=folder)
    assert mended.returncode == 0, mended.stderr
    assert samples_digest(folder) == samples_digest(finished)


def test_a_missing_shard_is_named_and_not_passed_over(folder: Path) -> None:
    first_shard(folder, STUDY).unlink()
    with pytest.raises(RunError, match="is not there yet"):
        pipeline.aggregate(folder, Thresholds(), "wilson")
    assert [job.block for job in pipeline.jobs_missing(folder, STUDY.points)] == [0]


def test_a_full_disk_fails_in_one_sentence_and_leaves_no_half_file(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from rnnmc import pipeline
from rnnmc.errors import RunError
from studies import small, study_of
STUDY = study_of(small())
directory = Path(sys.argv[1])
pipeline.plan(STUDY, directory)
jobs = pipeline.jobs_missing(directory, STUDY.points)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # as full as a disk can be made without one
try:
    pipeline.sample(directory, jobs, None, "cpu")
except RunError as error:
    sys.exit(f"refused: {error}")
"""
    run = command("python", "-c", script, tmp_path, cwd=ROOT / "tests")
    assert run.returncode == 1
    assert "refused:" in run.stderr
    assert "cannot be written" in run.stderr
    assert "Traceback" not in run.stderr
    assert sorted(path.name for path in tmp_path.rglob("*.part")) == []
