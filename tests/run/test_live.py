"""How far a study is, from its folder alone, on one line; and whether there is anything left to do."""

from __future__ import annotations

import errno
import os
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from studies import sample_here, small, study_of, write

from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.granted import CPUS, own_cpus
from rnnmc.run import how_far
from rnnmc.run.aggregate import aggregate
from rnnmc.run.fanout import Done
from rnnmc.run.how_far import COUNTING, DRAWING, FINISHED, SAMPLING, HowFar, Pace, WatchedFolder
from rnnmc.run.live import LiveLine, duration, ends, line, looks, short, watch
from rnnmc.run.pipeline import plan, report, tell_of_another
from rnnmc.run.planning import status
from rnnmc.run.progress import progress
from rnnmc.run.sampling import jobs_missing, sample, sample_all
from rnnmc.run.settled import hold_form, is_settled, settle
from rnnmc.store.marks import claimed
from rnnmc.store.plan import cut_up, settled

STUDY = study_of(small())
NOON = datetime(2026, 1, 31, 12, 0, 0)


def pace(seconds: float = 600.0, share: float = 0.25, replicates: int = 12_000) -> Pace:
    """Of a study of which so much was done in so many seconds."""
    found = Pace(seconds / share)
    found.note(0.0, 0.0, 0)
    found.note(seconds, share, replicates)
    return found


def at(share: float = 0.25, running: tuple[str, ...] = (), **changes: object) -> HowFar:
    told = {"points": 1240, "points_done": 310, "replicates": 1_000_000, "replicates_done": 250_000}
    return HowFar(**(told | {"share": share, "running": running, "stage": SAMPLING} | changes))  # pyright: ignore


def test_a_study_that_stands_still_has_no_rate_and_no_end_but_what_to_do() -> None:
    waiting = "nothing runs for 8 min; if it stopped, start it again"
    said = line("phase", at(), pace(), NOON, waiting, 160, still=True)
    assert said == f"phase 25 %, 310/1240 points: {waiting}"


def test_a_line_says_what_is_done_how_fast_until_when_and_what_runs() -> None:
    said = line("phase", at(running=("lstm n=64 keras, drive none | block 1/2", "gru")), pace(), NOON, "", 160)
    assert said == (
        "phase 25 %, 310/1240 points, 250k/1M replicates, 20/s, 30 min left, 12:30: "
        "lstm n=64 keras, drive none and 1 more"
    )
    assert line("phase", at(), Pace(1e6), NOON, "starting Ray", 160).endswith("replicates: starting Ray")
    assert "at most 30 min left" in line("phase", at(replicates=None), pace(), NOON, "", 160)


def test_a_line_in_80_columns_still_says_what_runs() -> None:
    running = ("lstm n=64 keras, drive none | block 1/2",)
    said = line("default", at(points=175, points_done=52, running=running), pace(), NOON, "", 79)
    assert said == "default 25 %, 52/175 points, 20 replicates/s, 30 min left, 12:30: lstm n=64 ke…"
    said = line("default", at(points=175, points_done=52, running=running * 3), pace(), NOON, "", 79)
    assert said == "default 25 %, 52/175 points, 30 min left, 12:30: lstm n=64 keras, d… and 2 more"
    rare = at(running=running, counted="populations", replicates=624, replicates_done=45)
    assert "45/624 populations, 20/s" in line("rare", rare, pace(), NOON, "", 119)


@pytest.mark.parametrize("width", [39, 79, 119])
def test_a_line_is_never_wider_than_the_terminal(width: int) -> None:
    running = ("lstm_layer_norm n=128 recurrent gaussian 1.5, drive white, m = 128, untied | block 1/2",) * 9
    for one in (at(running=running), at(), at(stage=COUNTING), at(share=1e-6, points=100_000, replicates=10**9)):
        for some in (Pace(1e6), pace(), pace(1.0, 1e-9, 123_456_789)):
            said = line("a-long-name-of-a-study", one, some, NOON, "waiting for the first block", width)
            assert len(said) <= width


def test_numbers_and_times_are_told_in_few_characters() -> None:
    assert [short(n) for n in (0, 999, 12_345, 999_600, 4.2e9)] == ["0", "999", "12.3k", "1M", "4.2G"]
    assert [duration(s) for s in (3, 240, 9000, 3 * 86400)] == ["3 s", "4 min", "2.5 h", "3.0 days"]
    assert (ends(NOON, 3600), ends(NOON, 86400)) == ("13:00", "01 Feb 12:00")


