"""A study that still runs: points that are counted early, and the page of what is there."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from studies import first_shard, small, study_of

from rnnmc.common.errors import RunError
from rnnmc.run import counting, so_far
from rnnmc.run.aggregate import aggregate
from rnnmc.run.counting import CountedBy, count_early
from rnnmc.run.how_far import FINISHED, SAMPLING, WatchedFolder
from rnnmc.run.pipeline import plan, report
from rnnmc.run.sampling import jobs_missing, sample, sample_all
from rnnmc.run.so_far import PagesSoFar, report_so_far
from rnnmc.store.proofs import PAGE
from rnnmc.store.shards import DamagedShard
from rnnmc.study.study import Study, Thresholds

STUDY = study_of(small())
GOAL = study_of(small(replicates={"half_width": 0.05, "max": 300}))


def counted_early(directory: Path, study: Study = STUDY) -> None:
    """Sample the study and count every point, as the driver of its blocks does."""
    points = plan(study, directory)
    sample_all(directory, points, study.thresholds, None, "cpu")
    for stored in points:
        count_early(directory, stored, CountedBy.study(directory))


def tables(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for kind in ("csv", "parquet") for path in sorted(directory.glob(f"*.{kind}"))}


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labels of the points that are counted from their samples."""
    found: list[str] = []
    count = counting.count
    monkeypatch.setattr(counting, "count", lambda *words: found.append(words[1].label) or count(*words))
    return found


@pytest.mark.parametrize("study", [STUDY, GOAL], ids=["number", "goal"])
def test_what_was_counted_early_is_joined_to_the_same_tables(tmp_path: Path, study: Study, again: list[str]) -> None:
    sample_all(tmp_path / "late", plan(study, tmp_path / "late"), study.thresholds, None, "cpu")
    aggregate(tmp_path / "late", study.thresholds, study.interval)
    counted_early(tmp_path / "early", study)
    again.clear()
    aggregate(tmp_path / "early", study.thresholds, study.interval)
    assert not again or study is GOAL  # which decides how many replicates there are when all are sampled
    assert tables(tmp_path / "early") == tables(tmp_path / "late")


