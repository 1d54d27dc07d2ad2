"""Shards on disk: written whole, read with proof, and what is missing.

A shard is one block's samples as Parquet. Its checksum is the SHA-256 of the whole file with the 64 characters of
the checksum itself set to zero, so that a change of any byte, data or metadata, is found.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rnnmc.block import SCHEMA, blocks, partition
from rnnmc.errors import RunError, UsageError
from rnnmc.study import DesignPoint, PlannedPoint, Study

UNSIGNED = b"0" * 64
FLOATS = ["log_spectral", "log_rms"]


class DamagedShard(RunError):
    """A shard that is truncated, altered or foreign. `path` names it."""

    def __init__(self, path: Path, problem: str):
        super().__init__(f"{path}: {problem}; rnnmc verify --repair will compute it again")
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return RunError, (str(self),)


@dataclass(frozen=True)
class Shard:
    """A shard that was read and found whole. facts: what its metadata says of its making. rows: in the table."""

    path: Path
    facts: dict[str, Any]
    table: pa.Table


@dataclass(frozen=True)
class Place:
    """A planned point as far as its samples are concerned: read without importing a cell or opening a drive's file.

    horizons: in steps. replicates: wanted. block: replicates of a block. label: for people.
    """

    key: str
    cell: str
    horizons: tuple[int, ...]
    replicates: int
    block: int
    label: str

    @classmethod
    def of(cls, planned: PlannedPoint) -> Place:
        """The place of a planned point."""
        point = planned.point
        size = partition(point).block
        return cls(point.key, point.cell, point.horizons, planned.replicates, size, point.label)

    def blocks(self) -> list[tuple[int, int]]:
        """(block number, replicates wanted of it) for each block."""
        return blocks(self.replicates, self.block)


Keyed = DesignPoint | Place  # what has a place in the store


def point_folder(directory: Path, point: Keyed) -> Path:
    """Where the shards of a design point lie."""
    return directory / "samples" / f"cell={point.cell}" / point.key


def shard_path(directory: Path, point: Keyed, block: int) -> Path:
    """Where one shard lies."""
    return point_folder(directory, point) / f"{block:06d}.parquet"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all, also when the power goes. Raises RunError."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RunError(
            f"{path}: cannot be written: {error.strerror or error}; make room or give another folder, then run again"
        ) from error


@contextmanager
def claimed(directory: Path, point: Keyed, block: int) -> Iterator[None]:
    """Let others see which process computes this block; the kernel takes the lock back if that process dies."""
    path = shard_path(directory, point, block).with_suffix(".running")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as mark:
        with suppress(OSError):  # a file system without locks: the mark is a courtesy, not a lock
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mark.write(f"{os.getpid()}\n")
        mark.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_running(directory: Path, point: Keyed, block: int) -> bool:
    """Whether a living process has claimed this block."""
    path = shard_path(directory, point, block).with_suffix(".running")
    try:
        with path.open("r") as mark:
            fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def samples_digest(table: pa.Table) -> str:
    """SHA-256 of the samples themselves, whatever the file around them: equal numbers, equal digest."""
    digest = hashlib.sha256()
    for column in table.combine_chunks().columns:
        values = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for chunk in values.chunks:
            for buffer in chunk.buffers():
                if buffer is not None:
                    digest.update(buffer)
    return digest.hexdigest()


def write_shard(directory: Path, point: DesignPoint, block: int, table: pa.Table, facts: dict[str, Any]) -> Path:
    """Store the samples of one block with the facts of their making. Raises RunError when the disk refuses."""
    said = {"point": point.written(), "key": point.key, "block": block, "seed": point.seed, "rows": table.num_rows}
    said |= {"samples": samples_digest(table)} | facts
    buffer = io.BytesIO()
    with pq.ParquetWriter(
        buffer,
        SCHEMA,
        compression="zstd",
        use_dictionary=[n for n in SCHEMA.names if n not in FLOATS],  # pyright: ignore[reportArgumentType]
        column_encoding=dict.fromkeys(FLOATS, "BYTE_STREAM_SPLIT"),  # a float32 in a float64 costs four bytes this way
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"rnnmc": json.dumps(said), "checksum": UNSIGNED.decode()})
    unsigned = buffer.getvalue()
    if unsigned.count(UNSIGNED) != 1:
        raise RunError(f"block {block} of {point.label}: the checksum has no place of its own in the file")
    path = shard_path(directory, point, block)
    write_whole(path, unsigned.replace(UNSIGNED, hashlib.sha256(unsigned).hexdigest().encode()))
    return path


def read_shard(path: Path, key: str) -> Shard:
    """Read a shard and prove that it is whole and belongs to the point of this key. Raises DamagedShard."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedShard(path, f"cannot be read: {error.strerror}") from None
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        metadata = file.metadata.metadata or {}
        checksum, facts = metadata[b"checksum"], json.loads(metadata[b"rnnmc"])
    except (pa.ArrowException, OSError, KeyError, ValueError):
        raise DamagedShard(path, "is not a whole shard of rnnmc") from None
    unsigned = content.replace(checksum, UNSIGNED)
    if len(checksum) != len(UNSIGNED) or hashlib.sha256(unsigned).hexdigest().encode() != checksum:
        raise DamagedShard(path, "its checksum differs from its own metadata")
    if facts["key"] != key or f"{facts['block']:06d}" != path.stem:
        raise DamagedShard(path, f"holds block {facts['block']} of {facts['key']}, not what its place says")
    table = file.read()
    if table.schema.remove_metadata() != SCHEMA:
        raise DamagedShard(path, "has other columns than samples have")
    return Shard(path, facts, table)


