"""One design point, now: from a point to its statistics, in this process or over Ray."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyarrow as pa

from rnnmc.block import partition, step_flop
from rnnmc.cluster import connected, own_cpus
from rnnmc.errors import UsageError
from rnnmc.intervals import KINDS
from rnnmc.pipeline import as_frame, jobs_of, sample
from rnnmc.progress import Report
from rnnmc.statistics import point_statistics
from rnnmc.study import DesignPoint, PlannedPoint, Thresholds

if TYPE_CHECKING:
    import polars as pl

RAY_FROM_FLOP = 4e11  # below about ten seconds of one core, starting Ray costs more than it saves


def measure_samples(
    point: DesignPoint, replicates: int, device: str = "auto", address: str | None = None, report: Report | None = None
) -> pl.DataFrame:
    """Sample `replicates` replicates of `point`: columns as a shard has them. Nothing is left on disk.

    Small work runs in this process, larger work over a local Ray, or over the one at `address` or RAY_ADDRESS.
    Raises UsageError for a count below 1 or a device that is not there, RunError when a block failed.
    """
    if type(replicates) is not int or replicates < 1:
        raise UsageError(f"replicates: {replicates!r} is not possible; give a whole number of at least 1")
    return _frame(_tables(point, replicates, set(), device, address, report))


def _tables(
    point: DesignPoint, replicates: int, known: set[int], device: str, address: str | None, report: Report | None
) -> dict[int, pa.Table]:
    """block -> samples, of the blocks that so many replicates need and that are not `known`."""
    jobs = [job for job in jobs_of([PlannedPoint(point=point, replicates=replicates)]) if job.block not in known]
    work = step_flop(point) * point.horizons[-1] * sum(job.replicates for job in jobs)
    address = address or os.environ.get("RAY_ADDRESS")
    if address is None and (work < RAY_FROM_FLOP or len(jobs) == 1 or own_cpus() == 1):
        every = sample(None, jobs, None, device, report)
    else:
        with connected(address) as cluster:
            every = sample(None, jobs, cluster, device, report)
    return {done.block: done.table for done in every if done.table is not None}


def _frame(tables: dict[int, pa.Table]) -> pl.DataFrame:
    return as_frame(pa.concat_tables([tables[block] for block in sorted(tables)]))


def measure(
    point: DesignPoint,
    replicates: int = 1000,
    thresholds: Thresholds | None = None,
    interval: str = "wilson",
    device: str = "auto",
    address: str | None = None,
) -> pl.DataFrame:
    """Statistics of one design point, one row a (horizon, measure): see `rnnmc.statistics.point_statistics`.

    thresholds: of vanishing and exploding, by default 1e-3 and 1e3. Raises as `measure_samples` does.
    """
    wanted = thresholds or Thresholds()
    if interval not in KINDS:
        raise UsageError(f"interval: {interval!r} is not known; give {', '.join(KINDS)}")
    samples = measure_samples(point, replicates, device, address)
    return point_statistics(samples, wanted.vanish, wanted.explode, interval)


def measure_until(
    point: DesignPoint,
    half_width: float,
    thresholds: Thresholds,
    device: str = "auto",
    address: str | None = None,
    report: Report | None = None,
    most: int = 1_000_000,
) -> pl.DataFrame:
    """Samples of as many replicates as make P(vanish) and P(explode) at the last horizon known to +- half_width.

    Whole blocks are added until the 95 % confidence sequence of both is that narrow, or `most` replicates are
    reached. The decision looks at the contiguous run of blocks from the first on, one block more at a time, so that
    the number of replicates depends on neither timing nor workers. Intervals that hold for a number of replicates
    chosen this way are those of kind "confidence-sequence". physics.md section 8.
    """
    if not 0 < half_width < 0.5:
        raise UsageError(f"target half-width: {half_width:g} is not possible; give a number between 0 and 0.5")
    import polars as pl

    block = partition(point).block
    tables: dict[int, pa.Table] = {}
    replicates = looked_at = 0
    samples = pl.DataFrame()
    while replicates < most:
        replicates = min(max(2 * replicates, block), most)
        tables |= _tables(point, replicates, set(tables), device, address, report)
        samples = _frame(tables)
        for enough in range(looked_at + block, replicates + 1, block):
            first = samples.filter(pl.col("replicate") < enough)
            if known_within(first, thresholds) <= half_width:
                return first
        looked_at = replicates
    return samples


def known_within(samples: pl.DataFrame, thresholds: Thresholds) -> float:
    """The wider of the half-widths of the confidence sequences of P(vanish) and P(explode) at the last horizon."""
    import polars as pl

    last = samples.filter(pl.col("horizon") == samples["horizon"].max())
    statistics = point_statistics(last, thresholds.vanish, thresholds.explode, "confidence-sequence")
    row = statistics.filter(pl.col("measure") == "log_spectral").row(0, named=True)
    return max((row[f"p_{event}_at_high"] - row[f"p_{event}_at_low"]) / 2 for event in ("vanish", "explode"))
