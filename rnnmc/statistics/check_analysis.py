"""An analysis against what every analysis promises: a table of the points that it needs, and an empty one else."""

from __future__ import annotations

import polars as pl

from rnnmc.common.checks import CheckResult, checked, described, hold
from rnnmc.statistics.analyses.analysis import Analysis
from rnnmc.statistics.made_up import Tables, varied, without_rows


def check_analysis(analysis: Analysis, study: Tables | None = None) -> list[CheckResult]:
    """The results of every check of this analysis; never raises for a mistake of it.

    study: rows of points.parquet and of statistics.parquet that have what it needs; by default a made-up one, over
    gains, fields, widths, weights and horizons.
    """
    points, statistics = varied()
    tables = study or (points, analysis.example(statistics))
    checks = (
        ("speaks", "it has a table of a study over all factors", _speaks),
        ("points", "each row begins with a design point of the study", _points),
        ("nothing", "without rows, or points that it needs, the table is empty", _nothing),
        ("columns", "the same columns whatever the study", _columns),
        ("unknown", "numbers that are not known, as after an overflow, do not stop it", _unknown),
        ("oracles", "points that check the program have no part in it", _oracles),
        ("found", "what its table comes to is sentences", _found),
    )
    found = [checked(name, meaning, lambda check=check: check(analysis, *tables)) for name, meaning, check in checks]
    return [described(analysis, "name", "says", "source"), *found]


def _speaks(analysis: Analysis, points: pl.DataFrame, statistics: pl.DataFrame) -> None:
    table = analysis.table(points, statistics)
    hold(isinstance(table, pl.DataFrame), f"it gives a {type(table).__name__}, and no table")
    hold(not table.is_empty(), "its table is empty")
    hold(table.equals(analysis.table(points, statistics)), "it gives another table when asked again")


def _points(analysis: Analysis, points: pl.DataFrame, statistics: pl.DataFrame) -> None:
    table = analysis.table(points, statistics)
    hold(table.columns[:1] == ["point"], f"its columns are {', '.join(table.columns)}")
    hold(set(table["point"].cast(pl.String)) <= set(points["point"]), "a row is about a point that is not there")


def _one(points: pl.DataFrame, statistics: pl.DataFrame) -> Tables:
    """The first horizon of one design point."""
    key = points["point"][0]
    own = statistics.filter(pl.col("point").cast(pl.String) == key)
    return points.head(1), own.filter(pl.col("horizon") == pl.col("horizon").min())


def _nothing(analysis: Analysis, points: pl.DataFrame, statistics: pl.DataFrame) -> None:
    hold(analysis.table(*without_rows((points, statistics))).is_empty(), "of nothing it makes a table")
    hold(analysis.table(points, statistics.clear()).is_empty(), "without statistics it makes a table")
    analysis.table(*_one(points, statistics))


def _columns(analysis: Analysis, points: pl.DataFrame, statistics: pl.DataFrame) -> None:
    whole = analysis.table(points, statistics).schema
    for name, tables in (("one point", _one(points, statistics)), ("nothing", without_rows((points, statistics)))):
        own = analysis.table(*tables).schema
        other = sorted(str(column) for column in set(own.items()) ^ set(whole.items()))
        hold(own == whole, f"of {name} it gives other columns or types: {', '.join(other)}")


def _unknown(analysis: Analysis, points: pl.DataFrame, statistics: pl.DataFrame) -> None:
    floats = [
        name for name, kind in statistics.schema.items() if kind.is_float() and not name.startswith(("p_", "thr"))
    ]
    analysis.table(points, statistics.with_columns(pl.lit(None, pl.Float64).alias(name) for name in floats))


def _oracles(analysis: Analysis, points: pl.DataFrame, statistics: pl.DataFrame) -> None:
    hold(analysis.table(points.with_columns(oracle=pl.lit(True)), statistics).is_empty(), "they have rows")


def _found(analysis: Analysis, points: pl.DataFrame, statistics: pl.DataFrame) -> None:
    for sentence in analysis.found(analysis.table(points, statistics)):
        hold(isinstance(sentence, str) and sentence.endswith("."), f"{sentence!r} is no sentence")
