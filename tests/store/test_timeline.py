"""The timeline of a study: which worker did which block when, however often the study was stopped."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import time
from pathlib import Path

import pytest
from studies import small, study_of

from rnnmc.common.errors import RunError
from rnnmc.run import fanout
from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import jobs_missing, sample
from rnnmc.store.plan import cut_up
from rnnmc.store.timeline import TIMELINE, Timeline, ran

STUDY = study_of(small(replicates=20))


def events(directory: Path) -> list[dict]:
    """As a strict reader of JSON has them: the form allows that the list is not closed."""
    return json.loads((directory / TIMELINE).read_text().rstrip().rstrip(",") + "]")


def test_each_block_is_on_the_row_of_its_worker_with_its_times_and_what_it_was(tmp_path: Path) -> None:
    begin = time.time()
    plan(STUDY, tmp_path)
    jobs = jobs_missing(tmp_path, cut_up(STUDY))
    sample(tmp_path, jobs, None, "cpu")
    blocks = [event for event in events(tmp_path) if event["ph"] == "X"]
    named = {(event["pid"], event["tid"]): event["args"]["name"] for event in events(tmp_path) if event["ph"] == "M"}
    assert [(one["args"]["cell"], one["args"]["width"], one["args"]["replicates"]) for one in blocks] == [
        (job.stored.cell, job.stored.design.width, 20) for job in jobs
    ]
    assert {named[one["pid"], one["tid"]] for one in blocks} == {f"worker {blocks[0]['tid']}"}
    times = [(one["ts"] / 1e6, (one["ts"] + one["dur"]) / 1e6) for one in blocks]
    assert begin - 1 <= times[0][0]
    assert times[-1][1] <= time.time() + 1
    assert all(end <= start + 0.01 for (_, end), (start, _) in itertools.pairwise(times))
    assert all(one["dur"] > 0 for one in blocks)


def test_what_was_noted_outlives_the_run_and_a_failure_is_an_event_of_its_own(tmp_path: Path, monkeypatch) -> None:
    plan(STUDY, tmp_path)
    jobs = jobs_missing(tmp_path, cut_up(STUDY))
    sample(tmp_path, jobs[:2], None, "cpu")
    with (tmp_path / TIMELINE).open("a") as file:
        file.write('{"name":"cut by an acci\n')
    sampled = fanout.observe_block

    def failing(point, *more):
        if point.key == jobs[2].stored.key:
            raise FloatingPointError
        return sampled(point, *more)

    monkeypatch.setattr(fanout, "observe_block", failing)
    with pytest.raises(RunError, match="FloatingPointError"):
        sample(tmp_path, jobs[2:], None, "cpu")
    done, failed = ran(tmp_path)
    assert [one.replicates for one in done] == [20, 20, 20]
    assert failed == 1
    assert not list((tmp_path / TIMELINE).parent.glob(".*"))


def test_a_folder_without_a_timeline_or_with_one_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    assert ran(tmp_path) == ([], 0)
    plan(STUDY, tmp_path)
    (tmp_path / TIMELINE).mkdir(parents=True)
    sample(tmp_path, jobs_missing(tmp_path, cut_up(STUDY)), None, "cpu")
    assert ran(tmp_path) == ([], 0)
    assert not jobs_missing(tmp_path, cut_up(STUDY))


def _write(directory: Path, worker: int) -> None:
    timeline = Timeline(directory)
    for block in range(200):
        timeline.note(f"block {block}", f"host {worker}", 1.0 + block, 0.5, replicates=worker, retries=0)


@pytest.mark.process
def test_several_jobs_of_a_workflow_write_to_it_at_a_time(tmp_path: Path) -> None:
    writers = [multiprocessing.get_context("spawn").Process(target=_write, args=(tmp_path, i)) for i in (1, 2, 3)]
    for one in writers:
        one.start()
    for one in writers:
        one.join(60)
    assert len([event for event in events(tmp_path) if event["ph"] == "X"]) == 600
    assert sorted({one.worker for one in ran(tmp_path)[0]}) == ["1", "2", "3"]
