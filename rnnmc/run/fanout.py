"""Blocks become Ray tasks: a limit on what is in flight, retries, shards written by the workers, progress.

Blocks of less than a second share a task. One dispatcher (a small actor) submits the tasks of every job of a run, so
that workers are shared between jobs and keep what they have imported; it returns a small summary of each block as soon
as its shard is on disk.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import platform
import time
from collections.abc import AsyncIterator, Iterator, Sequence
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
from rnnmc.run.cluster import NAMESPACE, Cluster
from rnnmc.run.provenance import device_name, source_facts
from rnnmc.store.marks import claimed
from rnnmc.store.routes import OtherRoute, check_compiler, check_route
from rnnmc.store.shards import DamagedShard, found_shard, write_shard
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.point import DesignPoint

DISPATCHER = "dispatcher"
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

    point: key, label, cell, width, replicates in all (`most`), its partition `cut`, and what is `written` of the design
    point and of its observables, and the `folder` that relative paths in it are of; one object for all its blocks.
    """

    point: dict[str, Any]
    block: int
    replicates: int

    @property
    def name(self) -> str:
        """The task for people, as the dashboard shows it."""
        return block_name(self.point["label"], self.block, self.point["most"], self.point["cut"]["block"])


def block_name(label: str, block: int, replicates: int, size: int) -> str:
    """A block for people, of a point of so many replicates in blocks of this size."""
    return f"{label} | block {block + 1}/{-(-replicates // size)}"


def expected_seconds(stored: StoredPoint, replicates: int) -> float:
    """Nominal seconds on one core to sample and store so many replicates, of which whole tiles are computed."""
    cut = stored.cut
    computed = -(-replicates // cut.tile) * cut.tile
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
    for _, of_point in itertools.groupby(jobs, lambda job: id(job.stored)):
        first = next(of_point)
        stored = first.stored
        point = stored.design
        said = {"key": stored.key, "label": stored.label, "cell": stored.cell, "width": str(point.width)}
        said |= {"written": point.written(), "observables": [one.written() for one in stored.observables]}
        said |= {"cut": asdict(stored.cut), "most": stored.replicates, "folder": folder}
        yield from (Task(said, job.block, job.replicates) for job in (first, *of_point))


@dataclass(frozen=True)
class Done:
    """What came of a job. error: one sentence, or "". tables: what was sampled, where no folder was given for it.

    wrong: the error is one of what was asked for. elsewhere: it is one of this process, and another may do it.
    """

    key: str
    block: int
    replicates: int
    seconds: float
    error: str = ""
    tables: dict[str, pa.Table] | None = None
    wrong: bool = False
    elsewhere: bool = False


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
    every, last = [], time.perf_counter()
    for one in batch:
        begin, key = time.perf_counter(), one.stored.key if isinstance(one, Job) else one.point["key"]
        try:
            if isinstance(one, Task):
                _stand_in(one.point["folder"])
                stored = known.get(key) or known.setdefault(key, _arrived(one.point))
                job = Job(stored, one.block, one.replicates)
            else:
                job = one
            tables = _make_block(job, directory, device, source)
        except Exception as error:  # every failure of a block is reported
            cause, other = _sentence(error, one.name), isinstance(error, OtherRoute)
            every.append(Done(key, one.block, 0, 0.0, cause, None, isinstance(error, UsageError), other))
            if other:  # a compiler that is not there, or that failed, may be there the next time
                forget()
        else:
            every.append(Done(key, one.block, one.replicates, time.perf_counter() - begin, tables=tables))
        if time.perf_counter() - last > WORD_SECONDS:
            yield every
            every, last = [], time.perf_counter()
    if every:
        yield every


def _make_block(job: Job, directory: str, device: str, source: dict[str, Any]) -> dict[str, pa.Table] | None:
    """Sample one block and store what is not there yet, or return it where there is no directory."""
    from rnnmc.engine.run import made_by, route

    stored, block, count = job
    point, observables, cut = stored.design, stored.observables, stored.cut
    check_compiler(job.name, source)
    if not directory:
        return observe_block(point, block, observables, count, device, cut)
    folder, begin = Path(directory), time.perf_counter()
    lacking = [kind for kind in stored.kinds if not _is_there(folder, point, block, count, kind)]
    if not lacking:  # the task is tried again, for its worker died after this block
        return None
    made: dict[str, Any] = {"device": device_name(device), "kernel": made_by(point, device, cut.kernel)}
    made |= {"route": route(point, device, cut.kernel), "tile": cut.tile}
    if not source.get("mixed"):
        check_route(folder, stored, made)
    with claimed(folder, point, block):
        tables = observe_block(point, block, observables, count, device, cut)
        made["wall_seconds"] = round(time.perf_counter() - begin, 3)
        made |= {"sampled": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}", "host": platform.node()}
        for kind in lacking:
            write_shard(folder, point, block, tables[kind.name if kind else SAMPLES], source | made, kind)
    return None


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


class Dispatcher:
    """The actor that submits tasks. slots: how many blocks the cluster runs at a time."""

    def __init__(self, slots: int):
        import ray
        from ray.util import metrics

        self.task = ray.remote(make_blocks)
        self.room = asyncio.Semaphore(slots * IN_FLIGHT_PER_SLOT)
        self.replicates = metrics.Counter("rnnmc_replicates", "Replicates sampled", tag_keys=("cell", "width"))
        self.seconds = metrics.Histogram(
            "rnnmc_block_seconds", "Wall time of a block", [0.1, 0.3, 1, 3, 10, 30, 100], ("cell",)
        )

    async def sample(
        self, every: list[list[Task]], directory: str, device: str, source: dict[str, Any]
    ) -> AsyncIterator[list[Done]]:
        """Sample every batch, in the order given as far as there is room, and yield blocks as they are done."""
        done: asyncio.Queue[list[Done]] = asyncio.Queue()
        running: set[asyncio.Task[None]] = set()

        async def feed() -> None:
            for batch in every:
                await self.room.acquire()
                task = asyncio.ensure_future(self._sample(batch, directory, device, source, done))
                running.add(task)
                task.add_done_callback(running.discard)

        feeder, left = asyncio.ensure_future(feed()), sum(len(batch) for batch in every)
        try:
            while left:
                some = await done.get()
                left -= len(some)
                yield some
            if running:  # at the end of their streams, where a cancel that meets it ends this process
                await asyncio.wait(running)
        finally:
            feeder.cancel()
            for task in list(running):
                task.cancel()

    async def _sample(
        self, batch: list[Task], directory: str, device: str, source: dict[str, Any], done: asyncio.Queue[list[Done]]
    ) -> None:
        """Put into `done` what comes of a batch. Where its worker dies, what is left of it is tried block by block."""
        import ray
        from ray.exceptions import RayError

        wants: dict[str, Any] = {"num_gpus": 0.25, "num_cpus": 0.5} if device == "cuda" else {"num_cpus": 1}
        todo, stream, sent = [batch], None, 0
        try:
            while todo:
                left = todo.pop(0)
                # Ray tries again what says the same words each time, and that is a task of one block alone.
                more, retries = (f" and {len(left) - 1} more", 0) if len(left) > 1 else ("", RETRIES)
                task = self.task.options(
                    name=left[0].name + more, max_retries=retries, num_returns="streaming", **wants
                )
                stream: Any = task.remote(left, directory, device, source)
                try:
                    async for reference in stream:
                        some: list[Done] = await reference
                        self._note(left, some)
                        again = [one for one, of in zip(left, some, strict=False) if of.elsewhere and sent < RETRIES]
                        left = left[len(some) :]
                        todo += [again] if again else []
                        done.put_nowait([of for of in some if not (of.elsewhere and sent < RETRIES)])
                    sent += 1
                except RayError as error:
                    if len(left) > 1:
                        todo += [[one] for one in left]
                        continue
                    cause = _sentence(error, left[0].name)
                    done.put_nowait([Done(left[0].point["key"], left[0].block, 0, 0.0, cause)])
        except asyncio.CancelledError:
            if stream is not None:
                ray.cancel(stream)
            raise
        finally:
            self.room.release()

    def _note(self, tasks: list[Task], some: list[Done]) -> None:
        for task, done in zip(tasks, some, strict=False):
            if not done.error:
                tags = {"cell": task.point["cell"]}
                self.replicates.inc(done.replicates, tags | {"width": task.point["width"]})
                self.seconds.observe(done.seconds, tags)


def _sentence(error: Exception, name: str) -> str:
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, (RunError, UsageError)):
        return str(cause)
    kind = type(error).__name__
    if kind == "OutOfMemoryError":
        return f"{name}: memory ran out {RETRIES + 1} times; give the machine more, or fewer blocks at a time by CPUS"
    if kind in ("NodeDiedError", "LocalRayletDiedError"):
        return f"{name}: its machine went away {RETRIES + 1} times ({kind}); run again to go on"
    if kind == "WorkerCrashedError":
        return (
            f"{name}: its worker died {RETRIES + 1} times, and not because Ray saw memory run out; "
            "rnnmc verify --repair DIR computes it in the foreground, where its last words are seen"
        )
    words = str(cause).strip().splitlines() or ["no word"]
    return f"{name}: {type(cause).__name__}: {words[-1]}"


