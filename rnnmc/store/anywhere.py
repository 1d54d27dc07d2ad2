"""A study as one frame, wherever it lies: a folder of results, a data set of `rnnmc dataset`, or one at an address."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rnnmc.common.errors import RunError, UsageError, first_line
from rnnmc.engine.block import SAMPLES
from rnnmc.observables import observables
from rnnmc.store.outdated import LOOKS
from rnnmc.store.plan import POINTS_PARQUET
from rnnmc.store.reading import scan
from rnnmc.store.remote import is_address, parted, polars_options
from rnnmc.store.tables import DESIGN

if TYPE_CHECKING:
    import polars as pl

NOT_THERE = "expanded paths were empty"  # as Polars says of an address that no file fits
ARROWS = ("s3://", "gs://", "file://")  # addresses at which samples may lie in shards, as in a folder of results
OTHER_WORDS = {"block": "replicates_a_block", "horizon": "last_horizon"}  # of points, where rows have these names too


def load(source: str | Path, what: str = SAMPLES) -> pl.LazyFrame:
    """Samples or a table, joined with the design points: study, the factors in DESIGN, point, what the row says, and
    every other factor of points.parquet.

    source: a folder of results; a data set that `rnnmc dataset` wrote, or the folder of one study in it; or the address
    of such a data set or study, `hf://datasets/NAME/SET` or `hf://datasets/NAME/SET/STUDY`, or of any kind that
    Polars reads; or one where results lie, `s3://BUCKET/PREFIX` or `s3://BUCKET/PREFIX/STUDY`. what: samples; an
    observable by its name; or a table by that of its file (statistics, lifetime).

    Of a folder of results samples are those of `rnnmc.scan`, under the same names. A published data set has of samples
    the columns that its dictionary.csv names. Only small files are read until the frame is collected, and no checksum
    is proved (`rnnmc verify` and `sha256sum -c` do). Raises UsageError where there is no such thing, RunError where it
    cannot be read.
    """
    import polars as pl

    place, query = parted(str(source)) if is_address(source) else (str(source), "")
    folders = _folders(place, query)
    frames = [frame for folder in folders if (frame := _of_study(folder, what, query)) is not None]
    if not frames:
        known = f"{SAMPLES}, an observable ({', '.join(observables())}), or a table such as statistics"
        raise UsageError(f"{source}: has no {what}; give {known} that the study has")
    return pl.concat(frames, how="diagonal_relaxed")


def _folders(source: str, query: str) -> list[str]:
    """The folder of each study, by name. query: what an address says of the server."""
    import polars as pl

    found: list[str] = []
    if is_address(source):
        everywhere, server = f"{source}/**/{POINTS_PARQUET}", polars_options(query)
        scanned = pl.scan_parquet(everywhere, include_file_paths="file", extra_columns="ignore", storage_options=server)
        if (rows := _scanned(everywhere, scanned)) is not None:
            every = {path.rpartition("/")[0] for path in rows.select("file").collect()["file"]}
            found = sorted(path for path in every if f"/{LOOKS}/" not in path[len(source) :])
    elif (Path(source) / POINTS_PARQUET).exists():
        found = [source]
    else:
        found = [str(path.parent) for path in sorted(Path(source).glob(f"*/{POINTS_PARQUET}"))]
    if not found:
        lacks = f"has no {POINTS_PARQUET}" if is_address(source) or Path(source).exists() else "there is no such folder"
        raise UsageError(
            f"{source}: {lacks}; give a folder of results such as results/default, a data set of rnnmc dataset, or its "
            "address, hf://datasets/NAME/SET"
        )
    return found


def _scanned(path: str, rows: pl.LazyFrame) -> pl.LazyFrame | None:
    """The rows of a file as Polars scans it, or None where it is not there. Raises RunError where it cannot be read."""
    import polars as pl

    try:
        rows.collect_schema()
    except FileNotFoundError:
        return None
    except (OSError, pl.exceptions.PolarsError) as error:
        if NOT_THERE in str(error):
            return None
        raise RunError(f"{path}: cannot be read: {first_line(error)}") from None
    return rows


def _of_study(folder: str, what: str, query: str) -> pl.LazyFrame | None:
    """The frame of one study, or None where that has no such thing."""
    import polars as pl

    path, server = f"{folder}/{what}.parquet", polars_options(query)
    rows = _scanned(path, pl.scan_parquet(path, glob=False, storage_options=server))
    if rows is None and is_address(folder) and not folder.startswith(ARROWS):
        return None
    if rows is None:
        try:
            rows = scan(f"{folder}?{query}" if query else folder, None if what == SAMPLES else what).drop("replicates")
        except UsageError:
            return None
    columns = rows.collect_schema().names()
    if "point" in columns:
        others = pl.scan_parquet(f"{folder}/{POINTS_PARQUET}", glob=False, storage_options=server).rename(OTHER_WORDS)
        others = others.drop("replicates").drop([name for name in columns if name != "point"], strict=False)
        rows = rows.with_columns(pl.col("point").cast(pl.String)).join(
            others, on="point", how="left", maintain_order="left"
        )
    study = folder.rpartition("/")[2] if is_address(folder) else Path(folder).resolve().name
    first = [name for name in DESIGN if name in rows.collect_schema().names()]
    return rows.select(pl.lit(study).alias("study"), *first, pl.exclude("study", *first))
