"""A study folder, stage by stage: plan, sample, aggregate, report. The same stages serve Snakemake and `rnnmc run`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.files import write_whole
from rnnmc.engine.block import SAMPLES, blocks, partition
from rnnmc.run.aggregate import read_tables
from rnnmc.run.cluster import Cluster
from rnnmc.run.fanout import Done, Job, fan_out, in_process
from rnnmc.run.progress import Tell
from rnnmc.statistics.stopping import replicates_enough
from rnnmc.store.places import Place, decided, manifest_path, places, planned_points, point_folder, wanted, write_study
from rnnmc.store.shards import (
    DamagedShard,
    block_of,
    complete,
    facts_of,
    found_shard,
    kinds,
    missing,
    names,
    read_shard,
    serves,
    shard_name,
    shard_path,
)
from rnnmc.study.study import PlannedPoint, Study, Thresholds


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
    return [Job(point, block, count, len(every)) for point, every in cut for block, count in every]


def jobs_missing(
    directory: Path, points: Sequence[PlannedPoint], thresholds: Thresholds | None = None, slots: int = 1
) -> list[Job]:
    """The blocks that are to be sampled next, in plan order. Raises DamagedShard for what is there but not whole.

    None of a point whose manifest says that it is complete, and whose shards are there: those are proved when they are
    aggregated. Of a point with a half-width, as many blocks as there are again, and no fewer than `slots`, which keep a
    cluster busy; none once the `thresholds` of the study say that it has enough. Of any other, all that are missing.
    """
    jobs, counted = [], thresholds or Thresholds()
    for planned in points:
        place = Place.of(planned)
        if complete(directory, place, counted):
            continue
        lost = missing(directory, place)
        if lost and planned.half_width is not None:
            known = lost[0][0]
            enough = settled(directory, place, counted) is not None
            lost = [] if enough else [one for one in lost if one[0] < known + max(known, slots)]
        number = len(place.blocks())
        jobs += [Job(planned.point, block, count, number) for block, count in lost]
    return jobs


def replicates_of(jobs: Sequence[Job], points: Sequence[PlannedPoint]) -> int | None:
    """Replicates of these jobs, the next of these points; None where a half-width decides whether more will follow."""
    return None if any(planned.half_width for planned in points) else sum(job.replicates for job in jobs)


def settled(directory: Path, place: Place, thresholds: Thresholds) -> int | None:
    """How many replicates of a place are enough, or None while that is not known. Without a half-width, all of them.

    Looks at the contiguous run of blocks from the first on: see `rnnmc.statistics.stopping`.
    """
    import numpy as np

    if place.half_width is None:
        return place.replicates
    last = []
    for block, count in place.first(place.most).blocks():
        every = [found_shard(directory, place, block, count, kind) for kind in kinds(place)]
        if every[0] is None or None in every:
            break
        last.append(every[0].first(count)["log_spectral"].to_numpy()[len(place.horizons) - 1 :: len(place.horizons)])
    if not last:
        return None
    return replicates_enough(np.concatenate(last), place.block, place.most, place.half_width, thresholds)


def sample_all(
    directory: Path,
    points: Sequence[PlannedPoint],
    thresholds: Thresholds,
    cluster: Cluster | None,
    device: str,
    tell: Tell | None = None,
    jobs: Sequence[Job] | None = None,
) -> None:
    """Sample what is missing of the planned points until nothing is; leave the manifest of each. Raises RunError.

    jobs: what `jobs_missing` gave, where it was asked already.
    """
    if jobs is None:
        jobs = jobs_missing(directory, points, thresholds)
    undecided = [planned for planned in points if planned.half_width is not None]
    while jobs:
        sample(directory, jobs, cluster, device, tell)
        jobs = jobs_missing(directory, undecided, thresholds, cluster.cpus if cluster else 1)
    for planned in points:
        place = Place.of(planned)
        if not complete(directory, place, thresholds):
            enough = settled(directory, place, thresholds)
            write_manifest(directory, place.first(place.replicates if enough is None else enough), thresholds)


def sample(
    directory: Path | None, jobs: Sequence[Job], cluster: Cluster | None, device: str, tell: Tell | None = None
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
        if tell:
            tell(done)
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        kept = "; finished blocks are kept: run again to go on" if directory else ""
        raise RunError(f"{failed[0]}{more}{kept}")
    return every


def write_manifest(directory: Path, place: Place, thresholds: Thresholds | None = None) -> Path:
    """Say that a place is complete, and by which samples. Raises RunError while blocks are missing.

    Takes the shards' own word for it: they are proved when they are aggregated.
    """
    digests: dict[str, dict[int, str]] = {}
    for kind in kinds(place):
        of_kind = digests.setdefault(kind.name if kind else SAMPLES, {})
        for block, count in place.blocks():
            facts = facts_of(shard_path(directory, place, block, kind))
            if not serves(facts, count, kind):
                raise RunError(f"block {block} of {place.label} is missing; run again to go on")
            of_kind[block] = facts["samples"]
    path = manifest_path(directory, place)
    said = {"point": place.key, "replicates": place.replicates, "half_width": place.half_width}
    said["wanted"] = wanted(place, thresholds or Thresholds())
    write_whole(path, json.dumps(said | digests, indent=1).encode())
    return path


def report(directory: Path) -> Path:
    """Write figures and page from the statistics that are there. Raises RunError where there are none."""
    import polars as pl

    from rnnmc.report.page import write_report

    said = study_said(directory)
    try:
        tables = read_tables(directory)
        points = pl.read_parquet(directory / "points.parquet")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(
            f"{directory}: statistics.parquet or points.parquet cannot be read ({str(error).splitlines()[0]}); "
            f"run rnnmc statistics {directory} first"
        ) from None
    return write_report(directory, said, points, tables)


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
class Inspection:
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


def verify(directory: Path) -> Inspection:
    """Prove every shard of a study folder, and compare what is there with what is planned."""
    damaged, absent, digest, read = [], [], hashlib.sha256(), 0
    known: dict[str, int] = {}  # folder -> how many blocks it may hold
    for place, kind in [(one, kind) for one in _so_far(directory) for kind in kinds(one)]:
        folder = point_folder(directory, place, kind)
        # blocks sampled at the same time as the last one that was needed lie beyond it: no statistic counts them
        known[str(folder)] = -(-place.most // place.block)
        there = names(folder)
        for block, count in place.blocks():
            if shard_name(block) not in there:
                absent.append((place, block))
                continue
            read += 1
            try:
                shard = read_shard(folder / shard_name(block), place.key, kind)
            except DamagedShard as error:
                damaged.append(error)
                continue
            digest.update(shard.digest(count).encode())
            if not shard.serves(count, kind):
                absent.append((place, block))
    missing = list(dict.fromkeys(absent))
    return Inspection(damaged, _unplanned(directory, known), missing, digest.hexdigest(), read)


def _unplanned(directory: Path, known: dict[str, int]) -> list[Path]:
    """Shards that are not of the first so many blocks of a known folder, sorted."""
    strange = []
    for top in ("samples", "observables"):
        for folder, _, files in os.walk(directory / top):
            number = known.get(folder, 0)
            strange += [Path(folder) / name for name in files if name.endswith(".parquet") and block_of(name) >= number]
    return sorted(strange)


def _so_far(directory: Path) -> list[Place]:
    """The places; of one whose half-width has not decided yet, up to the last block that is there."""
    found = []
    for place in places(directory):
        if place.half_width is not None and decided(directory, place) is None:
            there = names(point_folder(directory, place))
            last = max((block for block, _ in place.blocks() if shard_name(block) in there), default=-1)
            place = place.first(min(place.most, (last + 1) * place.block))
        found.append(place)
    return found


def repair(directory: Path, inspection: Inspection) -> None:
    """Compute damaged and missing blocks again, in this process; a damaged file gives way to a whole one only."""
    lost = {(error.path.parent.name, int(error.path.stem)) for error in inspection.damaged}
    lost |= {(place.key, block) for place, block in inspection.missing}
    points = planned_points(directory, {key for key, _ in lost})
    sample(directory, [job for job in jobs_of(points) if (job.point.key, job.block) in lost], None, "cpu")
