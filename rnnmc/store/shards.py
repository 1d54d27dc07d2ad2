"""Shards on disk: written whole, read with proof, and what is missing.

A shard is one block's samples as Parquet. Its checksum is the SHA-256 of the whole file with the 64 characters of
the checksum itself set to zero, so that a change of any byte, data or metadata, is found.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rnnmc.chain.norms import TANGENT
from rnnmc.common.errors import RunError
from rnnmc.common.files import write_whole
from rnnmc.engine.block import SCHEMA
from rnnmc.engine.splitting.columns import POPULATIONS
from rnnmc.observables.observable import Observable
from rnnmc.store.folder import Keyed, shard_path, shards_there
from rnnmc.store.proofs import Damaged, repairing, study_around
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.point import DesignPoint

UNSIGNED = b"0" * 64
BEFORE_TANGENT = SCHEMA.remove(SCHEMA.get_field_index(TANGENT))  # of samples, as once stored
BEFORE_ERRORS = pa.schema([field for field in BEFORE_TANGENT if not field.name.endswith("_error")])


class DamagedShard(Damaged):
    """A shard that is truncated, altered or foreign."""

    def __init__(self, path: Path, problem: str):
        super().__init__(path, problem, f"{repairing(study_around(path))} computes it again")


@dataclass(frozen=True)
class Shard:
    """A shard that was read and found whole.

    facts: what its metadata says of its making. file: its content. checksum: of all of that, as it says itself.
    """

    path: Path
    facts: dict[str, Any]
    file: pq.ParquetFile
    checksum: str

    @cached_property
    def table(self) -> pa.Table:
        """Its rows, decoded only where they are asked for."""
        return self.file.read(use_threads=False)  # a thread that lets go of the content as Python ends would abort it

    @property
    def replicates(self) -> int:
        """How many are in it; all have the same number of rows."""
        return replicates_of(self.facts)

    def serves(self, count: int, observable: Observable | None) -> bool:
        """Whether it holds at least `count` replicates, of the observable that is asked for."""
        return serves(self.facts, count, observable)

    def first(self, replicates: int) -> pa.Table:
        """The rows of the first so many replicates."""
        return self.table.slice(0, self.table.num_rows // self.replicates * replicates)

    def digest_said(self, replicates: int) -> str:
        """As `digest`, by the word of the shard where it holds no more than these."""
        if replicates >= self.replicates and "samples" in self.facts:
            return self.facts["samples"]
        return samples_digest(self.first(replicates))

    def digest(self, replicates: int) -> str:
        """`samples_digest` of the first so many replicates, or of all where there are fewer, of the rows themselves.

        Raises DamagedShard where they cannot be read, or are not those that the shard says it has.
        """
        try:
            whole = samples_digest(self.table)
            few = whole if replicates >= self.replicates else samples_digest(self.first(replicates))
        except (OSError, ValueError):  # Arrow's own errors are of these kinds
            raise DamagedShard(self.path, "has rows that cannot be read") from None
        if self.facts.get("samples", whole) != whole:
            raise DamagedShard(self.path, "says another digest of its samples than they have")
        return few


def replicates_of(facts: dict[str, Any]) -> int:
    """How many replicates a shard holds that says this of itself."""
    if "replicates" not in facts:  # as shards were before they could hold an observable
        return facts["rows"] // len(facts["point"]["horizons"])
    return facts["replicates"]


def serves(facts: dict[str, Any], count: int, observable: Observable | None) -> bool:
    """Whether a shard holds what `Shard.serves` says; not where it says nothing of itself."""
    asked = observable is None or facts.get("observable") == observable.identity()
    return bool(facts) and asked and replicates_of(facts) >= count


def samples_digest(table: pa.Table) -> str:
    """SHA-256 of the samples themselves, whatever the file around them: equal numbers, equal digest.

    Of Arrow's own messages, one of which rows of a column have a value and one of these values: neither the slice that
    a table is nor what lies where there is no value leaves a trace.
    """
    digest = hashlib.sha256()
    for name, column in zip(table.schema.names, table.columns, strict=True):
        values = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for part in (values.is_valid(), values.drop_null()):
            for batch in pa.table({name: part}).combine_chunks().to_batches():
                digest.update(batch.serialize())
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
    said |= {"observable": observable.identity()} if observable else {}
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


def facts_of(path: Path | pa.NativeFile) -> dict[str, Any]:
    """What a shard's metadata says of its making, without a proof; nothing where it cannot be read."""
    return said_by(path)[0]


def said_by(path: Path | pa.NativeFile) -> tuple[dict[str, Any], str]:
    """(facts, checksum) of a shard by its own word; nothing where it cannot be read."""
    metadata = metadata_of(path)
    try:
        return json.loads(metadata[b"rnnmc"]), metadata[b"checksum"].decode()
    except (KeyError, ValueError):
        return {}, ""


