"""One design point, now: from a point to its statistics, in this process or over Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from numpy.typing import NDArray

from rnnmc.common.arrays import plain
from rnnmc.common.errors import RunError, UsageError, raised
from rnnmc.common.granted import own_cpus
from rnnmc.engine.block import SAMPLES, block_seconds, observe_block
from rnnmc.engine.choice import COMPILED
from rnnmc.observables.observable import Observable
from rnnmc.run.checks.sound import hold_sound, warn_unseen
from rnnmc.run.cluster import connected, ray_address
from rnnmc.run.fanout import Done, Job
from rnnmc.run.progress import Tell
from rnnmc.run.sampling import jobs_of, sample
from rnnmc.statistics.growth import estimator_of
from rnnmc.statistics.intervals import KINDS
from rnnmc.statistics.point import point_statistics, rectangle
from rnnmc.statistics.stopping import replicates_enough, seen_of, short_of
from rnnmc.store.reading import as_frame
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.options import known_device
from rnnmc.study.point import DesignPoint
from rnnmc.study.replicates import Until
from rnnmc.study.study import PlannedPoint, Thresholds
from rnnmc.theory.beside import beside

if TYPE_CHECKING:
    import polars as pl

RAY_FROM_SECONDS = 10.0  # of work on one core: below, starting Ray costs more than it saves


def measure_samples(
    point: DesignPoint, replicates: int, device: str = "auto", address: str | None = None, tell: Tell | None = None
) -> pl.DataFrame:
    """Sample `replicates` replicates of `point`: columns as a shard has them. Nothing is left on disk.

    What has a compiled chain, and small work, runs in this process, larger work over a local Ray, or over the one at
    `address` or RAY_ADDRESS.
    A cell of one's own is checked first. Raises UsageError for one that fails, a count below 1 or a device that is not
    there, RunError when a block failed.
    """
    return measure_observed(point, (), replicates, device, address, tell)[SAMPLES]


def measure_observed(
    point: DesignPoint,
    observables: tuple[Observable, ...],
    replicates: int,
    device: str = "auto",
    address: str | None = None,
    tell: Tell | None = None,
) -> dict[str, pl.DataFrame]:
    """As `measure_samples`, the samples under "samples", and what each observable saw under its name."""
    if not isinstance(point, DesignPoint):
        said = "give a design point, such as rnnmc.DesignPoint(cell='lstm', width=16)"
        raise UsageError(f"point: {point!r} is not possible; {said}")
    replicates = plain(replicates)
    if type(replicates) is not int or replicates < 1:
        raise UsageError(f"replicates: {replicates!r} is not possible; give a whole number of at least 1")
    group = point.nested.group
    if replicates % group:
        raise UsageError(f"replicates: {replicates} is no multiple of the {group} that share a weight draw; give one")
    stored = _held(PlannedPoint.checked(point=point, replicates=replicates, observables=observables))
    return _frames(_tables(stored, set(), device, address, tell))


def _held(planned: PlannedPoint) -> StoredPoint:
    """The point, cut up; a cell of one's own is checked before, and what the key does not see is said."""
    hold_sound(planned.point)
    warn_unseen([planned])
    return StoredPoint.of(planned)


def _tables(
    stored: StoredPoint, known: set[int], device: str, address: str | None, tell: Tell | None
) -> dict[int, dict[str, pa.Table]]:
    """block -> what was sampled, of the blocks that its replicates need and that are not `known`."""
    jobs = [job for job in jobs_of([stored]) if job.block not in known]
    work = block_seconds(stored.design, sum(job.replicates for job in jobs), stored.cut)
    address, device = ray_address(address), known_device(device)
    if address is None and device != "cuda" and jobs and _may_share_tiles(stored, device):
        return _by_threads(stored, jobs, tell)
    if address is None and (work < RAY_FROM_SECONDS or len(jobs) == 1 or own_cpus() == 1):
        every = sample(None, jobs, None, device, tell)
    else:
        with connected(address, name=stored.label) as cluster:
            every = sample(None, jobs, cluster, device, tell)
    return {done.block: done.tables for done in every if done.tables is not None}


