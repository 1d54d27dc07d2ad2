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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rnnmc.block import SCHEMA
from rnnmc.errors import RunError
from rnnmc.files import write_whole
from rnnmc.observables.observable import Observable
from rnnmc.places import Keyed, Place, point_folder
from rnnmc.study import DesignPoint

UNSIGNED = b"0" * 64


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

    @property
    def replicates(self) -> int:
        """How many are in it; all have the same number of rows."""
        if "replicates" not in self.facts:  # as shards were before they could hold an observable
            return self.table.num_rows // len(self.facts["point"]["horizons"])
        return self.facts["replicates"]

    def serves(self, count: int, observable: Observable | None) -> bool:
        """Whether it holds at least `count` replicates, of the observable with the parameters that are asked for."""
        asked = observable is None or self.facts["observable"] == observable.written()
        return asked and self.replicates >= count

    def first(self, replicates: int) -> pa.Table:
        """The rows of the first so many replicates."""
        return self.table.slice(0, self.table.num_rows // self.replicates * replicates)


def shard_path(directory: Path, point: Keyed, block: int, observable: Observable | None = None) -> Path:
    """Where one shard lies: of the samples, or of an observable."""
    return point_folder(directory, point, observable) / f"{block:06d}.parquet"


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


def write_shard(
    directory: Path,
    point: DesignPoint,
    block: int,
    table: pa.Table,
    facts: dict[str, Any],
    observable: Observable | None = None,
) -> Path:
    """Store the samples of one block, or what an observable saw, with the facts of their making.

    Raises RunError when the disk refuses.
    """
    said = {"point": point.written(), "key": point.key, "block": block, "seed": point.seed, "rows": table.num_rows}
    said |= {"observable": observable.written()} if observable else {}
    said |= {"replicates": len(table["replicate"].unique()), "samples": samples_digest(table)} | facts
    schema = table.schema
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    buffer = io.BytesIO()
    with pq.ParquetWriter(
        buffer,
        schema,
        compression="zstd",
        use_dictionary=[n for n in schema.names if n not in floats],  # pyright: ignore[reportArgumentType]
        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),  # a float32 in a float64 costs four bytes this way
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"rnnmc": json.dumps(said), "checksum": UNSIGNED.decode()})
    unsigned = buffer.getvalue()
    if unsigned.count(UNSIGNED) != 1:
        raise RunError(f"block {block} of {point.label}: the checksum has no place of its own in the file")
    path = shard_path(directory, point, block, observable)
    write_whole(path, unsigned.replace(UNSIGNED, hashlib.sha256(unsigned).hexdigest().encode()))
    return path


def facts_of(path: Path) -> dict[str, Any]:
    """What a shard's metadata says of its making, without a proof; nothing where it cannot be read."""
    try:
        return json.loads((pq.read_metadata(path).metadata or {})[b"rnnmc"])
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return {}


def read_shard(path: Path, key: str, observable: Observable | None = None) -> Shard:
    """Read a shard and prove that it is whole and belongs to the point of this key. Raises DamagedShard.

    observable: whose shard it is, with whatever parameters; None for samples.
    """
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
    table = file.read(use_threads=False)  # a thread that lets go of `content` while Python ends would abort it
    if table.schema.remove_metadata() != (observable.schema() if observable else SCHEMA):
        raise DamagedShard(path, f"has other columns than {observable.name if observable else 'samples'} have")
    return Shard(path, facts, table)


def found_shard(
    directory: Path, point: Keyed, block: int, count: int, observable: Observable | None = None
) -> Shard | None:
    """The shard of one block if it is there with at least `count` replicates. Raises DamagedShard.

    One that an observable with other parameters has left counts as not there.
    """
    path = shard_path(directory, point, block, observable)
    shard = read_shard(path, point.key, observable) if path.exists() else None
    return shard if shard is not None and shard.serves(count, observable) else None


def shards(
    directory: Path, place: Place, observable: Observable | None = None
) -> Iterator[tuple[int, int, Shard | None]]:
    """Yield (block, replicates wanted of it, the shard if it is there) for each block of a place: see `found_shard`."""
    for block, count in place.blocks():
        yield block, count, found_shard(directory, place, block, count, observable)


def missing(directory: Path, place: Place) -> list[tuple[int, int]]:
    """(block, replicates wanted of it) of every block of which something is not there. Raises DamagedShard."""
    absent = {
        (block, count)
        for kind in kinds(place)
        for block, count, shard in shards(directory, place, kind)
        if shard is None
    }
    return sorted(absent)


def kinds(point: Keyed) -> tuple[Observable | None, ...]:
    """What is stored of a design point: None for the samples, and each of its observables."""
    return (None, *point.observables)


def samples(directory: Path, place: Place, observable: Observable | None = None) -> pa.Table:
    """All samples of one place, or all that an observable saw, proved whole.

    Raises DamagedShard, or RunError where blocks are missing.
    """
    tables = []
    for block, count, shard in shards(directory, place, observable):
        if shard is None:
            path = shard_path(directory, place, block, observable)
            raise RunError(f"{path}: is not there; run the study again to fill it in")
        tables.append(shard.first(count))
    return pa.concat_tables(tables)