def start_dispatcher(cluster: Cluster, named: bool = False) -> Any:
    """A dispatcher for this cluster; a named one is found by every job that connects. It ends with this process."""
    import ray

    options: dict[str, Any] = {"num_cpus": 0, "max_concurrency": 1000}
    if named:
        options |= {"name": DISPATCHER, "namespace": NAMESPACE, "get_if_exists": True}
    return ray.remote(Dispatcher).options(**options).remote(max(cluster.cpus, 4 * cluster.gpus))


def _dispatcher(cluster: Cluster) -> Any:
    import ray

    try:
        return ray.get_actor(DISPATCHER, NAMESPACE)
    except ValueError:
        return start_dispatcher(cluster)


def choose_device(wanted: str, cluster: Cluster) -> str:
    """`cuda` where it is wanted or, with `auto`, where the cluster has a GPU. Raises UsageError if there is none."""
    if wanted == "cuda" and not cluster.gpus:
        raise UsageError("no CUDA device on this cluster; run with --device cpu, or give RAY_ADDRESS of one that has")
    return "cuda" if wanted != "cpu" and cluster.gpus else "cpu"


def fan_out(cluster: Cluster, jobs: Sequence[Job], directory: Path | None, device: str = "auto") -> Iterator[Done]:
    """Sample every job over Ray and yield each when its shard is on disk (or has failed, with the reason).

    Without a directory the samples themselves come back, over the network: for a single design point.
    """
    import ray
    from ray.exceptions import RayError

    if not jobs:
        return
    where = str(directory.resolve()) if directory else ""
    tasks = list(to_travel(jobs))
    every = [tasks[together] for together in batches(jobs, cluster.cpus)]
    sampling = _dispatcher(cluster).sample.options(num_returns="streaming")
    stream = sampling.remote(every, where, choose_device(device, cluster), source_facts())
    try:
        for reference in stream:
            yield from ray.get(reference)
    except RayError as error:
        raise RunError(
            f"Ray went away ({type(error).__name__}); finished blocks are kept: run again to go on"
        ) from None