def _may_share_tiles(stored: StoredPoint, device: str) -> bool:
    """Whether threads gain: the chain is C, which lets others run, there are several cores, and no GPU is meant."""
    if stored.design.splitting or stored.observables or not stored.cut.kernel.startswith(COMPILED) or own_cpus() == 1:
        return False
    import torch

    return device == "cpu" or not torch.cuda.is_available()


def _by_threads(stored: StoredPoint, jobs: list[Job], tell: Tell | None) -> dict[int, dict[str, pa.Table]]:
    """The blocks one after the other, the tiles of each on all cores, and each tile told of. Raises RunError."""
    import torch

    found = {}
    pool = ThreadPoolExecutor(own_cpus(), initializer=torch.set_num_threads, initargs=(1,))

    def over(run: Callable[[Any], Any], tiles: list[Any]) -> Iterator[Any]:
        left = job.replicates
        for kinds in pool.map(run, tiles):
            if tell:
                tell(Done(stored.key, job.block, min(left, stored.cut.tile), 0.0))
            left -= stored.cut.tile
            yield kinds

    try:
        for job in jobs:
            found[job.block] = observe_block(stored.design, job.block, (), job.replicates, "cpu", stored.cut, over)
    except (RunError, UsageError, MemoryError):
        raise
    except Exception as error:  # as every failure of a block is told
        raise RunError(f"{job.name}: {raised(error)}") from error
    finally:
        pool.shutdown(cancel_futures=True)  # where it was interrupted, nothing further is begun
    return found


def _frames(tables: dict[int, dict[str, pa.Table]]) -> dict[str, pl.DataFrame]:
    blocks = [tables[block] for block in sorted(tables)]
    return {kind: as_frame(pa.concat_tables([block[kind] for block in blocks])) for kind in blocks[0]}


def measure(
    point: DesignPoint,
    replicates: int = 1000,
    thresholds: Thresholds | None = None,
    interval: str = "wilson",
    device: str = "auto",
    address: str | None = None,
) -> pl.DataFrame:
    """Statistics of one design point, one row a (horizon, measure), with theory beside them.

    See `rnnmc.statistics.point.point_statistics` and `rnnmc.theory.beside`.

    thresholds: of vanishing and exploding, by default 1e-3 and 1e3. Raises as `measure_samples` does.
    """
    wanted = thresholds or Thresholds()
    if interval not in KINDS:
        raise UsageError(f"interval: {interval!r} is not known; give {', '.join(KINDS)}")
    samples = measure_samples(point, replicates, device, address)
    looked, group = (wanted.vanish, wanted.explode, interval), point.nested.group
    estimator, can_die = estimator_of(point), point.cell_object.can_die
    return beside(point, point_statistics(samples, *looked, group=group, estimator=estimator, can_die=can_die))


def measure_until(
    point: DesignPoint,
    observables: tuple[Observable, ...],
    until: Until,
    thresholds: Thresholds,
    device: str = "auto",
    address: str | None = None,
    tell: Tell | None = None,
    most: int = 1_000_000,
) -> dict[str, pl.DataFrame]:
    """What `measure_observed` gives, of as many replicates as the goal needs.

    Whole blocks are added until `rnnmc.statistics.stopping.replicates_enough`, or `most` replicates are reached: a
    number that depends on neither timing nor workers. Intervals that hold for it are those of kind
    "confidence-sequence".
    """
    import polars as pl

    stored = _held(PlannedPoint.checked(point=point, replicates=most, observables=observables))
    block = stored.cut.block
    tables: dict[int, dict[str, pa.Table]] = {}
    replicates, enough = block, None
    while enough is None:
        tables |= _tables(stored.first(min(replicates, most)), set(tables), device, address, tell)
        enough = replicates_enough(_seen(point, _frames(tables)[SAMPLES], until, thresholds), block, most, until)
        replicates *= 2
    return {kind: frame.filter(pl.col("replicate") < enough) for kind, frame in _frames(tables).items()}


def _seen(point: DesignPoint, samples: pl.DataFrame, until: Until, thresholds: Thresholds) -> dict[str, NDArray]:
    return seen_of(rectangle(samples), until, thresholds, estimator_of(point))


def missed(point: DesignPoint, samples: pl.DataFrame, until: Until, thresholds: Thresholds) -> str | None:
    """What these samples know where that is less than the goal: see `rnnmc.statistics.stopping.short_of`."""
    return short_of(_seen(point, samples, until, thresholds), until)
