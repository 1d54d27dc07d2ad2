"""Blocks become Ray tasks: a limit on what is in flight, retries, shards written by the workers, progress.

One dispatcher (a small actor) submits the tasks of every job of a run, so that workers are shared between jobs and
keep what they have imported; it returns a small summary of each block as soon as its shard is on disk.
"""

from __future__ import annotations

import asyncio
import platform
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from rnnmc.block import SAMPLES, observe_block, partition
from rnnmc.cluster import NAMESPACE, Cluster
from rnnmc.errors import RunError, UsageError
from rnnmc.study import DesignPoint

DISPATCHER = "dispatcher"
IN_FLIGHT_PER_SLOT = 2  # one runs, one waits: no slot stands idle, and a stop loses little
RETRIES = 3  # of a block whose worker died; an error in the block itself is not tried again


@dataclass(frozen=True)
class Job:
    """One block to be sampled: the first `replicates` of block `block` of `point`; `of` blocks in all."""

    point: DesignPoint
    block: int
    replicates: int
    of: int

    def name(self) -> str:
        """The job for people, as the dashboard shows it."""
        return f"{self.point.label} | block {self.block + 1}/{self.of}"

    def message(self) -> dict[str, Any]:
        """The job as plain values, to travel; whoever passes it on need not know the cell or the drive's file."""
        told = {"name": self.name(), "key": self.point.key, "cell": self.point.cell, "width": str(self.point.width)}
        return told | {"point": self.point.written(), "block": self.block, "replicates": self.replicates}


@dataclass(frozen=True)
class Done:
    """What came of a job. error: one sentence, or "". tables: what was sampled, where no folder was given for it."""

    key: str
    block: int
    replicates: int
    seconds: float
    error: str = ""
    tables: dict[str, pa.Table] | None = None


def make_block(message: dict[str, Any], directory: str, device: str, source: dict[str, Any]) -> Done:
    """Sample one block and store its shard below `directory`, or return it where that is "". The work of one task."""
    from rnnmc.store import DamagedShard, claimed, found_shard, kinds, write_shard

    point, block, count = DesignPoint(**message["point"]), message["block"], message["replicates"]
    begin = time.perf_counter()
    if not directory:
        tables = observe_block(point, block, count, device)
        return Done(point.key, block, count, time.perf_counter() - begin, tables=tables)
    folder = Path(directory)
    with claimed(folder, point, block):
        tables = observe_block(point, block, count, device)
    seconds = time.perf_counter() - begin
    cut = partition(point)
    made = {"device": _device_name(device), "kernel": cut.kernel, "tile": cut.tile, "wall_seconds": round(seconds, 3)}
    for kind in kinds(point):
        with suppress(DamagedShard):
            if found_shard(folder, point, block, count, kind):
                continue  # sampled before, when another observable was asked for
        write_shard(folder, point, block, tables[kind.name if kind else SAMPLES], source | made, kind)
    return Done(point.key, block, count, seconds)


def in_process(jobs: Sequence[Job], directory: Path | None, device: str = "auto") -> Iterator[Done]:
    """Do every job here, one after the other, and yield each; what goes wrong is told as it is over Ray."""
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    where = str(directory) if directory else ""
    for job in jobs:
        try:
            yield make_block(job.message(), where, device, source_facts())
        except UsageError:
            raise
        except Exception as error:  # every failure of a block is reported, and stops no other block
            yield Done(job.point.key, job.block, 0, 0.0, _sentence(error, job.name()))


def _device_name(device: str) -> str:
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    return f"cpu {platform.machine()}"


@cache
def source_facts() -> dict[str, Any]:
    """Versions of what makes the numbers, and the git commit of this package if it lies in a checkout."""
    from importlib.metadata import version

    from rnnmc import __version__

    names = ("torch", "numpy", "scipy", "pyarrow", "ray", "polars")
    commit, here = "", Path(__file__).parent
    try:
        top = _git("rev-parse", "--show-toplevel")
        if top and Path(top) == here.parent:  # and not a checkout of something else around an installed rnnmc
            commit = _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.TimeoutExpired):
        commit = ""
    ours = {"rnnmc": __version__, "python": platform.python_version()}
    return {"versions": ours | {name: version(name) for name in names}, "commit": commit or None}


def _git(*words: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()


class Dispatcher:
    """The actor that submits tasks. slots: how many blocks the cluster runs at a time."""

    def __init__(self, slots: int):
        import ray
        from ray.util import metrics

        self.task = ray.remote(make_block)
        self.room = asyncio.Semaphore(slots * IN_FLIGHT_PER_SLOT)
        self.replicates = metrics.Counter("rnnmc_replicates", "Replicates sampled", tag_keys=("cell", "width"))
        self.seconds = metrics.Histogram(
            "rnnmc_block_seconds", "Wall time of a block", [0.1, 0.3, 1, 3, 10, 30, 100], ("cell",)
        )

    async def sample(
        self, messages: list[dict[str, Any]], directory: str, device: str, source: dict[str, Any]
    ) -> AsyncIterator[Done]:
        """Sample every job, in the order given as far as there is room, and yield each as it is done."""
        done: asyncio.Queue[Done] = asyncio.Queue()
        running: set[asyncio.Task[None]] = set()

        async def feed() -> None:
            for message in messages:
                await self.room.acquire()
                task = asyncio.ensure_future(self._one(message, directory, device, source, done))
                running.add(task)
                task.add_done_callback(running.discard)

        feeder = asyncio.ensure_future(feed())
        try:
            for _ in messages:
                yield await done.get()
        finally:
            feeder.cancel()
            for task in list(running):
                task.cancel()

    async def _one(
        self, message: dict[str, Any], directory: str, device: str, source: dict[str, Any], done: asyncio.Queue[Done]
    ) -> None:
        import ray

        wants: dict[str, Any] = {"num_gpus": 0.25, "num_cpus": 0.5} if device == "cuda" else {"num_cpus": 1}
        task = self.task.options(name=message["name"], max_retries=RETRIES, **wants)
        reference = task.remote(message, directory, device, source)
        try:
            result: Done = await reference
            tags = {"cell": message["cell"]}
            self.replicates.inc(result.replicates, tags | {"width": message["width"]})
            self.seconds.observe(result.seconds, tags)
        except asyncio.CancelledError:
            ray.cancel(reference)
            raise
        except Exception as error:  # every failure of a block is reported, and stops no other block
            result = Done(message["key"], message["block"], 0, 0.0, _sentence(error, message["name"]))
        finally:
            self.room.release()
        done.put_nowait(result)


def _sentence(error: Exception, name: str) -> str:
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, (RunError, UsageError)):
        return str(cause)
    if type(error).__name__ in ("WorkerCrashedError", "OutOfMemoryError", "NodeDiedError", "LocalRayletDiedError"):
        died = f"its worker died {RETRIES + 1} times ({type(error).__name__})"
        return f"{name}: {died}; give the machine more memory or run fewer blocks at a time"
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
    messages = [job.message() for job in jobs]
    where = str(directory.resolve()) if directory else ""
    stream = (
        _dispatcher(cluster)
        .sample.options(num_returns="streaming")
        .remote(messages, where, choose_device(device, cluster), source_facts())
    )
    try:
        for reference in stream:
            yield ray.get(reference)
    except RayError as error:
        raise RunError(
            f"Ray went away ({type(error).__name__}); finished blocks are kept: run again to go on"
        ) from None
