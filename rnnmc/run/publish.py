"""Studies as a folder to publish: readable without rnnmc, and by the tools and catalogues of `rnnmc.run.packages`."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rnnmc.chain.norms import MEASURES
from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.files import appearing, is_taken, write_whole
from rnnmc.engine.block import SCHEMA
from rnnmc.engine.splitting.columns import POPULATIONS
from rnnmc.run.aggregate import read_tables
from rnnmc.run.dictionary import csv_text, described
from rnnmc.run.packages import packages
from rnnmc.run.packages.package import LICENCE_ADDRESS, Column, ColumnKind, Contents, DataFile, Making
from rnnmc.run.packages.ro_crate import AGAIN_FILE, WORKFLOW
from rnnmc.store.plan import stored_points
from rnnmc.store.reading import shard_tables
from rnnmc.store.sampled import sampled as sampled_facts

CHECKSUMS = "checksums.sha256"
RELEASE, ARCHIVE = "release", "archive"  # sizes: what fits a release, and everything
LARGEST = 200_000_000  # bytes of a release
COMPACT = ("point", "replicate", "horizon", *MEASURES, "status")  # columns of the samples of a release
ENTIRE = ("*.csv", "report.html", "figures/*", "tables.json")  # of a study, in an archive, beside what a release has
FLOATING = ("float", "double")  # as Arrow calls them
LICENCE = f"""\
The data in this folder are offered under the Creative Commons Attribution 4.0 International licence (CC BY 4.0):
you may share and adapt them for any purpose if you give credit, say what you changed, and link to the licence,
{LICENCE_ADDRESS}. They come as they are, without any warranty.
"""


def write_dataset(target: Path, studies: Sequence[Path], sampled: Sequence[Path] = (), size: str = RELEASE) -> int:
    """Write the folder anew; bytes of it. `studies`: whose statistics; `sampled`: whose samples too.

    For each study a folder with study.yaml, points.parquet and its tables as Parquet, and for those in `sampled`
    samples.parquet, one row a (point, replicate, horizon) of COMPACT, and populations.parquet where rare events were
    split. With size "archive" all of each study: every column of its samples, a file for each observable, tables as CSV
    too, page and figures. Beside them README.md, LICENSE, Snakefile, dictionary.csv (every column of every file with
    unit and meaning), the descriptions of `rnnmc.run.packages`, and checksums.sha256, as `sha256sum -c` reads it.

    Raises UsageError for what is no study folder, RunError where a study is not complete, where a release comes to more
    than LARGEST bytes, or when a file cannot be written.
    """
    every = list(dict.fromkeys([*studies, *sampled]))
    for directory in every:
        if not (directory / "statistics.parquet").exists():
            raise UsageError(f"{directory}: has no statistics; run the study first, or give another folder")
    names = [directory.resolve().name for directory in every]
    if len(set(names)) < len(names):
        raise UsageError(f"{', '.join(map(str, every))}: two folders have one name; rename one of them")
    _hold_target(target, every)
    with appearing(target) as new:
        for name, directory in zip(names, every, strict=True):
            _write_study(directory, new / name, directory in sampled or size == ARCHIVE, size)
        write_whole(new / AGAIN_FILE, WORKFLOW.encode())
        write_whole(new / "LICENSE", LICENCE.encode())
        _write_descriptions(new, dict(zip(names, every, strict=True)))
        total = sum(path.stat().st_size for path in _files(new))
        if total > LARGEST and size == RELEASE:
            raise RunError(
                f"{target}: {total / 1e6:.0f} MB are more than the {LARGEST / 1e6:.0f} MB that a release can carry; "
                f"give fewer --samples, run those studies with fewer replicates or horizons, or give --for {ARCHIVE}"
            )
        shutil.rmtree(target.resolve(), ignore_errors=True)
    return total


def _hold_target(target: Path, studies: Sequence[Path]) -> None:
    """Raise UsageError unless the folder may give way: it is new, empty, or an earlier data set, and holds no study."""
    place = target.resolve()
    for one in studies:
        if place == one.resolve() or place in one.resolve().parents:
            raise UsageError(f"--out {target}: holds the study {one}, and would be written anew; give another folder")
    if is_taken(place) and not (place / CHECKSUMS).is_file():
        raise UsageError(f"--out {target}: is there already and is no data set; give a new folder")


def _write_study(directory: Path, folder: Path, sampled: bool, size: str) -> None:
    """The folder of one study."""
    names = ["study.yaml", "points.parquet", *(f"{name}.parquet" for name in read_tables(directory))]
    more = [path for pattern in ENTIRE if size == ARCHIVE for path in directory.glob(pattern)]
    names += sorted(str(path.relative_to(directory)) for path in more if path.name != "dictionary.csv")
    for name in names:
        write_whole(folder / name, (directory / name).read_bytes())
    if not sampled:
        return
    stored = stored_points(directory)
    plain, split = ([one for one in stored if one.split == which] for which in (False, True))
    schema = pa.schema([SCHEMA.field(name) for name in COMPACT]) if size == RELEASE else SCHEMA
    _write_rows(folder / "samples.parquet", schema, lambda: (shard_tables(directory, one) for one in plain))
    _write_rows(folder / "populations.parquet", POPULATIONS, lambda: (shard_tables(directory, one) for one in split))
    seen = [(one, kind) for one in stored for kind in one.observables if size == ARCHIVE]
    for kind in {kind.name: kind for _, kind in seen}.values():
        own = [pair for pair in seen if pair[1].name == kind.name]
        _write_rows(
            folder / f"{kind.name}.parquet",
            kind.schema(),
            lambda own=own: (shard_tables(directory, *pair) for pair in own),
        )


def _write_rows(
    path: Path, schema: pa.Schema, read: Callable[[], Iterator[Iterator[pa.Table]]], short: Sequence[str] = MEASURES
) -> None:
    """The shards of several design points in one file, a row group each; no file where there are none.

    In what every reader of Parquet knows: no encoding but plain and dictionary, words as text. Log-norms of float32
    chains become float32 again, which keeps every bit and is as small as what the shards do with other encodings.
    schema: the columns to keep, of shards of before there was one null. read: the shards, as often as it is asked.
    """
    writer = None
    try:
        for shards in read():
            table = _joined_rows(shards, schema, short)
            if writer is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                whole = [field.name for field in table.schema if str(field.type) not in FLOATING]
                writer = pq.ParquetWriter(path, table.schema, compression="zstd", use_dictionary=whole)  # pyright: ignore[reportArgumentType]
            writer.write_table(table)
        return
    except _NotShortError as error:
        short = [name for name in short if name != error.args[0]]
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error}; make room or give another folder") from None
    finally:
        if writer is not None:
            writer.close()
    _write_rows(path, schema, read, short)


class _NotShortError(Exception):
    """A column, which is named, has numbers that float32 does not hold."""


def _joined_rows(shards: Iterator[pa.Table], schema: pa.Schema, short: Sequence[str]) -> pa.Table:
    """The rows of one design point, with the columns of `short` in float32. Raises _NotShortError."""
    table = pa.concat_tables([schema.empty_table(), *shards], promote_options="default").select(schema.names)
    for place, field in enumerate(table.schema):
        values = table[field.name]
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, values.cast(pa.string()))
        elif field.name in short:
            fewer = values.cast(pa.float32(), safe=False)
            if not fewer.cast(pa.float64()).equals(values):
                raise _NotShortError(field.name)
            table = table.set_column(place, field.name, fewer)
    return table.replace_schema_metadata(None)


def _write_descriptions(new: Path, studies: dict[str, Path]) -> None:
    """dictionary.csv, the forms of `rnnmc.run.packages`, and checksums.sha256."""
    makings = {}
    for name, directory in studies.items():
        said = sampled_facts(directory)
        start, end = ([*said["sampled"], ""][0], ["", *said["sampled"]][-1])
        makings[name] = Making(start, end, tuple(said["commit"]), tuple(said["versions"]))
    files = [_described(new, path) for path in _files(new)]
    rows = {
        (Path(one.path).name, column.name, kind, column.unit, column.meaning)
        for one, kinds in files
        for column, kind in zip(one.columns, kinds, strict=True)
    }
    write_whole(new / "dictionary.csv", csv_text(sorted(rows)))
    found = [one for one, _ in files] + [_described(new, new / "dictionary.csv")[0]]
    day = max(making.end for making in makings.values())[:10] or datetime.now(UTC).date().isoformat()
    contents = Contents(makings, tuple(found), day, importlib.metadata.version("rnnmc"))
    for name, package in packages().items():
        write_whole(new / name, package.text(contents).encode())
    sums = "".join(f"{_sha256(path)}  {path.relative_to(new).as_posix()}\n" for path in _files(new))
    write_whole(new / CHECKSUMS, sums.encode())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _described(new: Path, path: Path) -> tuple[DataFile, list[str]]:
    """(what there is to say of one file, the Arrow types of its columns)."""
    columns, kinds, rows = [], [], 0
    if path.suffix == ".parquet":
        file = pq.ParquetFile(path)
        rows, told = file.metadata.num_rows, described(path.name, file.schema_arrow)
        for _, name, kind, unit, meaning in told:
            whole = _kind(kind)
            missing = whole == "integer" and file.read([name], use_threads=False)[name].null_count > 0
            columns.append(Column(name, whole, missing, unit, meaning))
            kinds.append(kind)
    place = path.relative_to(new).as_posix()
    return DataFile(place, path.stat().st_size, _sha256(path), tuple(columns), rows), kinds


def _kind(arrow: str) -> ColumnKind:
    """What people call an Arrow type."""
    if "list" in arrow:
        return "list"
    if arrow == "bool":
        return "boolean"
    if arrow.lstrip("u").startswith("int"):
        return "integer"
    return "number" if arrow in FLOATING else "string"
