"""Shards that are truncated, altered or foreign are found before anything is aggregated, and named."""

from __future__ import annotations

import random
import re
import shutil
import sys
from pathlib import Path

import pytest
from studies import ROOT, command, first_shard, sample_here, samples_digest, small, study_of

import rnnmc
from rnnmc.common.errors import RunError
from rnnmc.run.aggregate import aggregate
from rnnmc.run.sampling import jobs_missing
from rnnmc.store.folder import shard_path
from rnnmc.store.plan import cut_up
from rnnmc.store.shards import DamagedShard, read_shard
from rnnmc.study.study import Thresholds

STUDY = study_of(small())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("finished")
    sample_here(STUDY, directory)
    return directory


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "study"))


def test_a_flip_of_any_one_bit_anywhere_in_a_shard_is_found(folder: Path) -> None:
    path = first_shard(folder, STUDY)
    whole, key = path.read_bytes(), STUDY.points[0].point.key
    rng = random.Random(0)
    places = [*range(16), *range(len(whole) - 16, len(whole)), *(rng.randrange(len(whole)) for _ in range(300))]
    for place in places:
        content = bytearray(whole)
        content[place] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        with pytest.raises(DamagedShard, match=path.name):
            read_shard(path, key)
    path.write_bytes(whole)
    assert read_shard(path, key).table.num_rows == 300 * 3


@pytest.mark.parametrize("kept", [0, 3, 1000, -1])
def test_a_truncated_shard_is_found_before_anything_is_aggregated(folder: Path, kept: int) -> None:
    path = first_shard(folder, STUDY)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DamagedShard, match=re.escape(f"rnnmc verify --repair {folder} computes it again")):
        aggregate(folder, Thresholds(), "wilson")
    with pytest.raises(DamagedShard):
        jobs_missing(folder, cut_up(STUDY))
    assert not (folder / "statistics.parquet").exists()


def test_a_foreign_shard_is_found(folder: Path) -> None:
    ours, other = first_shard(folder, STUDY), shard_path(folder, STUDY.points[1].point, 0)
    shutil.copy(other, ours)
    with pytest.raises(DamagedShard, match="not what its place says"):
        read_shard(ours, STUDY.points[0].point.key)
    ours.write_text("PAR1 but not really PAR1")
    with pytest.raises(DamagedShard, match="not a whole shard"):
        read_shard(ours, STUDY.points[0].point.key)


@pytest.mark.process
def test_reading_a_shard_leaves_no_thread_behind_that_could_abort_the_process_as_it_ends(folder: Path) -> None:
    code = (
        "import os, sys, pathlib, rnnmc.store.shards as store; before = len(os.listdir('/proc/self/task'));"
        "store.read_shard(pathlib.Path(sys.argv[1]), sys.argv[2]); print(len(os.listdir('/proc/self/task')) - before)"
    )
    found = command(sys.executable, "-c", code, first_shard(folder, STUDY), STUDY.points[0].point.key, cwd=ROOT)
    assert found.stdout.strip() == "0", found.stderr


@pytest.mark.slow
@pytest.mark.process
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
    with pytest.raises(RunError, match="is not there; run the study again"):
        aggregate(folder, Thresholds(), "wilson")
    assert [job.block for job in jobs_missing(folder, cut_up(STUDY))] == [0]


@pytest.mark.process
def test_a_full_disk_fails_in_one_sentence_and_leaves_no_half_file(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from rnnmc.common.errors import RunError
from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import jobs_missing, sample
from studies import small, study_of
directory = Path(sys.argv[1])
jobs = jobs_missing(directory, plan(study_of(small()), directory))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # as full as a disk can be made without one
try:
    sample(directory, jobs, None, "cpu")
except RunError as error:
    sys.exit(f"refused: {error}")
"""
    run = command("python", "-c", script, tmp_path, cwd=ROOT / "tests")
    assert run.returncode == 1
    assert "refused:" in run.stderr
    assert "cannot be written" in run.stderr
    assert "Traceback" not in run.stderr
    assert sorted(path.name for path in tmp_path.rglob("*.part")) == []


@pytest.mark.slow
@pytest.mark.process
def test_verify_names_what_is_missing_and_what_is_no_part_of_the_study(folder: Path, finished: Path) -> None:
    lost, stray = first_shard(folder, STUDY), folder / "samples" / "cell=tanh" / "stray.parquet"
    shutil.copy(lost, stray)
    lost.unlink()
    found = command("rnnmc", "verify", folder, cwd=folder)
    assert found.returncode == 0, found.stderr
    assert "1 missing" in found.stdout
    assert f"{stray}: is no part of this study" in found.stdout
    mended = command("rnnmc", "verify", "--repair", folder, cwd=folder)
    assert mended.returncode == 0, mended.stderr
    assert samples_digest(folder) == samples_digest(finished)
    assert rnnmc.scan(folder).collect().height == 4 * 300 * 3  # the stray is not counted
    shutil.rmtree(folder / "samples")
    assert command("rnnmc", "verify", folder, cwd=folder).returncode == 1


@pytest.mark.slow
@pytest.mark.process
def test_a_folder_can_be_verified_and_read_where_its_cells_and_drive_files_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "series.csv").write_text("x\n" + "\n".join(str(i % 7) for i in range(50)))
    (tmp_path / "mine.py").write_text(
        "import rnnmc\nclass C(rnnmc.Cell):\n name = 'c'; gates = ('hidden',)\n"
        " def step(self, w, d, s):\n  return (0.5 * s[0] + d['hidden'],)\nc = C()\n"
    )
    entry = {"cell": ["tanh", "mine:c"], "width": 2, "drive": {"file": {"path": "series.csv"}}, "init": "pytorch"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sample_here(study_of(small(points=[entry])), tmp_path / "results")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = (tmp_path / "results").rename(elsewhere / "moved")
    for word in ("verify", "status", "statistics", "report"):
        run = command("rnnmc", word, folder, cwd=elsewhere)
        assert run.returncode == 0, run.stderr


@pytest.mark.process
@pytest.mark.parametrize("name", ["points.parquet", "statistics.parquet", "study.yaml"])
def test_a_damaged_file_of_a_study_folder_is_told_in_one_sentence(name: str, folder: Path) -> None:
    aggregate(folder, Thresholds(), "wilson")
    (folder / name).write_bytes((folder / name).read_bytes()[:7] + b"\xff\xfe")
    run = command("rnnmc", "report", folder, cwd=folder)
    assert run.returncode in (1, 2)
    assert len(run.stderr.strip().splitlines()) == 1, run.stderr
    assert name in run.stderr