def test_a_rate_is_that_of_the_last_minutes() -> None:
    found = Pace(1000.0)  # which is right
    for second in range(0, 1001, 10):  # ten times as fast in the second half
        done = second if second < 500 else 500 + 10 * (second - 500)
        found.note(second, done / 10_000, done)
    assert found.replicates == pytest.approx(10.0)
    assert found.seconds_left == pytest.approx((10_000 - 5500) / 10)


def test_the_first_blocks_do_not_make_hours_of_a_study_that_takes_minutes() -> None:
    """It was told to take 5.7 h, 45 min, 10 min and 62 min: the first blocks were of small design points."""
    found, told = Pace(480.0), []
    for second in range(60):  # while Ray starts
        found.note(second, 0.0, 0)
    assert not found.replicates
    for second in range(60, 600):  # little work at first, and twice as slow as expected then
        found.note(second, max(1e-4, (second - 90) / 960), second)
        told.append(found.seconds_left)
    assert max(told) < 3 * 480
    assert told[-1] == pytest.approx(960 - 509, rel=0.01)


def test_a_study_that_takes_far_longer_than_was_expected_is_not_said_to_end_in_seconds() -> None:
    """One whose networks are trained was told to end in 10 s for five minutes: what training takes was in no model."""
    found = Pace(12.0)
    for second in range(0, 200, 5):
        found.note(second, second / 1000, second)
    assert found.seconds_left == pytest.approx(1000 - 195, rel=0.01)


@pytest.mark.process
def test_a_folder_tells_how_far_its_study_is_from_the_first_block_to_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="give the folder of a study"):
        WatchedFolder(tmp_path)
    plan(STUDY, tmp_path)
    folder = WatchedFolder(tmp_path)
    assert folder.how_far() == HowFar(4, 0, 1200, 0, 0.0, (), SAMPLING)
    points = cut_up(STUDY)
    sample(tmp_path, jobs_missing(tmp_path, points[:1]), None, "cpu")
    tell_of_another(tmp_path, points)
    assert "another run" not in capsys.readouterr().err
    with claimed(tmp_path, points[1], 0):
        now = folder.how_far()
        tell_of_another(tmp_path, points)
    assert "another run of this study is at work in this folder" in capsys.readouterr().err
    assert (now.points_done, now.replicates_done) == (1, 300)
    assert now.running == (f"{points[1].label} | block 1/1",)
    assert 0 < now.share < 1
    sample(tmp_path, jobs_missing(tmp_path, points[1:]), None, "cpu")
    now = folder.how_far()
    assert (now.points_done, now.share, now.stage) == (4, 1.0, COUNTING)
    aggregate(tmp_path, STUDY.thresholds, STUDY.interval)
    assert folder.how_far().stage == DRAWING
    report(tmp_path)
    for path in tmp_path.rglob("samples/*"):
        path.touch()  # as where a file was fetched, or one that no statistic counts removed
    assert folder.how_far().stage == FINISHED
    watch(tmp_path)  # ends at once


def test_a_study_that_grows_is_sampling_until_its_half_full_block_is_full(tmp_path: Path) -> None:
    """It was told to count statistics while it sampled: the block was there by its name, with 300 replicates."""
    plan(STUDY, tmp_path)
    sample_all(tmp_path, cut_up(STUDY), STUDY.thresholds, None, "cpu")
    larger = study_of(small(replicates=500))
    points = plan(larger, tmp_path)
    folder = WatchedFolder(tmp_path)
    now = folder.how_far()
    assert (now.points_done, now.replicates, now.replicates_done, now.stage) == (0, 2000, 1200, SAMPLING)
    assert now.share == pytest.approx(0.6)
    assert [status(tmp_path)[name] for name in ("design_points_done", "done", "missing", "blocks")] == [0, 0, 4, 4]
    sample(tmp_path, jobs_missing(tmp_path, points[:1]), None, "cpu")
    assert [status(tmp_path)[name] for name in ("design_points_done", "done", "missing", "blocks")] == [1, 1, 3, 4]
    assert [folder.how_far().replicates_done, WatchedFolder(tmp_path).how_far().replicates_done] == [1400, 1400]
    sample_all(tmp_path, points, larger.thresholds, None, "cpu")
    assert (folder.how_far().stage, WatchedFolder(tmp_path).how_far().stage) == (COUNTING, COUNTING)


