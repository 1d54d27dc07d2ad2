"""How far the dispatcher reaches: a million blocks, a thousand workers that are pretended, and the real dispatcher.

What runs: `rnnmc.run.fanout` cuts blocks into tasks, and `rnnmc.run.dispatcher` submits them, follows them, tries again
and reports, as in every run. What is pretended: Ray, whose tasks take their turn on so many workers, last as long as a
draw from a heavy-tailed law says, another time for another attempt, and die with a probability; and the clock, which
jumps to what comes next, so that days pass in minutes. No file is written and nothing is computed. What Ray itself adds
to a task, ray_cost.py measures.

    python benchmarks/scale.py                       # 1,000,000 blocks on 1,000 workers: some minutes, 2 GiB
    python benchmarks/scale.py --blocks 20000 --workers 100
"""

from __future__ import annotations

import argparse
import asyncio
import pickle
import random
import resource
import selectors
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

from rnnmc.run import dispatcher
from rnnmc.run.fanout import Done, Job, Task, batches, to_travel
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.study import read_study

BLOCK_SECONDS = 10.0  # mean of a pretended block
TAIL = 1.5  # exponent of a Pareto law: its mean is finite, its variance is not
LONGEST = 3600.0  # seconds of a block, at most: the longest that the cost model cuts is far below
DEATHS = 0.01  # probability that a worker dies of a block
A_POINT = 10_000  # blocks of a design point


class Died(RuntimeError):
    """What stands for Ray's own error."""


class Pretended:
    """A cluster of so many workers: what `ray.remote` makes of the work of a task."""

    def __init__(self, workers: int, seed: int):
        self.free = asyncio.Semaphore(workers)
        self.rng = random.Random(seed)
        self.busy = self.wasted = self.late = 0.0  # seconds of workers: of blocks done, of those that died, of losers
        self.submitted = 0

    def options(self, **_: Any) -> Pretended:
        """Names and resources, which nobody looks at here."""
        return self

    def remote(self, tasks: list[Task], *_: Any) -> AsyncIterator[asyncio.Future[list[Done]]]:
        """Submit a task."""
        self.submitted += 1
        return self._run(tasks)

    async def _run(self, tasks: list[Task]) -> AsyncIterator[asyncio.Future[list[Done]]]:
        async with self.free:
            for task in tasks:
                seconds = min(LONGEST, BLOCK_SECONDS * (1 - 1 / TAIL) * self.rng.paretovariate(TAIL))
                dies = self.rng.random() < DEATHS
                seconds *= self.rng.random() if dies else 1.0
                begin = asyncio.get_running_loop().time()
                try:
                    await asyncio.sleep(seconds)
                except asyncio.CancelledError:  # the other one was first
                    self.late += asyncio.get_running_loop().time() - begin
                    raise
                if dies:
                    self.wasted += seconds
                    raise Died
                self.busy += seconds
                answer = asyncio.get_running_loop().create_future()
                answer.set_result([Done(task.point["key"], task.block, task.replicates, seconds, size=1)])
                yield answer


class Meter:
    """A metric that nobody reads."""

    def __init__(self, *_: Any): ...

    def inc(self, *_: Any) -> None:
        """Count."""

    observe = set = inc


class Jumping(selectors.DefaultSelector):
    """Waits for nothing: the time that a loop would wait has passed."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """What is ready now, and the clock goes on."""
        self.now += timeout or 0.0
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps."""

    def __init__(self) -> None:
        self.jumping = Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        """Seconds, of the pretended clock."""
        return self.jumping.now


def pretend(cluster: Pretended) -> None:
    """Have the dispatcher find this in place of Ray."""
    metrics = SimpleNamespace(Counter=Meter, Gauge=Meter, Histogram=Meter)
    fakes: dict[str, Any] = {"ray": SimpleNamespace(remote=lambda _: cluster, cancel=lambda *_, **__: None)}
    fakes |= {"ray.exceptions": SimpleNamespace(RayError=Died), "ray.util": SimpleNamespace(metrics=metrics)}
    for name, fake in (fakes | {"ray.util.metrics": metrics}).items():
        module = ModuleType(name)
        module.__dict__.update(vars(fake))
        sys.modules[name] = module


def jobs_of_a_study(blocks: int) -> list[Job]:
    """So many blocks, of design points of A_POINT each."""
    points = -(-blocks // A_POINT)
    gains = [round(0.5 + i / points, 6) for i in range(points)]
    entry = {"cell": "lstm", "width": 16, "init": {"recurrent": {"gaussian": gains}}}
    jobs: list[Job] = []
    for planned in read_study({"study": "scale", "points": [entry]}, "scale").points:
        stored = StoredPoint.of(planned)
        size = stored.cut.block
        stored = replace(stored, replicates=A_POINT * size, most=A_POINT * size)
        jobs += [Job(stored, block, size) for block in range(A_POINT)]
    return jobs[:blocks]


def memory() -> float:
    """MiB that this process has taken, at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def drive(workers: int, every: list[list[Task]], seed: int) -> dict[str, float]:
    """Have the dispatcher see every block done or given up; what that took."""
    cluster = Pretended(workers, seed)
    pretend(cluster)
    driven = dispatcher.Dispatcher(workers)
    loop = asyncio.get_running_loop()
    seen: Counter[str] = Counter()
    begin, processor, last_start = loop.time(), time.process_time(), 0.0
    async for some in driven.sample(every, "", "cpu", {}):
        for done in some:
            seen["done" if not done.error else "given up"] += 1
            seen["tried again"] += done.retries > 0
        if cluster.free.locked():
            last_start = loop.time()  # while every worker has something to do
    took = loop.time() - begin
    return {
        **seen,
        "submissions": cluster.submitted,
        "pretended seconds": took,
        "busy share": (cluster.busy + cluster.wasted + cluster.late) / (workers * took),
        "share of blocks given twice that were late": cluster.late / (workers * took),
        "share lost to workers that died": cluster.wasted / (workers * took),
        "share lost to waiting for the last": (took - last_start) / took,
        "processor seconds": time.process_time() - processor,
    }


def main() -> None:
    """Run it and print what came of it."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--blocks", type=int, default=1_000_000)
    words.add_argument("--workers", type=int, default=1000)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--once", action="store_true", help="give no block a second time, however long it takes")
    asked = words.parse_args()
    if asked.once:
        dispatcher.OVERDUE = float("inf")
    start, begin = memory(), time.process_time()
    jobs = jobs_of_a_study(asked.blocks)
    tasks = list(to_travel(jobs))
    every = [tasks[together] for together in batches(jobs, asked.workers)]
    cut = time.process_time() - begin
    print(f"{len(jobs):,} blocks in {len(every):,} tasks: {cut:.1f} s of the processor, {memory() - start:,.0f} MiB")
    size = len(pickle.dumps(every))
    print(f"as they travel to the dispatcher: {size / 2**20:,.0f} MiB, {size / len(jobs):.0f} bytes a block")
    with asyncio.Runner(loop_factory=Loop) as runner:
        found = runner.run(drive(asked.workers, every, asked.seed))
    for name, value in found.items():
        print(f"{name}: {value:,.4g}" if isinstance(value, float) else f"{name}: {value:,}")
    rate = found["submissions"] / found["processor seconds"]
    print(f"tasks a second of the processor: {rate:,.0f}; memory at most: {memory():,.0f} MiB")


if __name__ == "__main__":
    main()
