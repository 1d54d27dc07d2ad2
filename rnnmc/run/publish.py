"""Statistics of several studies, and the samples of some, as a folder to publish: readable without rnnmc."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.files import write_whole
from rnnmc.run.aggregate import read_tables
from rnnmc.run.dictionary import csv_text, described
from rnnmc.run.readme import rendered
from rnnmc.store.plan import stored_points
from rnnmc.store.reading import shard_tables
from rnnmc.store.stored_point import StoredPoint

LARGEST = 200_000_000  # bytes of the whole, so that it can be attached to a release
ROW_KEYS = ("point", "replicate", "horizon")
LICENCE = """\
The data in this folder are offered under the Creative Commons Attribution 4.0 International licence (CC BY 4.0):
you may share and adapt them for any purpose if you give credit, say what you changed, and link to the licence,
https://creativecommons.org/licenses/by/4.0/. They come as they are, without any warranty.
"""


def write_dataset(target: Path, studies: Sequence[Path], sampled: Sequence[Path]) -> int:
    """Write the folder anew; bytes of it. `studies`: whose statistics; `sampled`: whose samples too.

    For each study a folder with study.yaml, points.parquet and its tables as Parquet, and for those in `sampled`
    samples.parquet, one row a (point, replicate, horizon). Beside them README.md, LICENSE, dictionary.csv (every column
    of every file with unit and meaning) and checksums.sha256, as `sha256sum -c` reads it. Raises UsageError for what is
    no study folder, RunError where a study is not complete, where it all comes to more than LARGEST bytes, or when a
    file cannot be written.
    """
    every = list(dict.fromkeys([*studies, *sampled]))
    for directory in every:
        if not (directory / "statistics.parquet").exists():
            raise UsageError(f"{directory}: has no statistics; run the study first, or give another folder")
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    columns: set[tuple[str, ...]] = set()
    for directory in every:
        folder = new / directory.name
        write_whole(folder / "study.yaml", (directory / "study.yaml").read_bytes())
        _write(folder / "points.parquet", (directory / "points.parquet").read_bytes(), columns)
        for name in read_tables(directory):
            _write(folder / f"{name}.parquet", (directory / f"{name}.parquet").read_bytes(), columns)
        if directory in sampled:
            _samples(directory, folder / "samples.parquet")
            _describe(folder / "samples.parquet", columns)
    write_whole(new / "dictionary.csv", csv_text(sorted(columns)))
    write_whole(new / "LICENSE", LICENCE.encode())
    said = {"studies": [one.name for one in every], "sampled": [one.name for one in sampled]}
    write_whole(new / "README.md", rendered("dataset.md.j2", **said).encode())
    files = sorted(path for path in new.rglob("*") if path.is_file())
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(new)}\n" for path in files)
    write_whole(new / "checksums.sha256", sums.encode())
    size = sum(path.stat().st_size for path in new.rglob("*") if path.is_file())
    if size > LARGEST:
        shutil.rmtree(new)
        raise RunError(
            f"{target}: {size / 1e6:.0f} MB are more than the {LARGEST / 1e6:.0f} MB that a release can carry; "
            "give fewer --samples, or run those studies with fewer replicates or horizons"
        )
    shutil.rmtree(target, ignore_errors=True)
    new.replace(target)
    return size


def _write(path: Path, content: bytes, columns: set) -> None:
    write_whole(path, content)
    _describe(path, columns)


def _describe(path: Path, columns: set) -> None:
    """Add the columns of one file to what the dictionary tells."""
    import pyarrow.parquet as pq

    columns.update(described(path.name, pq.read_schema(path)))


def _samples(directory: Path, path: Path) -> None:
    """All samples that the study asks for, in one file, in plan order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        for stored in stored_points(directory):
            for table in _of_point(directory, stored):
                if writer is None:
                    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
                    writer = pq.ParquetWriter(
                        path,
                        table.schema,
                        compression="zstd",
                        use_dictionary=["point", "status", "horizon"],  # pyright: ignore[reportArgumentType]
                        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
                    )
                writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _of_point(directory: Path, stored: StoredPoint) -> Iterator[Any]:
    """The samples of one point as one table, without columns that say nothing about it."""
    import pyarrow as pa

    table = pa.concat_tables(shard_tables(directory, stored))
    kept = [*ROW_KEYS, "log_spectral", "log_rms", "status"]
    table = table.select(kept)
    for name in ("point", "status"):
        table = table.set_column(kept.index(name), name, table[name].cast(pa.string()))
    yield table
