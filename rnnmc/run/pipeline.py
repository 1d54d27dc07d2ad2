"""The first and the last stage of a study folder: what is planned, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rnnmc.common.errors import RunError, first_line
from rnnmc.common.files import remove_unfinished
from rnnmc.common.quiet import on_the_way
from rnnmc.common.words import number_of
from rnnmc.run.aggregate import read_tables
from rnnmc.run.checks.sound import hold_sound, warn_unseen
from rnnmc.run.elsewhere import Elsewhere, put_results
from rnnmc.run.forecast import forecast_of, leave_forecast
from rnnmc.run.readme import EXPLAINED, explain
from rnnmc.run.so_far import forget_so_far
from rnnmc.store.marks import running
from rnnmc.store.outdated import mark_outdated
from rnnmc.store.plan import cut_up, keys_before, study_said, write_study
from rnnmc.store.proofs import PAGE, TABLES, read_list, sha256, write_list
from rnnmc.store.reading import planned_points
from rnnmc.store.sampled import sampled
from rnnmc.store.stored_point import StoredPoint
from rnnmc.store.timeline import ran
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
    leave_plan(directory, study, stored)
    return stored


def leave_plan(directory: Path, study: Study, stored: Sequence[StoredPoint]) -> None:
    """Leave study.yaml, points.parquet and a forecast, and mark what is older than they are; where the study has
    another place for its results, bring what lies there and not here. Raises RunError, and UsageError where that cannot
    be used.
    """
    there = Elsewhere.of(study)  # before anything is written
    if (before := keys_before(directory)) and before.isdisjoint(one.key for one in stored):
        on_the_way(
            f"{directory}: held another study, of {number_of(len(before), 'design point', 'design points')}, which no "
            f"table has from now on; another name under `study:` than {study.study} leaves it as it is"
        )
    write_study(directory, study, stored)
    leave_forecast(directory, stored)
    if there is not None:
        there.meet(directory, stored)
    mark_outdated(directory)


def report(directory: Path) -> Path:
    """Write figures, page and README from the statistics there. Raises RunError where there are none, or not ours."""
    import polars as pl

    from rnnmc.report.page import write_report

    said, points = study_said(directory), planned_points(directory)
    for folder in (directory, directory / "figures"):
        remove_unfinished(folder)
    try:
        tables = read_tables(directory)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(
            f"{directory}: statistics.parquet or another table cannot be read ({first_line(error)}); "
            f"run rnnmc statistics {directory} first"
        ) from None
    explain(directory)  # before the page, which links to what is there
    try:
        said |= {"made": read_list(directory / TABLES).get("made", {}), "sampled": sampled(directory)}
        said |= {"ran": ran(directory), "forecast": forecast_of(directory)}
        page = write_report(directory, said, points, tables)
    except pl.exceptions.ColumnNotFoundError as error:
        raise RunError(
            f"{directory}: its tables are of another release of rnnmc ({first_line(error)}); "
            f"run rnnmc statistics {directory} first"
        ) from error
    drawn = [path for path in (directory / "figures").iterdir() if path.is_file() and not path.name.startswith(".")]
    drawn += [path for path in map(directory.joinpath, EXPLAINED) if path.is_file()]
    tables_of = sha256((directory / TABLES).read_bytes()) if (directory / TABLES).exists() else ""
    write_list(directory / PAGE, [page, *drawn], {"tables": tables_of})
    forget_so_far(directory)
    mark_outdated(directory)
    put_results(directory)
    return page


def tell_of_another(directory: Path, points: Sequence[StoredPoint]) -> None:
    """Say so where another run computes blocks of these points at this moment."""
    if any(running(directory, stored) for stored in points):
        on_the_way("another run of this study is at work in this folder; both go on, with the same results")
