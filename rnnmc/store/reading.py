"""Samples of a study, for its statistics and for one's own analysis."""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rnnmc.chain.norms import STATUS
from rnnmc.common.errors import RunError, UsageError
from rnnmc.engine.block import SCHEMA
from rnnmc.observables.observable import Observable
from rnnmc.store.folder import point_folder, shard_path, shards_there
from rnnmc.store.manifest import named
from rnnmc.store.plan import hold_samples, points_file, stored_points
from rnnmc.store.remote import Remote, describe, is_address, remote
from rnnmc.store.shards import facts_of, shards
from rnnmc.store.stored_point import StoredPoint

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


def scan(directory: str | Path, observable: str | None = None) -> pl.LazyFrame:
    """Samples of the study in `directory`, joined with their design points: one row a (replicate, horizon).

    Columns: point, block, replicate, horizon (steps), log_spectral, log_rms (nats), their errors, status, log_tangent
    (nats; null in shards of before there was one), and the factors of points.parquet, of which
    `block` and `horizon` are here replicates_a_block and last_horizon. With the name of an observable, what that one
    saw instead: its labels and columns. Exactly the design points and replicates that the study asks for, or that its
    goal has decided on, whatever else an earlier form of it has left; warns where some are not there. Reads no sample
    until it is collected, and proves no checksum (`rnnmc verify` does). Raises UsageError where there are none. This is
    for a folder in which a study ran, or the address where its results lie too, such as s3://bucket/prefix/NAME;
    `rnnmc.load` gives the same rows from wherever they are published, and tables too.
    """
    if not is_address(str(directory)):
        hold_samples(Path(directory))
        return _scan(Path(directory), observable, partial(_shards_here, Path(directory)), str(directory))
    place = remote(str(directory))
    files = sorted(place.files())
    folders = {folder: list(names) for folder, names in itertools.groupby(files, lambda name: name.rpartition("/")[0])}
    with TemporaryDirectory() as folder:
        describe(place, set(files), Path(folder))
        shards = partial(_shards_there, place, folders)
        return _scan(Path(folder), observable, shards, place.told, place.options)


def _shards_here(directory: Path, stored: StoredPoint, kind: Observable | None) -> list[str]:
    there = sorted(shards_there(directory, stored, kind))
    paths = [shard_path(directory, stored, block, kind) for block in there]
    return [str(path) for path in paths if kind is None or _is_of(kind, facts_of(path))]


def _shards_there(
    place: Remote, folders: dict[str, list[str]], stored: StoredPoint, kind: Observable | None
) -> list[str]:
    names = [name for name in folders.get(str(point_folder(Path(), stored, kind)), []) if name.endswith(".parquet")]
    return [place.for_polars(name) for name in names if kind is None or _is_of(kind, place.facts_of(name))]


def _is_of(kind: Observable, facts: dict[str, Any]) -> bool:
    """Not what an observable saw with other parameters."""
    return facts.get("observable") == kind.identity()


def _scan(
    directory: Path,
    observable: str | None,
    shards_of: Callable[[StoredPoint, Observable | None], list[str]],
    told: str,
    options: dict[str, str] | None = None,
) -> pl.LazyFrame:
    """`scan` of a study that a folder describes, wherever its shards are; options: those of Polars for that place."""
    import polars as pl

    found, files, there, every = [], [], 0, 0
    for stored in stored_points(directory):
        kind = next((one for one in stored.observables if one.name == observable), None)
        if kind is None and (observable is not None or stored.split):  # populations have no samples
            continue
        wanted = shards_of(stored, kind)
        found += [stored] if wanted else []
        files += wanted
        there, every = there + min(len(wanted), len(stored.blocks())), every + len(stored.blocks())
    if not found:
        what = f"saw nothing of {observable}" if observable else "has no samples yet"
        raise UsageError(f"{told}: {what}; {'name it under observables: and ' if observable else ''}run the study")
    if there < every:
        warnings.warn(
            f"{told}: {there:,} of {every:,} blocks are there; run the study again for the rest", stacklevel=3
        )
    replicates = pl.LazyFrame({"point": [p.key for p in found], "replicates": [p.replicates for p in found]})
    points = (
        planned_points(directory)
        .lazy()
        .rename({"block": "replicates_a_block", "horizon": "last_horizon"})
        .drop("replicates")
        .join(replicates, on="point")
    )
    if observable is not None:
        rows = pl.scan_parquet(files, hive_partitioning=False, glob=False, storage_options=options)
    else:  # of before there was log_tangent, or errors, some may lack these
        columns = as_frame(SCHEMA.empty_table()).schema
        rows = pl.scan_parquet(
            files,
            hive_partitioning=False,
            glob=False,
            schema=columns,
            missing_columns="insert",
            storage_options=options,
        )
        rows = rows.with_columns(pl.col("status").cast(pl.String).cast(pl.Enum(STATUS)))
    return (
        rows.with_columns(pl.col("point").cast(pl.String))
        .join(points, on="point", how="inner")
        .filter(pl.col("replicate") < pl.col("replicates"))
    )


def planned_points(directory: Path) -> pl.DataFrame:
    """The rows of points.parquet, proved. Raises UsageError where they cannot be read, Damaged."""
    import polars as pl

    content = points_file(directory)
    try:
        return pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError:
        raise UsageError(f"{directory / 'points.parquet'}: cannot be read; run the study again") from None


def shard_tables(directory: Path, stored: StoredPoint, observable: Observable | None = None) -> Iterator[pa.Table]:
    """The samples of one stored point block by block, or what an observable saw, proved whole, and as its manifest
    names them.

    Raises DamagedShard, or RunError where blocks are missing.
    """
    names = named(directory, stored, observable)
    for block, count, shard in shards(directory, stored, observable):
        if shard is None:
            path = shard_path(directory, stored, block, observable)
            raise RunError(f"{path}: is not there; run the study again to fill it in")
        names.check(shard, block)
        yield shard.first(count)


def samples_of(directory: Path, stored: StoredPoint, observable: Observable | None = None) -> pl.DataFrame:
    """All samples of one stored point, or all that an observable saw, proved whole.

    Raises DamagedShard, or RunError where blocks are missing.
    """
    import pyarrow as pa

    return as_frame(pa.concat_tables(shard_tables(directory, stored, observable), promote_options="default"))


def as_frame(table: pa.Table) -> pl.DataFrame:
    """Samples as a Polars frame."""
    import polars as pl

    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError("samples are a table")
    return frame
