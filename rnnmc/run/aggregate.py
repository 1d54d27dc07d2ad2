"""From the shards of a study folder to its tables of statistics, one design point at a time."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from rnnmc.claims import decide, verdicts
from rnnmc.common.files import write_whole
from rnnmc.observables import observables
from rnnmc.statistics.analyses import analysed, analyses
from rnnmc.statistics.first_passage import first_passage
from rnnmc.statistics.growth import BY_NORM, estimator_of
from rnnmc.statistics.oracles import checks, coverage
from rnnmc.statistics.point import joined, point_statistics, rectangle
from rnnmc.statistics.rare import event_row, plain_rows, rare_statistics, with_split
from rnnmc.statistics.stopping import INTERVAL
from rnnmc.statistics.summaries import Settings, summed_up
from rnnmc.statistics.variance_split import variance_split
from rnnmc.store.plan import with_points
from rnnmc.store.reading import as_frame, samples_of
from rnnmc.store.shards import shard_tables
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.study import Thresholds
from rnnmc.theory.beside import beside

if TYPE_CHECKING:
    import polars as pl

STATISTICS, ORACLES, CLAIMS, VERDICTS = "statistics", "oracles", "claims", "verdicts"
RARE = f"{STATISTICS}-rare"
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
    import polars as pl

    def of_point(stored: StoredPoint) -> dict[str, pl.DataFrame]:
        return _tables(directory, stored, thresholds, interval, oracles)

    parts: dict[str, list[pl.DataFrame]] = {}
    split: list[pl.DataFrame] = []
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        for found in threads.map(of_point, with_points(directory)):
            if RARE in found:
                split.append(found.pop(STATISTICS))
            for name, table in found.items():
                parts.setdefault(name, []).append(table)
    tables = {name: pl.concat(of, how="diagonal_relaxed") for name, of in parts.items()}
    tables["first-passage"] = first_passage(tables[STATISTICS])
    if ORACLES in tables:
        tables["coverage"] = coverage(tables[ORACLES])
    points = pl.read_parquet(directory / "points.parquet")
    summaries = {name: tables[seen] for name in observables() if (seen := f"{STATISTICS}-{name}") in tables}
    tables |= analysed(points, tables[STATISTICS], summaries)
    if claims:
        tables[CLAIMS] = decide(points, tables)
        tables[VERDICTS] = verdicts(tables[CLAIMS])
    into = into or directory
    for name, table in tables.items():
        _write(into, name, with_split(table, split) if name == STATISTICS else table)
    for name in _ours() - tables.keys():  # of an earlier form of the study
        for kind in ("parquet", "csv"):
            (into / f"{name}.{kind}").unlink(missing_ok=True)
    return tables[STATISTICS]


def read_tables(directory: Path) -> dict[str, pl.DataFrame]:
    """name -> table, of all that `aggregate` has left; statistics of plain replicates only.

    Raises OSError or PolarsError where one cannot be read.
    """
    import polars as pl

    paths = {name: directory / f"{name}.parquet" for name in sorted(_ours())}
    tables = {name: pl.read_parquet(path) for name, path in paths.items() if name == STATISTICS or path.exists()}
    return tables | {STATISTICS: plain_rows(tables[STATISTICS])}


def _ours() -> set[str]:
    """The names of all tables that `aggregate` may leave."""
    return {STATISTICS, *OTHERS, *analyses(), RARE, *(f"{STATISTICS}-{name}" for name in observables())}


def _tables(
    directory: Path, stored: StoredPoint, thresholds: Thresholds, interval: str, oracles: bool
) -> dict[str, pl.DataFrame]:
    """name -> table, of one design point."""
    point = stored.point
    if stored.split:
        rare = rare_statistics(samples_of(directory, stored))
        return {RARE: rare, STATISTICS: event_row(rare, None if point is None else point.splitting)}
    if stored.half_width is not None:
        interval = INTERVAL
    settings = Settings(thresholds.vanish, thresholds.explode, interval, group=stored.group)
    samples = joined((rectangle(as_frame(table)) for table in shard_tables(directory, stored)), stored.replicates)
    estimator = BY_NORM if point is None else estimator_of(point)
    looked = (thresholds.vanish, thresholds.explode, interval)
    statistics = point_statistics(samples, *looked, group=stored.group, estimator=estimator)
    found = {STATISTICS: statistics if point is None else beside(point, statistics)}
    if point is not None and point.nested.group > 1:
        found["variance"] = variance_split(samples_of(directory, stored), point.nested.drives, point.nested.states)
    seen = {one.name: samples_of(directory, stored, one) for one in stored.observables}
    for observable in stored.observables:
        found[f"{STATISTICS}-{observable.name}"] = summed_up(observable, seen[observable.name], settings, point)
    if oracles and point is not None:
        judged = _measures(samples_of(directory, stored), seen)
        if stored.half_width is not None:  # a number of replicates that was not chosen by looking: the first block
            judged, interval = judged.filter(judged["replicate"] < stored.cut.block), "wilson"
        found[ORACLES] = checks(point, judged, interval)
    return found


def _measures(samples: pl.DataFrame, seen: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The samples with what observables know of further measures of theory: log_vector and log_memory."""
    import polars as pl

    keys = ["point", "block", "replicate", "horizon"]
    if "vector" in seen:
        samples = samples.join(seen["vector"], on=keys)
    if "paths" in seen:
        memory = seen["paths"].filter(pl.col("path").cast(pl.String) == "c_to_c")
        if not memory.is_empty():
            samples = samples.join(memory.select(*keys, log_memory="log_spectral"), on=keys)
    return samples


def _write(directory: Path, name: str, table: pl.DataFrame) -> None:
    import polars as pl

    parquet = io.BytesIO()
    table.write_parquet(parquet)
    write_whole(directory / f"{name}.parquet", parquet.getvalue())
    flat = table.select(pl.exclude(pl.List, pl.Array))
    write_whole(directory / f"{name}.csv", flat.write_csv().encode())
