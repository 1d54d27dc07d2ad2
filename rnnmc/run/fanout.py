"""Blocks become tasks, which travel to a worker, or stay in this process: shards are written where blocks are made.

Blocks of less than a second share a task. Who submits them to Ray is `rnnmc.run.dispatcher`.
"""

from __future__ import annotations

import itertools
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from rnnmc.common.errors import RunError, UsageError
from rnnmc.engine.block import SAMPLES, Partition, block_seconds, observe_block
from rnnmc.numerics.compiler import forget
from rnnmc.observables import read_observables
from rnnmc.observables.observable import Observable
from rnnmc.run.provenance import device_name, source_facts
from rnnmc.store.marks import claimed
from rnnmc.store.proofs import repairing
from rnnmc.store.routes import OtherRoute, check_compiler, check_route
from rnnmc.store.shards import DamagedShard, found_shard, write_shard
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.point import DesignPoint

TASK_SECONDS = 1.0  # nominal, of a task at least, where there are blocks enough: a task costs milliseconds
STORING_SECONDS = 0.01  # of a block, however few replicates are in it: setting up its draws, writing its shard
WORD_SECONDS = 0.5  # between two words of a task about what it has done: a word costs as much as a task
IN_FLIGHT_PER_SLOT = 2  # one runs, one waits: no slot stands idle, and a stop loses little
RETRIES = 3  # of a block whose worker died; an error in the block itself is not tried again


class Job(NamedTuple):
    """One block to be sampled: the first `replicates` of block `block` of a stored point."""

    stored: StoredPoint
    block: int
    replicates: int

    @property
    def name(self) -> str:
        """The job for people."""
        return block_name(self.stored.label, self.block, self.stored.replicates, self.stored.cut.block)


class Task(NamedTuple):
    """A job as plain values, to travel; whoever passes it on need not know the cell or the drive's file.

    point: key, label, cell, width, replicates in all (`most`), its partition `cut`, what is `written` of the design
    point and of its observables, the `folder` that relative paths in it are of, and the nominal `seconds` of a block by
    how many replicates it has; one object for all its blocks.
    """

    point: dict[str, Any]
    block: int
    replicates: int

    @property
    def name(self) -> str:
        """The task for people, as the dashboard shows it."""
        return block_name(self.point["label"], self.block, self.point["most"], self.point["cut"]["block"])

    @property
    def expected(self) -> float:
        """Nominal seconds."""
        return self.point["seconds"][self.replicates]

    def failed(self, error: str, retries: int) -> Done:
        """What came of it where nobody is left to say."""
        return Done(self.point["key"], self.block, 0, 0.0, error, retries=retries)


def block_name(label: str, block: int, replicates: int, size: int) -> str:
    """A block for people, of a point of so many replicates in blocks of this size."""
    return f"{label} | block {block + 1}/{-(-replicates // size)}"


