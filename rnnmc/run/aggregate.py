"""From the shards of a study folder to its tables of statistics, one design point at a time."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from rnnmc.claims import decide, verdicts
from rnnmc.common.granted import own_cpus
from rnnmc.observables import observables
from rnnmc.run.counting import OF_EVENTS, ORACLES, STATISTICS, CountedBy, counted
from rnnmc.statistics.analyses import analysed, analyses
from rnnmc.statistics.first_passage import first_passage
from rnnmc.statistics.oracles import coverage
from rnnmc.statistics.rare import plain_rows, with_split
from rnnmc.store.manifest import made_by
from rnnmc.store.outdated import checked_tables, mark_outdated
from rnnmc.store.plan import settled, stored_points, with_points
from rnnmc.store.proofs import TABLES, write_list
from rnnmc.store.reading import planned_points
from rnnmc.store.tables import read_table, write_table
from rnnmc.study.study import Thresholds

if TYPE_CHECKING:
    import polars as pl

CLAIMS, VERDICTS = "claims", "verdicts"
OTHERS = ("first-passage", "variance", ORACLES, "coverage", CLAIMS, VERDICTS)


def aggregate(
    directory: Path,
    thresholds: Thresholds,
    interval: str,
    oracles: bool = False,
    claims: bool = False,
    into: Path | None = None,
) -> pl.DataFrame:
    """Statistics of every planned point, left as statistics.parquet and statistics.csv, with theory beside them.

    into: the folder for all tables, by default `directory` itself.

    Of points with splitting the probability of their event stands there too, with `estimator` "splitting" beside the
    "plain" ones, and that of every threshold in statistics-rare; nothing else is made of them.

    Beside them first-passage, variance (of nested designs), statistics-<observable>, and the tables of every analysis
    for which the study has the points; with `oracles` also oracles (one row for each cell that an exact law judges) and
    coverage (their sum), with `claims` claims (one row a claim and condition) and verdicts; each as Parquet and CSV.
    """
    asked = {"thresholds": thresholds.model_dump(), "interval": interval, "oracles": oracles, "claims": claims}
    settled_by = settled(directory)
    by = CountedBy(thresholds, interval, oracles, Thresholds.checked(**settled_by["thresholds"]))
    points = planned_points(directory)
    with ThreadPoolExecutor(own_cpus()) as threads:
        found = threads.map(lambda stored: counted(directory, stored, by), with_points(directory))
        tables, split = together(found, points)
    if claims:
        tables[CLAIMS] = decide(points, tables)
        tables[VERDICTS] = verdicts(tables[CLAIMS])
    of, look, into = {"of": settled_by | asked}, into, into or directory
    for name, table in tables.items():
        write_table(into, name, with_split(table, split) if name == STATISTICS else table, points)
    for name in _ours() - tables.keys():  # of an earlier form of the study
        for kind in ("parquet", "csv"):
            (into / f"{name}.{kind}").unlink(missing_ok=True)
    of["made"] = made_by(directory, stored_points(directory))
    write_list(into / TABLES, [into / f"{name}.{kind}" for name in tables for kind in ("parquet", "csv")], of)
    if look is None:
        mark_outdated(directory)
    return tables[STATISTICS]


def together(
    found: Iterable[dict[str, pl.DataFrame]], points: pl.DataFrame
) -> tuple[dict[str, pl.DataFrame], list[pl.DataFrame]]:
    """(name -> table of all design points, with what is made of several; the rows of those with splitting).

    found: the tables of each point, as `rnnmc.run.counting` makes them; points: rows of points.parquet.
    """
    import polars as pl

    parts: dict[str, list[pl.DataFrame]] = {}
    split: list[pl.DataFrame] = []
    for one in found:
        if OF_EVENTS in one:
            split.append(one.pop(STATISTICS))
        for name, table in one.items():
            parts.setdefault(name, []).append(table)
    tables = {name: pl.concat(of, how="diagonal_relaxed") for name, of in parts.items()}
    tables["first-passage"] = first_passage(tables[STATISTICS])
    if ORACLES in tables:
        tables["coverage"] = coverage(tables[ORACLES])
    summaries = {name: tables[seen] for name in observables() if (seen := f"{STATISTICS}-{name}") in tables}
    return tables | analysed(points, tables[STATISTICS], summaries), split


def read_tables(directory: Path) -> dict[str, pl.DataFrame]:
    """name -> table, of all that `aggregate` has left, proved; statistics of plain replicates only.

    Raises OSError or PolarsError where one cannot be read, Damaged where one is not as it was written, RunError where
    they were counted of another form of the study than stands beside them.
    """
    there = checked_tables(directory) | {STATISTICS}
    tables = {name: read_table(directory / f"{name}.parquet") for name in sorted(_ours() & there)}
    return tables | {STATISTICS: plain_rows(tables[STATISTICS])}


def _ours() -> set[str]:
    """The names of all tables that `aggregate` may leave."""
    return {STATISTICS, *OTHERS, *analyses(), OF_EVENTS, *(f"{STATISTICS}-{name}" for name in observables())}
