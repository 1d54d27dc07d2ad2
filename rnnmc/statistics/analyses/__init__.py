"""What follows from the statistics of several design points or horizons together, one file an analysis."""

from __future__ import annotations

import polars as pl

from rnnmc.common.registry import offered
from rnnmc.statistics.analyses.analysis import Analysis


def analyses() -> dict[str, Analysis]:
    """name -> analysis."""
    return offered("rnnmc.statistics.analyses", "ANALYSIS")


def analysed(points: pl.DataFrame, statistics: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """name -> table of every analysis for which this study has the points."""
    tables = {name: one.table(points, statistics) for name, one in analyses().items()}
    return {name: table for name, table in tables.items() if not table.is_empty()}
