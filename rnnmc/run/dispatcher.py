"""The dispatcher: one small actor that submits the tasks of every job of a run.

So workers are shared between jobs, and keep what they have imported. It limits what is in flight, tries again what a
worker has died of, and returns a small summary of each block as soon as its shard is on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rnnmc.common.errors import RunError, UsageError
from rnnmc.run.cluster import NAMESPACE, Cluster
from rnnmc.run.fanout import (
    IN_FLIGHT_PER_SLOT,
    RETRIES,
    Done,
    Job,
    Task,
    batches,
    make_blocks,
    to_travel,
    why_it_failed,
)
from rnnmc.run.meters import Meters
from rnnmc.run.provenance import source_facts

DISPATCHER = "dispatcher"


class Attempt(NamedTuple):
    """Tasks that go together, how often they were tried before, and whether a worker died of them then."""

    tasks: list[Task]
    before: int
    died: bool = False


class Dispatcher:
    """The actor that submits tasks. slots: how many blocks the cluster runs at a time."""

    def __init__(self, slots: int):
        import ray

        self.task = ray.remote(make_blocks)
        self.room = asyncio.Semaphore(slots * IN_FLIGHT_PER_SLOT)
        self.meters = Meters(slots)

    async def sample(
        self, every: list[list[Task]], directory: str, device: str, source: dict[str, Any]
    ) -> AsyncIterator[list[Done]]:
        """Sample every batch, in the order given as far as there is room, and yield blocks as they are done."""
        done: asyncio.Queue[list[Done]] = asyncio.Queue()
        running: set[asyncio.Task[None]] = set()
        self.meters.watch(directory)

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

        wants: dict[str, Any] = {"num_gpus": 0.25, "num_cpus": 0.5} if device == "cuda" else {"num_cpus": 1}
        todo: list[Attempt] = [Attempt(batch, 0)]
        stream: Any = None
        try:
            while todo:
                one = todo.pop(0)
                more = f" and {len(one.tasks) - 1} more" if len(one.tasks) > 1 else ""
                # Ray itself is not to try again: it would not say so, and it wants the same words each time.
                options: dict[str, Any] = {"name": one.tasks[0].name + more, "max_retries": 0} | wants
                stream = self.task.options(num_returns="streaming", **options).remote(
                    one.tasks, directory, device, source
                )
                with self.meters.in_flight(directory, len(one.tasks)):
                    todo += await self._follow(stream, one, directory, done)
                stream = None
                if todo and todo[0].died:
                    await asyncio.sleep(todo[0].before - 1)  # for memory, or a machine, to come back
        except asyncio.CancelledError:
            if stream is not None:
                ray.cancel(stream)
            raise
        finally:
            self.room.release()

    async def _follow(
        self, stream: Any, one: Attempt, directory: str, done: asyncio.Queue[list[Done]]
    ) -> list[Attempt]:
        """Put into `done` what an attempt yields; what is to be attempted again."""
        from ray.exceptions import RayError

        left, again, last = one.tasks, [], one.before == RETRIES
        try:
            async for reference in stream:
                some: list[Done] = [replace(of, retries=one.before) for of in await reference]
                again += [task for task, of in zip(left, some, strict=False) if of.elsewhere and not last]
                told = [(task, of) for task, of in zip(left, some, strict=False) if last or not of.elsewhere]
                left = left[len(some) :]
                self.meters.note(directory, told)
                done.put_nowait([of for _, of in told])
        except RayError as error:
            if last:
                lost = [task.failed(why_it_failed(error, task.name), one.before) for task in left]
                self.meters.note(directory, list(zip(left, lost, strict=True)))
                done.put_nowait(lost)
                left = []
        else:
            left = []
        self.meters.again(directory, again + left)
        return [Attempt(again, one.before + 1)] * bool(again) + [Attempt([task], one.before + 1, True) for task in left]


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
