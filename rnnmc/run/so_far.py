"""The page of a study that still runs: of what is there, made by a process of low priority now and then."""

from __future__ import annotations

import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rnnmc.common.errors import RunError
from rnnmc.common.granted import CPUS
from rnnmc.run.counting import ORACLES, CountedBy, count, counted
from rnnmc.run.fanout import Done
from rnnmc.run.head import die_with_parent
from rnnmc.run.progress import Tell
from rnnmc.store.folder import shard_path
from rnnmc.store.manifest import is_complete
from rnnmc.store.outdated import PAGE_FILE, SO_FAR
from rnnmc.store.plan import study_said, with_points
from rnnmc.store.proofs import PAGE
from rnnmc.store.shards import facts_of, replicates_of, serves
from rnnmc.store.stored_point import StoredPoint

if TYPE_CHECKING:
    import polars as pl

SECONDS_BETWEEN = 180.0  # two pages, at least
SECONDS_LEFT = 120.0  # of a study, below which its own page is soon there
SHARE = 0.01  # of a core, at most, taken over the time between
COMMAND = "from rnnmc.cli import main; main()"
NICENESS = 10  # a tenth of what a worker beside it gets


def report_so_far(directory: Path) -> Path:
    """Write the page of what is there, marked with its share, and let report.html be it while there is no other.

    Of each design point the blocks from the first on that are there, and of claims and laws nothing: they are decided
    once. Raises RunError where no block is there, UsageError where no study is.
    """
    import polars as pl

    from rnnmc.report.page import write_report
    from rnnmc.report.text import study_points
    from rnnmc.run.aggregate import together
    from rnnmc.store.reading import planned_points
    from rnnmc.store.sampled import sampled

    said, by, points = study_said(directory), CountedBy.study(directory), planned_points(directory)
    planned = [stored for stored in with_points(directory) if not stored.split]
    there = [(whole, some) for whole in planned if (some := _there(directory, whole, by)).replicates]
    if not set(study_points(points)["point"].cast(pl.String)) & {some.key for _, some in there}:
        raise RunError(f"{directory}: no block is there yet; rnnmc status {directory} --watch says what runs")
    known = points.filter(pl.col("point").cast(pl.String).is_in([some.key for _, some in there]))
    tables, _ = together((_counted(directory, whole, some, by) for whole, some in there), known)
    share = sum(some.replicates for _, some in there) / sum(whole.replicates for whole in planned)
    page = write_report(
        directory, said | {"sampled": sampled(directory)}, known, tables, (share, len(there), len(planned))
    )
    link = directory / PAGE_FILE
    if not (directory / PAGE).exists() and (link.is_symlink() or not link.exists()):
        link.unlink(missing_ok=True)
        link.symlink_to(page.relative_to(directory))
    return page


def _there(directory: Path, stored: StoredPoint, by: CountedBy) -> StoredPoint:
    """The point itself where it is complete, or else with as many replicates as its first blocks hold, up to the first
    that is not there, or not with all that are wanted of it.
    """
    if is_complete(directory, stored, by.own):
        return stored
    total = 0
    for block, wanted in stored.blocks():
        held = min(_held(directory, stored, block), wanted)
        total += held
        if held < wanted:
            break
    return stored.first(total)


def _held(directory: Path, stored: StoredPoint, block: int) -> int:
    """How many replicates of a block are there, of samples and all that observables are to see."""
    said = [(facts_of(shard_path(directory, stored, block, kind)), kind) for kind in stored.kinds]
    return min(replicates_of(facts) if serves(facts, 1, kind) else 0 for facts, kind in said)


def _counted(directory: Path, whole: StoredPoint, some: StoredPoint, by: CountedBy) -> dict[str, pl.DataFrame]:
    if some is whole:
        tables = counted(directory, whole, by)
    else:
        tables = count(directory, some, replace(by, oracles=False), decided=False)
    tables.pop(ORACLES, None)
    return tables


@contextmanager
def with_pages(directory: Path, tell: Tell) -> Iterator[Tell]:
    """`tell`, which is called with each finished block, and pages now and then until the body ends."""
    pages = PagesSoFar(directory)

    def also(done: Done) -> None:
        tell(done)
        pages.look()

    try:
        yield also
    finally:
        pages.stop()


class PagesSoFar:
    """The pages of one study while it runs, each made by a process of its own that takes the processor from nobody."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None
        self.next, self.paid = time.monotonic() + SECONDS_BETWEEN, 0.0

    def look(self, seconds_left: float = math.inf) -> None:
        """Begin with the next one, where it is due. seconds_left: of the study, as far as is known."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            taken = _taken() - self.paid
            self.process, self.next = None, now + max(SECONDS_BETWEEN, taken / SHARE)
        if self.process is None and now >= self.next and seconds_left > SECONDS_LEFT:
            self.paid = _taken()
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", COMMAND, "report", str(self.directory), "--so-far"],
                env=os.environ | {CPUS: "1", "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=partial(_humbly, os.getpid()),
            )

    def stop(self) -> None:
        """No further one, and none that is half done."""
        self.next = math.inf
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def _humbly(parent: int) -> None:
    die_with_parent(parent, signal.SIGKILL)
    os.nice(NICENESS)


def _taken() -> float:
    """Seconds of the processor that processes which this one has started, and which have ended, have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def forget_so_far(directory: Path) -> None:
    """Remove what is of a study that still ran."""
    if (link := directory / PAGE_FILE).is_symlink():
        link.unlink(missing_ok=True)
    shutil.rmtree(directory / SO_FAR, ignore_errors=True)
