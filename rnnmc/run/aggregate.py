"""From the shards of a study folder to its tables of statistics, one design point at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from rnnmc.claims import decide, verdicts
from rnnmc.common.errors import RunError
from rnnmc.common.granted import own_cpus
from rnnmc.observables import observables
from rnnmc.statistics.analyses import analysed, analyses
from rnnmc.statistics.first_passage import first_passage
from rnnmc.statistics.growth import BY_NORM, Estimator, estimator_of
from rnnmc.statistics.oracles import checks, coverage
from rnnmc.statistics.point import SampleRectangle, joined, point_statistics, rectangle
from rnnmc.statistics.rare import event_row, plain_rows, rare_statistics, with_split
from rnnmc.statistics.stopping import INTERVAL, replicates_enough, seen_of
from rnnmc.statistics.summaries import Settings, summed_up
from rnnmc.statistics.variance_split import variance_split
from rnnmc.store.manifest import made_by
from rnnmc.store.outdated import check_tables, mark_outdated
from rnnmc.store.plan import settled, stored_points, with_points
from rnnmc.store.proofs import TABLES, write_list
from rnnmc.store.reading import as_frame, planned_points, samples_of, shard_tables
from rnnmc.store.stored_point import StoredPoint
from rnnmc.store.tables import read_table, write_table
from rnnmc.study.replicates import GROWTHS, Until
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

    asked = {"thresholds": thresholds.model_dump(), "interval": interval, "oracles": oracles, "claims": claims}
    settled_by = settled(directory)
    own = Thresholds.checked(**settled_by["thresholds"])

    def of_point(stored: StoredPoint) -> dict[str, pl.DataFrame]:
        return _tables(directory, stored, thresholds, interval, oracles, own)

    parts: dict[str, list[pl.DataFrame]] = {}
    split: list[pl.DataFrame] = []
    with ThreadPoolExecutor(own_cpus()) as threads:
        for found in threads.map(of_point, with_points(directory)):
            if RARE in found:
                split.append(found.pop(STATISTICS))
            for name, table in found.items():
                parts.setdefault(name, []).append(table)
    tables = {name: pl.concat(of, how="diagonal_relaxed") for name, of in parts.items()}
    tables["first-passage"] = first_passage(tables[STATISTICS])
    if ORACLES in tables:
        tables["coverage"] = coverage(tables[ORACLES])
    points = planned_points(directory)
    summaries = {name: tables[seen] for name in observables() if (seen := f"{STATISTICS}-{name}") in tables}
    tables |= analysed(points, tables[STATISTICS], summaries)
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


def read_tables(directory: Path) -> dict[str, pl.DataFrame]:
    """name -> table, of all that `aggregate` has left, proved; statistics of plain replicates only.

    Raises OSError or PolarsError where one cannot be read, Damaged where one is not as it was written, RunError where
    they were counted of another form of the study than stands beside them.
    """
    check_tables(directory)
    paths = {name: directory / f"{name}.parquet" for name in sorted(_ours())}
    tables = {name: read_table(path) for name, path in paths.items() if name == STATISTICS or path.exists()}
    return tables | {STATISTICS: plain_rows(tables[STATISTICS])}


def _ours() -> set[str]:
    """The names of all tables that `aggregate` may leave."""
    return {STATISTICS, *OTHERS, *analyses(), RARE, *(f"{STATISTICS}-{name}" for name in observables())}


def _tables(
    directory: Path, stored: StoredPoint, thresholds: Thresholds, interval: str, oracles: bool, own: Thresholds
) -> dict[str, pl.DataFrame]:
    """name -> table, of one design point. own: the thresholds that a goal was decided by."""
    point = stored.point
    if stored.split:
        rare = rare_statistics(samples_of(directory, stored))
        return {RARE: rare, STATISTICS: event_row(rare, None if point is None else point.splitting)}
    if stored.until is not None:
        interval = INTERVAL
    settings = Settings(thresholds.vanish, thresholds.explode, interval, group=stored.group)
    samples = _joined(directory, stored)
    estimator = BY_NORM if point is None else estimator_of(point)
    if stored.until is not None and (point is not None or stored.until.of not in GROWTHS):
        _check_enough(stored, stored.until, samples, own, estimator)
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
        if stored.until is not None:  # a number of replicates that was not chosen by looking: the first block
            judged, interval = judged.filter(judged["replicate"] < stored.cut.block), "wilson"
        found[ORACLES] = checks(point, judged, interval)
    return found


def _joined(directory: Path, stored: StoredPoint) -> SampleRectangle:
    """The samples of one point. Raises RunError for what are no samples."""
    try:
        return joined((rectangle(as_frame(table)) for table in shard_tables(directory, stored)), stored.replicates)
    except ValueError as error:
        raise RunError(f"{stored.label}: {error}") from None


def _check_enough(
    stored: StoredPoint, until: Until, samples: SampleRectangle, own: Thresholds, estimator: Estimator
) -> None:
    """Raise RunError where so many replicates are not what the samples themselves say is enough."""
    enough = replicates_enough(seen_of(samples, until, own, estimator), stored.cut.block, stored.most, until)
    if enough != stored.replicates:
        raise RunError(
            f"{stored.label}: {stored.replicates:,} replicates are not what its samples say is enough {until.told()}; "
            "run the study again, or rnnmc verify --repair where its manifest was altered"
        )


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
