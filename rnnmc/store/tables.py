"""The tables of a study folder, written so that each stands alone, and read again."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rnnmc.common.errors import first_line
from rnnmc.common.files import write_whole
from rnnmc.store.proofs import Damaged

if TYPE_CHECKING:
    import polars as pl

DESIGN = ("cell", "width", "init", "drive", "m", "weights", "layers", "residual", "state_std")  # come first
TOO_LARGE = "1e999"  # how a CSV says inf: what begins with "-inf" is text or a date to DuckDB, this a number to all


def write_table(directory: Path, name: str, table: pl.DataFrame, points: pl.DataFrame) -> None:
    """Leave a table as Parquet and CSV (without its lists), the factors of its design points first.

    points: the rows of points.parquet. Raises RunError when the disk refuses.
    """
    table = _with_design(table, points)
    write_parquet(directory / f"{name}.parquet", table)
    write_whole(directory / f"{name}.csv", csv_of(table))


def write_parquet(path: Path, table: pl.DataFrame, metadata: dict[str, str] | None = None) -> None:
    """Write a table as it is, so that it appears whole or not at all. Raises RunError."""
    content = io.BytesIO()
    table.write_parquet(content, metadata=metadata)
    write_whole(path, content.getvalue())


def read_table(path: Path) -> pl.DataFrame:
    """A table as `write_table` was given it. Raises OSError where it is not there, Damaged where it is no table."""
    import polars as pl

    try:
        table = pl.read_parquet(path)
    except FileNotFoundError:  # of which Polars says the rest in words of its own
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    except pl.exceptions.PolarsError as error:
        raise Damaged(path, f"cannot be read ({first_line(error)})", "run the study again") from None
    before = table.columns[: table.columns.index("point")] if "point" in table.columns else []
    return table.drop(before) if set(before) <= set(DESIGN) else table


def csv_of(table: pl.DataFrame) -> bytes:
    """Its columns that are no lists, as CSV in which every reader finds numbers where there are numbers."""
    import polars as pl

    flat = table.select(pl.exclude(pl.List, pl.Array))
    endless = [name for name, kind in flat.schema.items() if kind.is_float() and flat[name].is_infinite().any()]
    said = [
        pl.when(pl.col(name).is_infinite())
        .then(pl.when(pl.col(name) < 0).then(pl.lit(f"-{TOO_LARGE}")).otherwise(pl.lit(TOO_LARGE)))
        .otherwise(pl.col(name).cast(pl.String))
        .alias(name)
        for name in endless
    ]
    return flat.with_columns(said).write_csv().encode()


def _with_design(table: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """A table of rows by point that says nothing of their factors, with these first; any other as it is."""
    if "point" not in table.columns or set(DESIGN) & set(table.columns):
        return table
    factors = points.select("point", *(name for name in DESIGN if name in points.columns))
    return table.join(factors, on="point", how="left", maintain_order="left").select(
        *(name for name in factors.columns if name != "point"), *table.columns
    )
