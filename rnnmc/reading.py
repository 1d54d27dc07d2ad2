"""Samples of a study for one's own analysis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rnnmc.errors import UsageError
from rnnmc.store import places, point_folder

if TYPE_CHECKING:
    import polars as pl


def scan(directory: str | Path) -> pl.LazyFrame:
    """Samples of the study in `directory`, joined with their design points: one row a (replicate, horizon).

    Columns: point, block, replicate, horizon (steps), log_spectral, log_rms (nats), status, and the factors of
    points.parquet, of which `block` and `horizon` are here replicates_a_block and last_horizon. Exactly the design
    points and replicates that the study asks for, whatever else an earlier form of it has left. Reads no sample until
    it is collected, and proves no checksum (`rnnmc verify` does). Raises UsageError where there are none.
    """
    import polars as pl

    directory = Path(directory)
    folders = [
        folder for place in places(directory) if any((folder := point_folder(directory, place)).glob("*.parquet"))
    ]
    if not folders:
        raise UsageError(f"{directory}: has no samples yet; run the study first")
    points = pl.scan_parquet(directory / "points.parquet").rename(
        {"block": "replicates_a_block", "horizon": "last_horizon"}
    )
    status = pl.Enum(["ok", "dead", "overflow"])
    return (
        pl.scan_parquet([folder / "*.parquet" for folder in folders], hive_partitioning=False)
        .with_columns(pl.col("point").cast(pl.String), pl.col("status").cast(pl.String).cast(status))
        .join(points, on="point", how="inner")
        .filter(pl.col("replicate") < pl.col("replicates"))
    )
