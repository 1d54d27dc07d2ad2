"""The dispatcher: one small actor that submits the tasks of every job of a run.

So workers are shared between jobs, and keep what they have imported. It limits what is in flight, tries again what a
worker has died of, gives the last blocks a second time where they take too long, and returns a small summary of each
block as soon as its shard is on disk.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
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

OF_RUN = "RNNMC_DISPATCHER"  # in the environment: the name of the dispatcher that all jobs of this run share
OVERDUE = 3.0  # times what others took: a block that takes so long is given a second time, where there is room
LEAST_PATIENCE = 10.0  # seconds: the second may have a worker to start and kernels to compile first
LOOK_SECONDS = 1.0  # between two looks for such blocks
PACES = 20  # blocks of a point, the first ones, say what others took: of the last ones many were slow themselves


class Attempt(NamedTuple):
    """Tasks that go together, how often they were tried before, and whether a worker died of them then."""

    tasks: list[Task]
    before: int
    died: bool = False


class Race:
    """An attempt at blocks for the study in `directory`, and a second where it takes long: the first word counts.

    send: submits tasks to Ray, and gives the stream of what they yield.
    """

    def __init__(self, attempt: Attempt, directory: str, send: Callable[[list[Task]], Any]):
        self.left = list(attempt.tasks)  # of which there is no word yet
        self.directory, self.send = directory, send
        self.heard: asyncio.Queue[tuple[int, list[Done], Exception | None]] = asyncio.Queue()
        self.runners: dict[int, tuple[Any, asyncio.Task[None]]] = {}
        self.sent = 0
        self.enter()

    def enter(self) -> None:
        """Send what is left."""
        stream = self.send(list(self.left))
        self.runners[self.sent] = stream, asyncio.ensure_future(self._listen(self.sent, stream))
        self.sent += 1
        self.since = asyncio.get_running_loop().time()

    async def _listen(self, number: int, stream: Any) -> None:
        """Put what a runner says into `heard`; no blocks, and the error if there is one, when it has ended."""
        ended = None
        try:
            async for reference in stream:
                if some := await reference:
                    self.heard.put_nowait((number, some, None))
        except Exception as error:  # of Ray, of many kinds
            ended = error
        self.heard.put_nowait((number, [], ended))

    @property
    def keys(self) -> set[str]:
        """Of the points of which something is left."""
        return {task.point["key"] for task in self.left}

    def awaited(self, done: Done) -> Task | None:
        """The first task left that this is about; runners go by their order."""
        return next((one for one in self.left if (one.point["key"], one.block) == (done.key, done.block)), None)

    def patience(self, usual: dict[str, float], of_all: float) -> float:
        """Seconds until the next word is overdue by its forecast. usual, of_all: what others took of it, by point."""
        key, slowest = self.left[0].point["key"], max(task.expected for task in self.left)
        return max(LEAST_PATIENCE, OVERDUE * usual.get(key, of_all) * slowest)

    def cancel(self, but: int | None = None) -> None:
        """Cancel every runner; where the one that has won is named, those that may be stuck: they are killed."""
        import ray

        for number in [number for number in self.runners if number != but]:
            stream, listening = self.runners.pop(number)
            listening.cancel()
            ray.cancel(stream, force=but is not None)


class Dispatcher:
    """The actor that submits tasks. slots: how many blocks the cluster runs at a time."""

    def __init__(self, slots: int):
        import ray

        self.task = ray.remote(make_blocks)
        self.slots = slots
        self.room = asyncio.Semaphore(slots * IN_FLIGHT_PER_SLOT)
        self.meters = Meters(slots)
        self.races: set[Race] = set()
        self.paces: defaultdict[str, list[float]] = defaultdict(list)  # of a point: seconds by those forecast
        self.watcher: asyncio.Task[None] | None = None

    async def sample(
        self, every: list[list[Task]], directory: str, device: str, source: dict[str, Any]
    ) -> AsyncIterator[list[Done]]:
        """Sample every batch, in the order given as far as there is room, and yield blocks as they are done."""
        done: asyncio.Queue[list[Done]] = asyncio.Queue()
        running: set[asyncio.Task[None]] = set()
        self.meters.watch(directory)
        self.watcher = self.watcher or asyncio.ensure_future(self._watch())

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
        wants: dict[str, Any] = {"num_gpus": 0.25, "num_cpus": 0.5} if device == "cuda" else {"num_cpus": 1}

        def send(tasks: list[Task]) -> Any:
            more = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
            # Ray itself is not to try again: it would not say so, and it wants the same words each time.
            options: dict[str, Any] = {"name": tasks[0].name + more, "max_retries": 0} | wants
            return self.task.options(num_returns="streaming", **options).remote(tasks, directory, device, source)

        todo: list[Attempt] = [Attempt(batch, 0)]
        try:
            while todo:
                one = todo.pop(0)
                race = Race(one, directory, send)
                self.races.add(race)
                try:
                    with self.meters.in_flight(directory, len(one.tasks)):
                        todo += await self._follow(race, one, done)
                finally:
                    self.races.discard(race)
                    race.cancel()
                if todo and todo[0].died:
                    await asyncio.sleep(todo[0].before - 1)  # for memory, or a machine, to come back
        finally:
            self.room.release()

    async def _follow(self, race: Race, one: Attempt, done: asyncio.Queue[list[Done]]) -> list[Attempt]:
        """Put into `done` what comes of an attempt; what is to be attempted again."""
        again: list[Task] = []
        failure: Exception | None = None
        last = one.before == RETRIES
        while race.runners:
            number, some, error = await race.heard.get()
            if not some:
                race.runners.pop(number, None)
                failure = failure or error
                continue
            told: list[tuple[Task, Done]] = []
            for of in some:
                task = race.awaited(of)
                if task is None or (number and of.error):  # the other one has said it, or will say what is wrong
                    continue
                race.left.remove(task)
                if of.elsewhere and not last:
                    again.append(task)
                    continue
                told.append((task, replace(of, retries=one.before + number)))
                if (of.size or of.tables) and len(self.paces[of.key]) < PACES:  # else it was there
                    self.paces[of.key].append(of.seconds / task.expected)
            self._tell(race, told, done)
            race.since = asyncio.get_running_loop().time()
            if not race.left:
                race.cancel(but=number)
        left = list(race.left) if failure else []
        if failure and last:
            lost = [(task, task.failed(why_it_failed(failure, task.name, race.directory), one.before)) for task in left]
            self._tell(race, lost, done)
            left = []
        self.meters.again(race.directory, again + left)
        return [Attempt(again, one.before + 1)] * bool(again) + [Attempt([task], one.before + 1, True) for task in left]

    def _tell(self, race: Race, told: list[tuple[Task, Done]], done: asyncio.Queue[list[Done]]) -> None:
        self.meters.note(race.directory, told)
        if told:
            done.put_nowait([of for _, of in told])

    async def _watch(self) -> None:
        """Where nothing waits and slots are idle, give what takes far longer than others did a second time."""
        loop = asyncio.get_running_loop()
        full = loop.time()  # when something may have waited for a slot last
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            idle = self.slots - sum(len(race.runners) for race in self.races)
            if idle <= 0:
                full = loop.time()
                continue
            usual = {key: median(self.paces[key]) for race in self.races for key in race.keys if key in self.paces}
            of_all = median(itertools.chain(*self.paces.values())) if self.paces else math.inf
            once = [race for race in self.races if len(race.runners) == 1 and race.left and race.sent <= RETRIES]
            now = loop.time()
            overdue = [race for race in once if now - max(race.since, full) > race.patience(usual, of_all)]
            for race in overdue[:idle]:
                self.meters.again(race.directory, list(race.left))
                race.enter()


def start_dispatcher(cluster: Cluster, shared: bool = False) -> Any:
    """A dispatcher for this cluster; a shared one is found by every job of this run. It ends with this process.

    It stands on the machine of this process: the loss of any other one is survived.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options: dict[str, Any] = {"num_cpus": 0, "max_concurrency": 1000, "scheduling_strategy": here}
    if shared:
        name = os.environ.setdefault(OF_RUN, new_name())
        options |= {"name": name, "namespace": NAMESPACE, "get_if_exists": True}
    return ray.remote(Dispatcher).options(**options).remote(max(cluster.cpus, 4 * cluster.gpus))


def new_name() -> str:
    """Of a dispatcher. Other runs on the same cluster have others: theirs end with them, and compute by their code."""
    return f"dispatcher-{uuid.uuid4().hex}"


def _dispatcher(cluster: Cluster) -> Any:
    import ray

    with suppress(KeyError, ValueError):
        return ray.get_actor(os.environ[OF_RUN], NAMESPACE)
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