def expected_seconds(stored: StoredPoint, replicates: int) -> float:
    """Nominal seconds on one core to sample and store so many replicates, of which whole tiles are computed.

    Of a point with splitting a replicate is a population, and a tile as many chains of it.
    """
    cut = stored.cut
    computed = replicates if stored.split else -(-replicates // cut.tile) * cut.tile
    return block_seconds(stored.design, computed, cut) + STORING_SECONDS * -(-replicates // cut.block)


def batches(jobs: Sequence[Job], slots: int = 1) -> Iterator[slice]:
    """Which jobs go together, in their order: as many as take TASK_SECONDS, fewer where `slots` would else be idle."""
    seconds = []
    for _, of_point in itertools.groupby(jobs, lambda job: id(job.stored)):
        first = next(of_point)
        cost = cache(lambda replicates, stored=first.stored: expected_seconds(stored, replicates))
        seconds += [cost(job.replicates) for job in (first, *of_point)]
    enough = min(TASK_SECONDS, sum(seconds) / (slots * IN_FLIGHT_PER_SLOT))
    begin = together = 0
    for end, one in enumerate(seconds, 1):
        together += one
        if together >= enough or end == len(jobs):
            yield slice(begin, end)
            begin, together = end, 0


def to_travel(jobs: Sequence[Job]) -> Iterator[Task]:
    """The jobs as plain values."""
    folder = _working_folder()
    for _, grouped in itertools.groupby(jobs, lambda job: id(job.stored)):
        of_point = list(grouped)
        stored = of_point[0].stored
        point = stored.design
        said: dict[str, Any] = {
            "key": stored.key,
            "label": stored.label,
            "cell": stored.cell,
            "width": str(point.width),
        }
        said |= {"written": point.written(), "observables": [one.written() for one in stored.observables]}
        said |= {"cut": asdict(stored.cut), "most": stored.replicates, "folder": folder}
        counts = {job.replicates for job in of_point}
        said |= {"seconds": {count: expected_seconds(stored, count) for count in counts}}
        yield from (Task(said, job.block, job.replicates) for job in of_point)


@dataclass(frozen=True)
class Done:
    """What came of a job. error: one sentence, or "". tables: what was sampled, where no folder was given for it.

    wrong: the error is one of what was asked for. elsewhere: it is one of this process, and another may do it.
    began: when, in seconds since 1970. worker: host and number of the process that did it. size: bytes that it stored.
    retries: how often it was tried before.
    """

    key: str
    block: int
    replicates: int
    seconds: float
    error: str = ""
    tables: dict[str, pa.Table] | None = None
    wrong: bool = False
    elsewhere: bool = False
    began: float = 0.0
    worker: str = ""
    size: int = 0
    retries: int = 0


def _working_folder() -> str:
    """Where this process stands, which paths in a study are relative to; "" where that folder is no more."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _stand_in(folder: str) -> None:
    """Have this process stand where the one stood that sent the task, if there is such a folder here."""
    if folder and folder != _working_folder():
        with suppress(OSError):
            os.chdir(folder)


def _arrived(said: dict[str, Any]) -> StoredPoint:
    """The point of a task. Raises UsageError where its cell or its drive's file is not here, or is another one."""
    point, observables = DesignPoint(**said["written"]), read_observables(said["observables"])
    if point.key != said["key"]:
        raise UsageError(f"{said['label']}: its cell, a law or its drive is not here as it was planned; run again")
    cut, most = Partition(**said["cut"]), said["most"]
    return StoredPoint(said["key"], point.cell, point.horizons, most, cut, said["label"], observables, point=point)


def make_blocks(
    batch: Sequence[Task | Job], directory: str, device: str, source: dict[str, Any]
) -> Iterator[list[Done]]:
    """Sample blocks one after the other, and yield now and then those that are done. The work of one task.

    In the process that planned them they are jobs, whose design points are at hand. Each shard is below `directory` as
    soon as its block is done; where that is "", the samples come back. No failure stops another block.
    """
    known: dict[str, StoredPoint] = {}
    every, last, worker = [], time.perf_counter(), f"{platform.node()} {os.getpid()}"
    for one in batch:
        began, begin = time.time(), time.perf_counter()
        key = one.stored.key if isinstance(one, Job) else one.point["key"]
        try:
            if isinstance(one, Task):
                _stand_in(one.point["folder"])
                stored = known.get(key) or known.setdefault(key, _arrived(one.point))
                job = Job(stored, one.block, one.replicates)
            else:
                job = one
            tables, size = _make_block(job, directory, device, source)
        except Exception as error:  # every failure of a block is reported
            cause, other = why_it_failed(error, one.name, directory), isinstance(error, OtherRoute)
            wrong = isinstance(error, UsageError)
            every.append(Done(key, one.block, 0, 0.0, cause, None, wrong, other, began, worker))
            if other:  # a compiler that is not there, or that failed, may be there the next time
                forget()
        else:
            seconds = time.perf_counter() - begin
            every.append(Done(key, one.block, one.replicates, seconds, "", tables, False, False, began, worker, size))
        if time.perf_counter() - last > WORD_SECONDS:
            yield every
            every, last = [], time.perf_counter()
    if every:
        yield every


def _make_block(
    job: Job, directory: str, device: str, source: dict[str, Any]
) -> tuple[dict[str, pa.Table] | None, int]:
    """Sample one block and store what is not there yet, or return it where there is no directory; bytes stored."""
    from rnnmc.engine.run import made_by, route

    stored, block, count = job
    point, observables, cut = stored.design, stored.observables, stored.cut
    check_compiler(job.name, source)
    if not directory:
        return observe_block(point, block, observables, count, device, cut), 0
    folder, begin, cpu = Path(directory), time.perf_counter(), time.process_time()
    lacking = [kind for kind in stored.kinds if not _is_there(folder, point, block, count, kind)]
    if not lacking:  # the task is tried again, for its worker died after this block
        return None, 0
    made: dict[str, Any] = {"device": device_name(device), "kernel": made_by(point, device, cut.kernel)}
    made |= {"route": route(point, device, cut.kernel), "tile": cut.tile}
    if not source.get("mixed"):
        check_route(folder, stored, made)
    with claimed(folder, point, block):
        tables = observe_block(point, block, observables, count, device, cut)
        # Another worker was given it too where this one took long, and may have been the first.
        lacking = [kind for kind in lacking if not _is_there(folder, point, block, count, kind)]
        made["wall_seconds"] = round(time.perf_counter() - begin, 3)
        made["cpu_seconds"] = round(time.process_time() - cpu, 3)  # what it costs on a machine with others on it
        made |= {"sampled": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}", "host": platform.node()}
        written = [
            write_shard(folder, point, block, tables[kind.name if kind else SAMPLES], source | made, kind)
            for kind in lacking
        ]
    return None, sum(path.stat().st_size for path in written)


def _is_there(folder: Path, point: DesignPoint, block: int, count: int, kind: Observable | None) -> bool:
    with suppress(DamagedShard):  # a damaged file gives way to a whole one
        return found_shard(folder, point, block, count, kind) is not None
    return False


def in_process(jobs: Sequence[Job], directory: Path | None, device: str = "auto") -> Iterator[Done]:
    """Do every job here, one after the other, and yield each; what goes wrong is told as it is over Ray.

    But for what was asked for wrongly: raises UsageError.
    """
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    where = str(directory) if directory else ""
    for together in batches(jobs):
        for done in itertools.chain.from_iterable(make_blocks(jobs[together], where, device, source_facts())):
            if done.wrong:
                raise UsageError(done.error)
            yield done


def why_it_failed(error: Exception, name: str, directory: str) -> str:
    """In a sentence, of the task or block of this name. directory: of its study, "" where nothing is stored."""
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, (RunError, UsageError)):
        return str(cause)
    kind = type(error).__name__
    if kind == "OutOfMemoryError":
        return f"{name}: memory ran out {RETRIES + 1} times; give the machine more, or fewer blocks at a time by CPUS"
    if kind in ("NodeDiedError", "LocalRayletDiedError"):
        return f"{name}: its machine went away {RETRIES + 1} times ({kind}); run again to go on"
    if kind == "WorkerCrashedError":
        remedy = f"{repairing(directory)} computes it in the foreground" if directory else "see its log in Ray"
        return f"{name}: its worker died {RETRIES + 1} times, and not because Ray saw memory run out; {remedy}"
    words = str(cause).strip().splitlines() or ["no word"]
    return f"{name}: {type(cause).__name__}: {words[-1]}"
