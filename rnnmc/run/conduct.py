"""A whole study through Snakemake: one line while it runs, the words of Snakemake and of every job in a file."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.granted import CPUS, own_cpus
from rnnmc.common.quiet import on_the_way
from rnnmc.common.shipped import shipped
from rnnmc.run.checks.sound import hold_sound, warn_unseen
from rnnmc.run.cluster import dashboard_told, ray_address
from rnnmc.run.head import HEAD_FILE, Head, die_with_parent, start_head
from rnnmc.run.how_far import SAMPLING, WatchedFolder
from rnnmc.run.live import LiveLine, looks, shown
from rnnmc.run.pipeline import folder_of, leave_plan, tell_of_another
from rnnmc.run.settled import hold_form, is_settled, settle
from rnnmc.run.so_far import PagesSoFar
from rnnmc.run.surroundings import own_temporary
from rnnmc.store.manifest import is_complete
from rnnmc.store.plan import cut_up, settled
from rnnmc.study.study import Study, load_study

LOG = "logs/workflow.log"  # below the folder of a study
TOLD = 5  # failures that are told; the others stand in the log
PATIENCE = 60.0  # seconds that Snakemake may take to end what it has begun, once it is told to stop


def conduct(
    path: Path,
    jobs: int | None = None,
    cpus: int | None = None,
    scale: float | None = None,
    results: str | None = None,
) -> Path:
    """Run the study of this file to its end, if it is not there yet; the folder with its results.

    jobs: of the workflow at a time, and at most so many cores; by default as many as there are. cpus: cores, where they
    are to be fewer. results: an address where a copy of them is to lie. Raises UsageError where the study cannot be,
    RunError where a part of it failed.
    """
    cores = min(own_cpus(), jobs or own_cpus(), cpus or own_cpus())
    instead = {name: value for name, value in (("scale", scale), ("results", results)) if value is not None}
    study = load_study(path, hold_sound, instead)
    directory = folder_of(study)
    if is_settled(directory, study):
        if study.results:  # where something may be missing
            leave_plan(directory, study, cut_up(study))
        return directory
    if (shipped_with := shipped()) is None:
        raise UsageError(f"the Snakefile is not there, for rnnmc is installed without it; give rnnmc run {path}")
    warn_unseen(study.points)
    points = cut_up(study)
    leave_plan(directory, study, points)
    form = settled(directory)
    lacking = [stored for stored in points if not is_complete(directory, stored, study.thresholds)]
    fewer = "" if study.scale == 1 else f" with {study.scale:g} times the replicates of its file"
    on_the_way(
        f"{study.study}: {len(points):,} design points{fewer}, {len(lacking):,} to sample, on {_cores(cores)}\n"
        f"log: {directory / LOG}"
    )
    tell_of_another(directory, lacking)
    environment = os.environ | {CPUS: str(cores), "POLARS_MAX_THREADS": str(cores)}
    words = ["-s", str(shipped_with / "Snakefile"), "-j", str(jobs or cores)]
    words += ["--config", f"study_file={json.dumps(str(path))}"]
    words += [f"{name}={json.dumps(value)}" for name, value in instead.items()]
    with _head(directory, environment) if lacking else nullcontext() as head, own_temporary() as temporary:
        of_jobs = {HEAD_FILE: str(head.answer), **head.of_jobs} if head else {HEAD_FILE: ""}
        _follow(study, directory, words, environment | of_jobs | temporary, head)
    hold_form(directory, form)
    settle(directory, study)
    return directory


@contextmanager
def _head(directory: Path, environment: dict[str, str]) -> Iterator[Head]:
    """A Ray head that starts while Snakemake does, and ends with the run."""
    head = start_head(directory / "logs" / "ray-head.log", environment)
    try:
        yield head
    finally:
        head.stop()


def _follow(study: Study, directory: Path, words: list[str], environment: dict[str, str], head: Head | None) -> None:
    """Run Snakemake, and say on one line how far the study is. Raises RunError with what failed."""
    command = [sys.executable, "-P", "-m", "snakemake", *words]
    log = directory / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    told, dashboard = log.stat().st_size if log.exists() else 0, ""
    folder = WatchedFolder(directory)
    with log.open("ab") as output, _interruptible() as told_to_stop:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on, once
            preexec_fn=partial(die_with_parent, os.getpid(), signal.SIGINT),
        )
        line, pages = LiveLine(study.study, sum(folder.work.values()) / own_cpus()), PagesSoFar(directory)
        try:
            with shown(line):
                for now in looks(folder, process):
                    if told_to_stop:  # and what that raised was lost, as Python loses it while it forks
                        raise KeyboardInterrupt
                    found = None if head is None or dashboard else head.addresses()
                    if found is not None:
                        dashboard = dashboard_told(found[1], bool(ray_address()))
                        line.clear()
                        on_the_way(f"Ray at {found[0]}; dashboard: {dashboard}")
                    line.tell(now, "starting Ray" if head is not None and not dashboard else "starting a job")
                    pages.look(line.pace.seconds_left) if now.stage == SAMPLING else pages.stop()
        except BaseException:
            line.clear()
            on_the_way("stopping, as soon as jobs have left what they have")
            pages.stop()
            _stop(process)
            raise
        pages.stop()
    if process.returncode < 0:
        _stop(process)
        raise RunError(f"Snakemake was ended by {signal.Signals(-process.returncode).name}; start it again to go on")
    if process.returncode:
        raise RunError(_what_failed(log, told))
    line.end(folder.how_far())


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Have Snakemake, where it still lives, and its jobs end, as Ctrl-C does; kill them where they do not."""
    begin = time.monotonic()
    with suppress(ProcessLookupError):  # as soon as none is left
        os.killpg(process.pid, signal.SIGINT)
        while time.monotonic() - begin < PATIENCE:
            process.poll()  # one that has ended counts until somebody has asked
            os.killpg(process.pid, 0)
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Take the end of the terminal, or of whoever started this, for Ctrl-C; the numbers of the signals that came."""
    came: list[int] = []

    def stop(number: int, _: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for each, handler in before.items():
        if handler != signal.SIG_IGN:  # as nohup wants it
            signal.signal(each, stop)
    try:
        yield came
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _what_failed(log: Path, begin: int) -> str:
    """The sentences of what failed, from what a run has added to the log, and where there is more."""
    said = log.read_bytes()[begin:].decode(errors="replace").splitlines()
    every = list(dict.fromkeys(line.removeprefix("rnnmc: ").strip() for line in said if line.startswith("rnnmc: ")))
    more = [f"and {len(every) - TOLD} more"] if len(every) > TOLD else []
    theirs = [line for before, line in pairwise(said) if re.fullmatch(r"\w*(Error|Exception):", before)]
    failed = every[:TOLD] or [f"the workflow failed: {theirs[-1].strip()}" if theirs else "the workflow failed"]
    return "\n".join([*failed, *more, f"all of it: {log}"])


def _cores(number: int) -> str:
    return "one core" if number == 1 else f"{number} cores"