def test_what_was_counted_of_anything_else_is_counted_again(tmp_path: Path, again: list[str]) -> None:
    counted_early(tmp_path)
    aggregate(tmp_path, STUDY.thresholds, STUDY.interval)
    before = tables(tmp_path)
    kept = sorted((tmp_path / "so-far" / "counted").iterdir())
    assert len(kept) == 4
    again.clear()
    content = bytearray(kept[0].read_bytes())
    content[len(content) // 2] ^= 1
    kept[0].write_bytes(content)
    aggregate(tmp_path, STUDY.thresholds, STUDY.interval)
    assert len(again) == 1
    assert tables(tmp_path) == before
    for thresholds, interval in ((STUDY.thresholds, "jeffreys"), (Thresholds(vanish=0.01), STUDY.interval)):
        again.clear()
        aggregate(tmp_path, thresholds, interval)
        assert len(again) == 4


def test_a_shard_that_is_altered_after_it_was_counted_is_found(tmp_path: Path) -> None:
    counted_early(tmp_path)
    path = first_shard(tmp_path, STUDY)
    content, before = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # by which nobody would see it
    with pytest.raises(DamagedShard, match=path.name):
        aggregate(tmp_path, STUDY.thresholds, STUDY.interval)


@pytest.mark.slow
@pytest.mark.process
def test_a_page_so_far_says_its_share_first_and_gives_way_to_that_of_the_whole_study(tmp_path: Path) -> None:
    points = plan(STUDY, tmp_path)
    with pytest.raises(RunError, match="no block is there yet"):
        report_so_far(tmp_path)
    sample(tmp_path, jobs_missing(tmp_path, points[:2]), None, "cpu")
    page = report_so_far(tmp_path)
    shown = tmp_path / "report.html"
    assert shown.resolve() == page.resolve()
    text = shown.read_text(encoding="utf-8")
    body = re.sub(r"<[^>]*>", " ", text.partition("<body>")[2]).split()
    assert " ".join(body[:11]) == "So far: 50 % of replicates, 2 of 4 design points."
    assert "figures/" not in text
    assert WatchedFolder(tmp_path).how_far().stage == SAMPLING
    sample_all(tmp_path, points, STUDY.thresholds, None, "cpu")
    aggregate(tmp_path, STUDY.thresholds, STUDY.interval)
    assert WatchedFolder(tmp_path).how_far().stage != FINISHED
    report(tmp_path)
    assert not shown.is_symlink()
    assert "So far" not in shown.read_text(encoding="utf-8")
    assert not (tmp_path / "so-far").exists()
    assert not (tmp_path / "OUTDATED.txt").exists()


@pytest.mark.slow
@pytest.mark.process
def test_a_page_so_far_leaves_one_of_before_as_it_is(tmp_path: Path) -> None:
    sample_all(tmp_path, plan(STUDY, tmp_path), STUDY.thresholds, None, "cpu")
    aggregate(tmp_path, STUDY.thresholds, STUDY.interval)
    left = [tmp_path / place for place in ("figures/.lifetime-tanh.svg.0a1b.part", ".statistics.csv.0a1b.part")]
    fresh = tmp_path / "figures" / ".overview.svg.2c3d.part"
    (tmp_path / "figures").mkdir()
    for path in (*left, fresh):
        path.write_text("half of it")
    for path in left:
        os.utime(path, (0, 0))
    before = report(tmp_path).read_bytes()
    assert not any(path.exists() for path in left), "of a process that was killed"
    assert fresh.exists(), "another run may be at it"
    assert fresh.name not in (tmp_path / PAGE).read_text()
    more = study_of(small(replicates=600))
    plan(more, tmp_path)
    page = report_so_far(tmp_path)
    assert page == tmp_path / "so-far" / "report.html"
    assert b"So far: 50 % of replicates" in page.read_bytes()
    assert (tmp_path / "report.html").read_bytes() == before


def test_of_a_point_the_first_blocks_count_and_none_behind_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stored,) = plan(study_of(small(points=[{"cell": "tanh", "width": 1}], replicates=3 * 10**5)), tmp_path)
    by, blocks = CountedBy.study(tmp_path), [count for _, count in stored.blocks()]
    assert len(blocks) > 3
    held = {0: blocks[0], 1: blocks[1], 3: blocks[3]}
    monkeypatch.setattr(
        so_far, "facts_of", lambda path: {"replicates": held[int(path.stem)]} if int(path.stem) in held else {}
    )
    assert so_far._there(tmp_path, stored, by).replicates == sum(blocks[:2])
    held[1] = 7  # as an earlier form of the study has left it
    assert so_far._there(tmp_path, stored, by).replicates == blocks[0] + 7


@pytest.mark.process
def test_pages_are_made_when_due_by_a_humble_process_and_by_none_that_outlives_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(so_far, "COMMAND", "import os, sys; open(sys.argv[2] + '/nice', 'w').write(str(os.nice(0)))")
    pages = PagesSoFar(tmp_path)
    pages.look()
    assert pages.process is None  # not at once
    pages.next = 0.0
    pages.look(seconds_left=10.0)
    assert pages.process is None  # its own page is soon there
    pages.look()
    assert pages.process is not None
    pages.process.wait(60)
    assert (tmp_path / "nice").read_text() == str(os.nice(0) + so_far.NICENESS)
    pages.look()
    assert pages.process is None
    assert pages.next >= time.monotonic() + so_far.SECONDS_BETWEEN - 60
    monkeypatch.setattr(so_far, "COMMAND", "import time; time.sleep(600)")
    pages.next = 0.0
    pages.look()
    process = pages.process
    assert process is not None
    pages.stop()
    assert process.returncode == -9
    pages.look()
    assert pages.process is None
