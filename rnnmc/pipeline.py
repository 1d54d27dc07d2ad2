"""A study folder, stage by stage: plan, sample, aggregate, report. The same stages serve Snakemake and `rnnmc run`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rnnmc.block import blocks, partition
from rnnmc.cluster import Cluster
from rnnmc.errors import RunError, UsageError
from rnnmc.fanout import Done, Job, fan_out, in_process
from rnnmc.progress import Report
from rnnmc.store import (
    DamagedShard,
    Place,
    missing,
    places,
    planned_points,
    point_folder,
    read_shard,
    samples,
    samples_digest,
    shard_path,
    shards,
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


def jobs_of(points: Sequence[PlannedPoint]) -> list[Job]:
    """Every block of the planned points, in plan order."""
    cut = [(planned.point, blocks(planned.replicates, partition(planned.point).block)) for planned in points]
    return [Job(point, block, count, len(wanted)) for point, wanted in cut for block, count in wanted]


def jobs_missing(directory: Path, points: Sequence[PlannedPoint]) -> list[Job]:
    """The blocks that are still to be sampled, in plan order. Raises DamagedShard for what is there but not whole."""
    absent = {(planned.point.key, block) for planned in points for block, _ in missing(directory, Place.of(planned))}
    return [job for job in jobs_of(points) if (job.point.key, job.block) in absent]


def sample(
    directory: Path | None, jobs: Sequence[Job], cluster: Cluster | None, device: str, report: Report | None = None
) -> list[Done]:
    """Sample `jobs` over Ray, or in this process where `cluster` is None; what came of them, in no order.

    The samples go to shards below `directory`, or come back where it is None. A failure of one block stops no other,
    and all finished blocks are kept. Raises RunError naming what failed.
    """
    every, failed = [], []
    for done in fan_out(cluster, jobs, directory, device) if cluster else in_process(jobs, directory, device):
        every.append(done)
        if done.error:
            failed.append(done.error)
        if report:
            report(done)
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        kept = "; finished blocks are kept: run again to go on" if directory else ""
        raise RunError(f"{failed[0]}{more}{kept}")
    return every


def write_manifest(directory: Path, place: Place) -> Path:
    """Say that a place is complete, and by which samples. Raises RunError while blocks are missing."""
    digests = {}
    for block, _, shard in shards(directory, place):
        if shard is None:
            raise RunError(f"block {block} of {place.label} is missing; run again to go on")
        digests[block] = shard.facts["samples"]
    path = manifest_path(directory, place)
    said = {"point": place.key, "replicates": place.replicates, "samples": digests}
    write_whole(path, json.dumps(said, indent=1).encode())
    return path


def manifest_path(directory: Path, place: Place) -> Path:
    """Where the manifest of a place lies; readers of Parquet folders pass over such a name."""
    return point_folder(directory, place) / "_manifest.json"


def drop_stale_manifests(directory: Path, wanted: Sequence[Place]) -> None:
    """Remove the manifest of each place that has lost a shard since, so that a workflow fills it in again."""
    for place in wanted:
        manifest = manifest_path(directory, place)
        if manifest.exists() and not all(shard_path(directory, place, block).exists() for block, _ in place.blocks()):
            manifest.unlink(missing_ok=True)


def samples_of(directory: Path, place: Place) -> pl.DataFrame:
    """All samples of one place, proved whole, as a Polars frame."""
    return as_frame(samples(directory, place))


def as_frame(table: pa.Table) -> pl.DataFrame:
    """Samples as a Polars frame."""
    import polars as pl

    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError("samples are a table")
    return frame


def aggregate(directory: Path, thresholds: Thresholds, interval: str) -> pl.DataFrame:
    """Statistics of every planned point, also left as statistics.parquet and statistics.csv. One point at a time."""
    import io

    import polars as pl

    from rnnmc.statistics import point_statistics

    frames = [
        point_statistics(samples_of(directory, place), thresholds.vanish, thresholds.explode, interval)
        for place in places(directory)
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
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(
            f"{directory}: statistics.parquet or points.parquet cannot be read ({str(error).splitlines()[0]}); "
            f"run rnnmc statistics {directory} first"
        ) from None
    return write_report(directory, said, points, statistics)


def study_said(directory: Path) -> dict[str, Any]:
    """What study.yaml of a study folder says about the study as a whole (without its points). Raises UsageError."""
    import yaml

    path = directory / "study.yaml"
    remedy = "give the folder of a study, such as results/default, or run the study again"
    try:
        # without the list of points, which is long and slow to parse
        head = path.read_text(encoding="utf-8").partition("\npoints:")[0]
        said = yaml.safe_load(head)
    except FileNotFoundError:
        raise UsageError(f"{path}: is not there; {remedy}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise UsageError(f"{path}: cannot be read; {remedy}") from None
    if not isinstance(said, dict) or not {"study", "thresholds", "interval"} <= said.keys():
        raise UsageError(f"{path}: is not a study as it ran; {remedy}")
    return said


@dataclass(frozen=True)
class Verdict:
    """What `verify` found.

    damaged: shards that are not whole. unplanned: files that no place of the study accounts for. missing: blocks that
    are not there, as (place, block). digest: SHA-256 over all planned samples that are there, in plan order: equal
    numbers, equal digest. read: how many shards.
    """

    damaged: list[DamagedShard]
    unplanned: list[Path]
    missing: list[tuple[Place, int]]
    digest: str
    read: int


def verify(directory: Path) -> Verdict:
    """Prove every shard of a study folder, and compare what is there with what is planned."""
    damaged, absent, digest, read, known = [], [], hashlib.sha256(), 0, set()
    for place in places(directory):
        for block, count in place.blocks():
            path = shard_path(directory, place, block)
            known.add(path)
            if not path.exists():
                absent.append((place, block))
                continue
            read += 1
            try:
                table = read_shard(path, place.key).table.slice(0, count * len(place.horizons))
            except DamagedShard as error:
                damaged.append(error)
                continue
            digest.update(samples_digest(table).encode())
            if table.num_rows < count * len(place.horizons):
                absent.append((place, block))
    unplanned = sorted(path for path in (directory / "samples").rglob("*.parquet") if path not in known)
    return Verdict(damaged, unplanned, absent, digest.hexdigest(), read)


def repair(directory: Path, verdict: Verdict) -> None:
    """Compute damaged and missing blocks again, in this process; a damaged file gives way to a whole one only."""
    lost = {(error.path.parent.name, int(error.path.stem)) for error in verdict.damaged}
    lost |= {(place.key, block) for place, block in verdict.missing}
    points = planned_points(directory, {key for key, _ in lost})
    sample(directory, [job for job in jobs_of(points) if (job.point.key, job.block) in lost], None, "cpu")
