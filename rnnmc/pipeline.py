"""A study folder, stage by stage: plan, sample, aggregate, report. The same stages serve Snakemake and `rnnmc run`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnmc.block import partition, run_block
from rnnmc.cluster import Cluster
from rnnmc.errors import RunError, UsageError
from rnnmc.fanout import Done, Job, fan_out, make_shard, source_facts
from rnnmc.progress import Report
from rnnmc.store import (
    DamagedShard,
    missing,
    planned_points,
    point_folder,
    read_shard,
    samples,
    shards,
    write_shard,
    write_study,
    write_whole,
)
from rnnmc.study import PlannedPoint, Study, Thresholds

if TYPE_CHECKING:
    import polars as pl


def folder_of(study: Study, results: str | Path = "results") -> Path:
    """Where a study leaves its files."""
    return Path(results) / study.study


def plan(study: Study, directory: Path) -> list[PlannedPoint]:
    """Leave study.yaml and points.parquet in `directory`."""
    write_study(directory, study)
    return list(study.points)


def jobs_missing(directory: Path, points: Sequence[PlannedPoint]) -> list[Job]:
    """The blocks that are still to be sampled, in plan order. Raises DamagedShard for what is there but not whole."""
    return [
        Job(planned.point, block, count, len(partition(planned.point).blocks(planned.replicates)))
        for planned in points
        for block, count in missing(directory, planned)
    ]


def sample(
    directory: Path, jobs: Sequence[Job], cluster: Cluster | None, device: str, report: Report | None = None
) -> None:
    """Sample `jobs` over Ray, or in this process where `cluster` is None. Raises RunError naming what failed.

    A failure of one block stops no other; all finished blocks are kept.
    """
    failed = []
    for done in fan_out(cluster, jobs, directory, device) if cluster else _here(directory, jobs, device):
        if done.error:
            failed.append(done.error)
        if report:
            report(done)
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise RunError(f"{failed[0]}{more}; finished blocks are kept: run again to go on")


def _here(directory: Path, jobs: Sequence[Job], device: str) -> Iterator[Done]:
    here = "cpu" if device == "auto" else device
    for job in jobs:
        yield make_shard(job.message(), str(directory), here, source_facts())


def write_manifest(directory: Path, planned: PlannedPoint) -> Path:
    """Say that a planned point is complete, and by which samples. Raises RunError while blocks are missing."""
    digests = {}
    for block, _, shard in shards(directory, planned):
        if shard is None:
            raise RunError(f"block {block} of {planned.point.label} is missing; run again to go on")
        digests[block] = shard.facts["samples"]
    path = point_folder(directory, planned.point) / "_manifest.json"  # readers of Parquet folders pass over such a name
    said = {"point": planned.point.key, "replicates": planned.replicates, "samples": digests}
    write_whole(path, json.dumps(said, indent=1).encode())
    return path


def samples_of(directory: Path, planned: PlannedPoint) -> pl.DataFrame:
    """All samples of one planned point, proved whole, as a Polars frame."""
    import polars as pl

    frame = pl.from_arrow(samples(directory, planned))
    if not isinstance(frame, pl.DataFrame):
        raise TypeError("samples are a table")
    return frame


def aggregate(directory: Path, thresholds: Thresholds, interval: str) -> pl.DataFrame:
    """Statistics of every planned point, also left as statistics.parquet and statistics.csv. One point at a time."""
    import io

    import polars as pl

    from rnnmc.statistics import point_statistics

    frames = [
        point_statistics(samples_of(directory, planned), thresholds.vanish, thresholds.explode, interval)
        for planned in planned_points(directory)
    ]
    statistics = pl.concat(frames)
    parquet = io.BytesIO()
    statistics.write_parquet(parquet)
    write_whole(directory / "statistics.parquet", parquet.getvalue())
    write_whole(directory / "statistics.csv", statistics.write_csv().encode())
    return statistics


def report(directory: Path) -> Path:
    """Write figures and page from the statistics that are there. Raises RunError where there are none."""
    import polars as pl

    from rnnmc.report import write_report

    said = study_said(directory)
    try:
        statistics = pl.read_parquet(directory / "statistics.parquet")
        points = pl.read_parquet(directory / "points.parquet")
    except OSError:
        raise RunError(
            f"{directory / 'statistics.parquet'}: is not there; run rnnmc statistics {directory} first"
        ) from None
    return write_report(directory, said, points, statistics)


def study_said(directory: Path) -> dict[str, Any]:
    """What study.yaml of a study folder says about the study as a whole (without its points)."""
    import yaml

    path = directory / "study.yaml"
    if not path.exists():
        raise UsageError(f"{path}: is not there; give the folder of a study, such as results/default")
    text = path.read_text(encoding="utf-8")
    head = text.partition("\npoints:")[0]  # the list of points is long, and slow to parse
    return yaml.safe_load(head)


def verify(directory: Path) -> tuple[list[DamagedShard], str, int]:
    """(damaged shards, SHA-256 over the samples of all whole ones in plan order, how many were read)."""
    damaged, digest, count = [], hashlib.sha256(), 0
    for planned in planned_points(directory):
        folder = point_folder(directory, planned.point)
        for path in sorted(folder.glob("*.parquet")):
            count += 1
            try:
                digest.update(read_shard(path, planned.point).facts["samples"].encode())
            except DamagedShard as error:
                damaged.append(error)
    return damaged, digest.hexdigest(), count


def repair(directory: Path, damaged: Sequence[DamagedShard]) -> None:
    """Compute damaged shards again, in this process; the old file is replaced only by a whole new one."""
    planned_by_key = {planned.point.key: planned for planned in planned_points(directory)}
    for error in damaged:
        planned = planned_by_key[error.path.parent.name]
        wanted = dict(partition(planned.point).blocks(planned.replicates))
        block = int(error.path.stem) if error.path.stem.isdigit() else -1
        error.path.unlink()
        if block in wanted:
            table = run_block(planned.point, block, wanted[block])
            write_shard(directory, planned.point, block, table, source_facts() | {"device": "cpu", "repaired": True})