def test_a_study_that_takes_the_place_of_another_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan(STUDY, tmp_path)
    plan(study_of(small(replicates=500)), tmp_path)  # more replicates of the same design points
    assert "another study" not in capsys.readouterr().err
    plan(study_of(small(seed=STUDY.seed + 1)), tmp_path)
    assert f"{tmp_path}: held another study, of 4 design points" in capsys.readouterr().err


def test_a_log_gets_whole_lines_now_and_then_and_a_terminal_one_that_is_written_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = LiveLine("small", 10.0)
    for share in (0.1, 0.2, 0.3):
        one.tell(at(share))
    one.clear()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert not {"\r", "\x1b"} & set(said)
    one.terminal = True
    for share in (0.4, 0.5):
        one.tell(at(share))
    one.clear()
    said = capsys.readouterr().err
    assert said.count("\r") == 3
    assert "\n" not in said


def test_a_study_is_settled_until_it_or_a_file_of_it_changes(tmp_path: Path) -> None:
    plan(STUDY, tmp_path)
    assert not is_settled(tmp_path, STUDY)
    settle(tmp_path, STUDY)
    assert is_settled(tmp_path, STUDY)
    (tmp_path / "logs" / "workflow.log").touch()
    assert is_settled(tmp_path, STUDY)
    for changes in ({"replicates": 301}, {"thresholds": {"vanish": 1e-2}}, {"seed": 1}):
        assert not is_settled(tmp_path, study_of(small(**changes)))
    page = tmp_path / "report.html"
    page.touch()
    assert not is_settled(tmp_path, STUDY)
    settle(tmp_path, STUDY)
    os.utime(page, (1, 1))
    assert not is_settled(tmp_path, STUDY)


def test_what_another_run_has_planned_anew_is_not_taken_for_what_this_one_has_made(tmp_path: Path) -> None:
    plan(STUDY, tmp_path)
    form = settled(tmp_path)
    plan(STUDY, tmp_path)
    hold_form(tmp_path, form)
    plan(study_of(small(replicates=30)), tmp_path)
    with pytest.raises(RunError, match="another run has planned it anew meanwhile; run it again"):
        hold_form(tmp_path, form)


def test_a_look_that_fails_for_a_moment_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(STUDY, tmp_path)
    monkeypatch.setattr("rnnmc.run.live.SECONDS_BETWEEN_LOOKS", 0.0)
    folder, names, failed = WatchedFolder(tmp_path), how_far.names, list[Path]()

    def stale(path: Path) -> set[str]:
        if len(failed) < 2:
            failed.append(path)
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return names(path)

    monkeypatch.setattr(how_far, "names", stale)
    assert next(looks(folder)).stage == SAMPLING
    assert len(failed) == 2


def test_fewer_cores_than_there_are_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    every = len(os.sched_getaffinity(0))
    for said, found in (("1", 1), ("0", every), ("many", every), ("1000000", every)):
        monkeypatch.setenv(CPUS, said)
        assert own_cpus() == found


def test_nothing_to_do_prints_the_table_and_starts_nothing(tmp_path: Path, monkeypatch, capsys) -> None:
    """A quick test: a process that it started would fail it."""
    from rnnmc import cli
    from rnnmc.run.aggregate import aggregate

    monkeypatch.chdir(tmp_path)
    path, results = write(tmp_path, small()), tmp_path / "results" / "small"
    sample_here(STUDY, results)
    aggregate(results, STUDY.thresholds, STUDY.interval)
    settle(results, STUDY)
    monkeypatch.setattr("sys.argv", ["rnnmc", "study", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, err) == (0, "")
    assert "P(vanish)" in out
    assert out.splitlines()[-1] == "results/small/report.html"


def test_in_a_log_the_pace_of_blocks_does_not_count_what_came_before_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("rnnmc.run.progress.time", SimpleNamespace(monotonic=lambda: now[0]))
    with progress("here", 1000) as tell:
        for at in (60.0, 61.0, 70.0, 80.0):  # a minute until Ray has started
            now[0] = at
            tell(Done("a", 0, 100, 1.0))
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "here: 100 of 1,000 replicates",
        "here: 300 of 1,000 replicates, 20 a second, 35 s left",
        "here: 400 of 1,000 replicates, 15 a second, 40 s left",
    ]
