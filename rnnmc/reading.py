"""Samples of a study for one's own analysis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rnnmc.errors import UsageError

if TYPE_CHECKING:
    import polars as pl


def scan(directory: str | Path) -> pl.LazyFrame:
    """Samples of the study in `directory`, joined with their design points: one row a (replicate, horizon).

    Columns: point, block, replicate, horizon (steps), log_spectral, log_rms (nats), status, and the factors of
    points.parquet. Exactly the replicates that the study asks for. Reads nothing until it is collected, and proves
    no checksum (`rnnmc verify` does). Raises UsageError where there is no study.
    """
    import polars as pl

    directory = Path(directory)
    if not (directory / "points.parquet").exists():
        raise UsageError(f"{directory}: is not the folder of a study; give one such as results/default")
    points = pl.scan_parquet(directory / "points.parquet").rename(
        {"block": "replicates_a_block", "horizon": "last_horizon"}
    )
    samples = pl.scan_parquet(directory / "samples/**/*.parquet", hive_partitioning=False)
    status = pl.Enum(["ok", "dead", "overflow"])
    return (
        samples.with_columns(pl.col("point").cast(pl.String), pl.col("status").cast(pl.String).cast(status))
        .join(points, on="point", how="inner")
        .filter(pl.col("replicate") < pl.col("replicates"))
    )
