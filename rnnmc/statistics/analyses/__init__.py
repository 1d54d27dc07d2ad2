"""What follows from the statistics of several design points or horizons together, one file an analysis."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from rnnmc.common.registry import offered
from rnnmc.statistics.analyses.analysis import Analysis


def analyses() -> dict[str, Analysis]:
    """name -> analysis."""
    return offered("rnnmc.statistics.analyses", "ANALYSIS")


def analysed(
    points: pl.DataFrame, statistics: pl.DataFrame, summaries: Mapping[str, pl.DataFrame] | None = None
) -> dict[str, pl.DataFrame]:
    """name -> table of every analysis for which this study has the points.

    summaries: observable -> what its replicates say, of all design points.
    """
    read = {one.observable for one in analyses().values()}
    beside = {name: _beside(name, statistics, summary) for name, summary in (summaries or {}).items() if name in read}
    tables = {name: one.table(points, beside.get(one.observable, statistics)) for name, one in analyses().items()}
    return {name: table for name, table in tables.items() if not table.is_empty()}


def _beside(observable: str, statistics: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
    """As `Analysis.table` is given them; the statistics alone where the observable knows no horizons."""
    keys = ["point", "horizon"]
    if "horizon" not in summary.columns:
        return statistics
    both = {name: f"{observable}_{name}" for name in summary.columns if name in statistics.columns and name not in keys}
    frames = (
        one.with_columns(pl.col("point").cast(pl.String), pl.col("horizon").cast(pl.Int64))
        for one in (statistics, summary.rename(both))
    )
    left, right = frames
    return left.join(right, on=keys, maintain_order="left_right")