def metadata_of(path: Path | pa.NativeFile) -> dict[bytes, bytes]:
    """What a Parquet file says of itself; nothing where it is none."""
    try:
        return pq.read_metadata(path).metadata or {}
    except (pa.ArrowException, OSError):
        return {}


def read_shard(path: Path, key: str, observable: Observable | None = None) -> Shard:
    """A shard that is proved to be whole and to belong to the point of this key. Raises DamagedShard.

    observable: whose shard it is, with whatever parameters; None for samples.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedShard(path, f"cannot be read: {error.strerror}") from None
    return proved_shard(path, content, key, observable)


def proved_shard(path: Path, content: bytes, key: str, observable: Observable | None = None) -> Shard:
    """As `read_shard`, of the content of what is or will be the file at `path`."""
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        metadata = file.metadata.metadata or {}
        checksum, facts = metadata[b"checksum"], json.loads(metadata[b"rnnmc"])
    except (pa.ArrowException, OSError, KeyError, ValueError):
        raise DamagedShard(path, "is not a whole shard of rnnmc") from None
    if _checksum(content, checksum) != checksum:
        raise DamagedShard(path, "its checksum differs from its own metadata")
    if not _is_said(facts, file.metadata.num_rows, observable):
        raise DamagedShard(path, "says of itself what cannot be")
    if facts["key"] != key or f"{facts['block']:06d}" != path.stem:
        raise DamagedShard(path, f"holds block {facts['block']} of {facts['key']}, not what its place says")
    known = (observable.schema(),) if observable else (SCHEMA, POPULATIONS, BEFORE_TANGENT, BEFORE_ERRORS)
    if file.schema_arrow.remove_metadata() not in known:
        raise DamagedShard(path, f"has other columns than {observable.name if observable else 'samples'} have")
    return Shard(path, facts, file, checksum.decode())


def is_shard(path: str, checksum: str, key: str, block: int, replicates: int, samples: str) -> bool:
    """Whether this file is, byte for byte, the shard with this checksum, and says to be of this place, with just so
    many replicates and this digest of its samples. Decodes nothing of it.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - there may be a million
            content = file.read()
    except OSError:
        return False
    place, held = f'"key": "{key}", "block": {block}, ', f'"replicates": {replicates}, "samples": "{samples}"'
    said = checksum.encode()
    return place.encode() in content and held.encode() in content and _checksum(content, said) == said


def _checksum(content: bytes, said: bytes) -> bytes:
    """What the checksum of this file should be, which says that it is `said`."""
    place = content.rfind(said)
    if len(said) != len(UNSIGNED) or place < 0:
        return b""
    digest = hashlib.sha256(memoryview(content)[:place])
    digest.update(UNSIGNED)
    digest.update(memoryview(content)[place + len(UNSIGNED) :])
    return digest.hexdigest().encode()


def _is_said(facts: Any, rows: int, observable: Observable | None) -> bool:
    """Whether this is what a shard says of itself, and goes with so many rows."""
    try:
        replicates, block = replicates_of(facts), facts["block"]
        counted = observable is None and not facts["point"].get("splitting")  # a population has a row a threshold
        each = len(facts["point"]["horizons"]) if counted else rows // replicates
        return type(block) is int and facts["rows"] == rows == replicates * each > 0
    except (TypeError, KeyError, ArithmeticError):
        return False


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
    directory: Path, stored: StoredPoint, observable: Observable | None = None
) -> Iterator[tuple[int, int, Shard | None]]:
    """Yield (block, replicates wanted of it, the shard if it is there) for each block: see `found_shard`."""
    there = shards_there(directory, stored, observable)
    for block, count in stored.blocks():
        path = shard_path(directory, stored, block, observable)
        shard = read_shard(path, stored.key, observable) if block in there else None
        yield block, count, shard if shard is not None and shard.serves(count, observable) else None


def lacking_files(directory: Path, stored: StoredPoint) -> list[int]:
    """The blocks of which a file is not there. Looks at names, reads no shard."""
    wanted = [block for block, _ in stored.blocks()]
    folders = [shards_there(directory, stored, kind) for kind in stored.kinds]
    return [block for block in wanted if not all(block in there for there in folders)]


def lacking(directory: Path, stored: StoredPoint) -> list[tuple[int, int]]:
    """(block, replicates wanted of it) of every block of which something is not there. Raises DamagedShard."""
    lost = {
        (block, count)
        for kind in stored.kinds
        for block, count, shard in shards(directory, stored, kind)
        if shard is None
    }
    return sorted(lost)