def shards(directory: Path, place: Place) -> Iterator[tuple[int, int, Shard | None]]:
    """Yield (block, replicates wanted of it, the shard if it is there) for each block of a place, in order.

    A shard of fewer replicates than wanted counts as not there. Raises DamagedShard.
    """
    for block, count in place.blocks():
        path = shard_path(directory, place, block)
        shard = read_shard(path, place.key) if path.exists() else None
        if shard and shard.table.num_rows < count * len(place.horizons):
            shard = None
        yield block, count, shard


def missing(directory: Path, place: Place) -> list[tuple[int, int]]:
    """(block, replicates wanted of it) of every block that is not there. Raises DamagedShard."""
    return [(block, count) for block, count, shard in shards(directory, place) if shard is None]


def samples(directory: Path, place: Place) -> pa.Table:
    """All samples of one place, proved whole. Raises DamagedShard, or RunError where blocks are missing."""
    tables = []
    for block, count, shard in shards(directory, place):
        if shard is None:
            raise RunError(f"{shard_path(directory, place, block)}: is not there; run the study again to fill it in")
        tables.append(shard.table.slice(0, count * len(place.horizons)))
    return pa.concat_tables(tables)


def describe_points(study: Study) -> pa.Table:
    """One row a design point: its key, every factor as text or number, and the whole of it as JSON."""
    rows = []
    for planned in study.points:
        point, cut = planned.point, partition(planned.point)
        rows.append(
            {
                "point": point.key,
                "cell": point.cell,
                "width": point.width,
                "init": str(point.init),
                "drive": str(point.drive),
                "weights": point.weights,
                "state_std": float(point.state_std),
                "dtype": point.dtype,
                "seed": point.seed,
                "horizon": point.horizons[-1],
                "replicates": planned.replicates,
                "block": cut.block,
                "tile": cut.tile,
                "kernel": cut.kernel,
                "json": json.dumps(point.written()),
            }
        )
    return pa.Table.from_pylist(rows)


def write_study(directory: Path, study: Study) -> None:
    """Leave study.yaml and points.parquet; a file that would not change is not touched."""
    import yaml

    text = "# The study as it ran, every default written out.\n" + yaml.safe_dump(
        study.written(), sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
    )
    buffer = io.BytesIO()
    pq.write_table(describe_points(study), buffer)
    for name, content in (("study.yaml", text.encode()), ("points.parquet", buffer.getvalue())):
        path = directory / name
        if not path.exists() or path.read_bytes() != content:
            write_whole(path, content)


def _rows(directory: Path) -> list[dict[str, Any]]:
    path = directory / "points.parquet"
    try:
        return pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException):
        raise UsageError(f"{path}: cannot be read; give the folder of a study, such as results/default") from None


def places(directory: Path) -> list[Place]:
    """The places of all planned points of a study folder, in plan order. Raises UsageError."""
    return [
        Place(
            row["point"],
            row["cell"],
            tuple(json.loads(row["json"])["horizons"]),
            row["replicates"],
            row["block"],
            f"{row['cell']} n={row['width']} {row['init']}, drive {row['drive']}",
        )
        for row in _rows(directory)
    ]


def planned_points(directory: Path, keys: set[str]) -> list[PlannedPoint]:
    """The planned points of a study folder with these keys. Raises UsageError where one is not there."""
    rows = [row for row in _rows(directory) if row["point"] in keys]
    strange = keys - {row["point"] for row in rows}
    if strange:
        raise UsageError(f"{directory / 'points.parquet'}: {strange.pop()} is not a design point of this study")
    planned = [PlannedPoint(point=DesignPoint(**json.loads(r["json"])), replicates=r["replicates"]) for r in rows]
    for row, one in zip(rows, planned, strict=True):
        if row["point"] != one.point.key:
            raise UsageError(
                f"{directory / 'points.parquet'}: {row['point']} was planned by another version of rnnmc or of its "
                "cell; plan the study again"
            )
    return planned
