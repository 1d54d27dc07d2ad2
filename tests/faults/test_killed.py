"""Workers, Snakemake and drivers that are killed in the middle: nothing finished is lost, no number changes."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from studies import (
    SECONDS,
    command,
    environment,
    long,
    sample_here,
    samples_digest,
    shard_files,
    small,
    snakemake,
    study_of,
    write,
)

from rnnmc.common.errors import RunError
from rnnmc.run import fanout
from rnnmc.run.cluster import connected
from rnnmc.run.fanout import Done
from rnnmc.run.head import STARTER
from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import jobs_missing, sample
from rnnmc.store.plan import cut_up

STUDY = study_of(long())


def wait_for(what: Callable[[], object], seconds: float = SECONDS) -> None:
    begin = time.monotonic()
    while not what():
        assert time.monotonic() - begin < seconds, "waited in vain"
        time.sleep(0.02)


def in_tasks_of(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all blocks share a task, or none."""
    monkeypatch.setattr(fanout, "TASK_SECONDS", seconds)
    monkeypatch.setattr(fanout, "IN_FLIGHT_PER_SLOT", 1e-6)  # as if there were always work enough for all slots


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    return sample_here(STUDY, tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("task_seconds", [0, math.inf], ids=["a task a block", "one task"])
def test_killing_a_worker_in_the_middle_of_a_block_changes_no_byte_of_the_samples(
    task_seconds: float, tmp_path: Path, undisturbed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_tasks_of(task_seconds, monkeypatch)
    plan(STUDY, tmp_path)
    jobs = jobs_missing(tmp_path, cut_up(STUDY))
    assert len(jobs) >= 6
    killed: list[int] = []
    finished: dict[Path, int] = {}

    def kill_one_worker(_: Done) -> None:
        """After the first block: another is being computed then; end the process that does."""
        if not killed:
            wait_for(lambda: list(tmp_path.rglob("*.running")))
            finished.update(shard_files(tmp_path))
            for mark in tmp_path.rglob("*.running"):
                with contextlib.suppress(OSError, ValueError):
                    pid = int(mark.read_text())
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    return

    with connected(cpus=2) as cluster:
        sample(tmp_path, jobs, cluster, "cpu", kill_one_worker)
    assert killed
    assert finished
    after = shard_files(tmp_path)
    assert {path: after[path] for path in finished} == finished, "a finished block was computed twice"
    assert samples_digest(tmp_path) == undisturbed


@pytest.mark.slow
@pytest.mark.process
def test_a_block_that_kills_every_worker_is_named_and_stops_no_other_of_its_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_tasks_of(math.inf, monkeypatch)
    (tmp_path / "deadly.py").write_text(
        "import os, rnnmc\nclass C(rnnmc.Cell):\n name = 'c'; gates = ('hidden',)\n"
        " def step(self, w, d, s):\n  if os.environ['SPARED'] != str(os.getpid()): os._exit(1)\n  return s\nc = C()\n"
    )
    monkeypatch.setenv("SPARED", str(os.getpid()))
    monkeypatch.chdir(tmp_path)
    entry = {"cell": ["tanh", "deadly:c", "relu"], "width": 2, "init": "pytorch"}
    study = study_of(small(points=[entry]))
    plan(study, tmp_path)
    with connected(cpus=1) as cluster, pytest.raises(RunError, match="its worker died 4 times") as told:
        sample(tmp_path, jobs_missing(tmp_path, cut_up(study)), cluster, "cpu")
    assert str(told.value).startswith("deadly:c n=2")
    assert "more)" not in str(told.value)
    assert {path.parent.parent.name for path in shard_files(tmp_path)} == {"cell=tanh", "cell=relu"}


@pytest.mark.slow
@pytest.mark.process
def test_a_study_killed_in_the_middle_leaves_no_process_and_goes_on_with_what_is_there(
    tmp_path: Path, undisturbed: str
) -> None:
    study_file = write(tmp_path, long())
    folder = tmp_path / "results" / "long"
    words = ["rnnmc", "study", str(study_file), "--jobs", "2"]
    with subprocess.Popen(words, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: len(shard_files(folder)) >= 2)
        family = psutil.Process(process.pid).children(recursive=True)
        for name in ("ray", "snakemake"):
            assert any(name in " ".join(member.cmdline()) for member in family)
        process.kill()
    wait_for(lambda: not any(member.is_running() and member.status() != "zombie" for member in family))
    finished = shard_files(folder)
    assert len(finished) < 6, "it had finished before it was killed"

    again = command(*snakemake(study_file, "--until", "aggregate"), cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    after = shard_files(folder)
    assert {path: after[path] for path in finished} == finished, "a finished block was computed twice"
    assert samples_digest(folder) == undisturbed


@pytest.mark.slow
@pytest.mark.process
def test_a_snakemake_that_is_killed_leaves_no_job_and_no_file_and_its_run_says_so(tmp_path: Path) -> None:
    study_file, temporary = write(tmp_path, long()), tmp_path / "temporary"
    temporary.mkdir()
    words = ["rnnmc", "study", str(study_file), "--jobs", "2"]
    own = environment() | {"TMPDIR": str(temporary)}
    with subprocess.Popen(words, cwd=tmp_path, env=own, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: shard_files(tmp_path / "results" / "long"))
        family = psutil.Process(process.pid).children(recursive=True)
        assert any("rnnmc sample" in " ".join(member.cmdline()) for member in family)
        (of_run,) = (member for member in family if "-m snakemake" in " ".join(member.cmdline()))
        of_run.kill()
        _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert said.splitlines()[-1] == "rnnmc: Snakemake was ended by SIGKILL; start it again to go on"
    wait_for(lambda: not any(member.is_running() and member.status() != "zombie" for member in family))
    assert not list(temporary.glob("snakemake*"))


@pytest.mark.slow
@pytest.mark.process
def test_interrupting_a_run_keeps_finished_blocks_and_ends_with_130(tmp_path: Path, undisturbed: str) -> None:
    study_file = write(tmp_path, long())
    folder = tmp_path / "results" / "long"
    with subprocess.Popen(
        ["rnnmc", "run", str(study_file)], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(lambda: len(shard_files(folder)) >= 1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, said
    assert "finished blocks are kept" in said
    assert "Traceback" not in said
    finished = shard_files(folder)
    again = command("rnnmc", "run", study_file, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    after = shard_files(folder)
    assert {path: after[path] for path in finished} == finished
    assert samples_digest(folder) == undisturbed


def _has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.process
def test_a_head_whose_parent_ends_at_once_does_not_live_on(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys\n"
        "words = [sys.executable, '-m', 'rnnmc.run.head', sys.argv[1], str(os.getpid())]\n"
        "print(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)\n"
    )
    parent = command("python", "-c", script, tmp_path / "answer", cwd=tmp_path)
    head = int(parent.stdout)
    wait_for(lambda: _has_ended(head), 60)
    assert not (tmp_path / "answer").exists()


@pytest.mark.process
def test_a_job_ends_with_who_started_its_run_and_begins_for_none_that_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = os.uname().nodename
    waits = "import time; from rnnmc.run.head import end_with_run; end_with_run(); print(1, flush=True); time.sleep(99)"
    with subprocess.Popen(["sleep", "600"]) as starter:
        monkeypatch.setenv(STARTER, f"{host} {starter.pid}")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([sys.executable, "-c", waits], env=environment(), **pipes) as job:
            assert job.stdout.readline() == "1\n"
            assert job.poll() is None
            starter.kill()
            assert "KeyboardInterrupt" in job.communicate(timeout=60)[1]
    late = command("rnnmc", "sample", tmp_path, "0", cwd=tmp_path)
    assert late.returncode == 1
    assert late.stderr == "rnnmc: the run that this job belongs to has ended; start it again to go on\n"
    monkeypatch.setenv(STARTER, f"not-{host} {starter.pid}")
    elsewhere = command("rnnmc", "sample", tmp_path, "0", cwd=tmp_path)
    assert elsewhere.returncode == 2, "of a starter on another host nothing is known: this one looks for its plan"
