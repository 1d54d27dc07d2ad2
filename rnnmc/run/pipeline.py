"""The first and the last stage of a study folder: what is planned, and the page."""

from __future__ import annotations

from pathlib import Path

from rnnmc.common.errors import RunError
from rnnmc.run.aggregate import read_tables
from rnnmc.run.checks.sound import hold_sound, warn_unseen
from rnnmc.run.readme import explain
from rnnmc.store.making import making
from rnnmc.store.plan import cut_up, study_said, write_study
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.study import Study


def folder_of(study: Study, results: str | Path = "results") -> Path:
    """Where a study leaves its files."""
    return Path(results) / study.study


def plan(study: Study, directory: Path) -> list[StoredPoint]:
    """Leave study.yaml and points.parquet in `directory`; the points of the study, cut into blocks.

    What their keys do not see is said in the log. Raises UsageError where a check of a cell of one's own fails.
    """
    for planned in study.points:
        hold_sound(planned.point)
    warn_unseen(study.points)
    stored = cut_up(study)
    write_study(directory, study, stored)
    return stored


def report(directory: Path) -> Path:
    """Write figures, page and README from the statistics there. Raises RunError where there are none, or not ours."""
    import polars as pl

    from rnnmc.report.page import write_report

    said = study_said(directory)
    try:
        tables = read_tables(directory)
        points = pl.read_parquet(directory / "points.parquet")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(
            f"{directory}: statistics.parquet or points.parquet cannot be read ({str(error).splitlines()[0]}); "
            f"run rnnmc statistics {directory} first"
        ) from None
    explain(directory)  # before the page, which links to what is there
    try:
        page = write_report(directory, said | {"made": making(directory)}, points, tables)
    except pl.exceptions.ColumnNotFoundError as error:
        raise RunError(
            f"{directory}: its tables are of another release of rnnmc ({str(error).splitlines()[0]}); "
            f"run rnnmc statistics {directory} first"
        ) from error
    return page
