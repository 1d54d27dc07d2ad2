"""What the samples of one design point say, counted while others are still sampled and kept until the page is drawn.

Kept beside the study as it runs, in a file that proves itself and says of which files, settings and code it is: one
that is not of what is there now is passed over, and the point is counted again.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnmc.common.errors import RunError
from rnnmc.common.files import write_whole
from rnnmc.common.sources import digest_of_rnnmc
from rnnmc.statistics.growth import BY_NORM, Estimator, estimator_of
from rnnmc.statistics.oracles import checks
from rnnmc.statistics.point import SampleRectangle, joined, point_statistics, rectangle
from rnnmc.statistics.rare import event_row, rare_statistics
from rnnmc.statistics.stopping import INTERVAL, replicates_enough, seen_of
from rnnmc.statistics.summaries import Settings, summed_up
from rnnmc.statistics.variance_split import variance_split
from rnnmc.store.folder import point_folder
from rnnmc.store.outdated import SO_FAR
from rnnmc.store.plan import settled
from rnnmc.store.reading import as_frame, samples_of, shard_tables
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.replicates import GROWTHS, Until
from rnnmc.study.study import Thresholds
from rnnmc.theory.beside import beside

if TYPE_CHECKING:
    import polars as pl

STATISTICS, ORACLES = "statistics", "oracles"
OF_EVENTS = f"{STATISTICS}-rare"
COUNTED = "counted"  # folder below SO_FAR
LISTED = (".parquet", ".json")  # files that a point rests on
COUNTS_WITH = ("numpy", "scipy", "polars", "torch")  # libraries
log = logging.getLogger("rnnmc")


@dataclass(frozen=True)
class CountedBy:
    """By what the samples of a study are counted. own: the thresholds that a goal was decided by."""

    thresholds: Thresholds
    interval: str
    oracles: bool
    own: Thresholds

    @classmethod
    def study(cls, directory: Path) -> CountedBy:
        """As the study in this folder says. Raises UsageError, Damaged."""
        said = settled(directory)
        own = Thresholds.checked(**said["thresholds"])
        return cls(own, said["interval"], said["oracles"], own)


def counted(directory: Path, stored: StoredPoint, by: CountedBy) -> dict[str, pl.DataFrame]:
    """name -> table, of one design point whose samples are all there: as it was kept, or else counted now.

    Raises DamagedShard, RunError where a sample is missing or not what the point promises.
    """
    return _kept(directory, stored, by) or count(directory, stored, by)


def count_early(directory: Path, stored: StoredPoint, by: CountedBy) -> None:
    """Count one design point whose samples are all there, and keep that. What is wrong with it is told later."""
    with suppress(RunError):
        if _kept(directory, stored, by) is None:
            of = _of(directory, stored, by)  # what was there before it was read
            tables = count(directory, stored, by)
            write_whole(_path(directory, stored), _packed(of, tables))


def _path(directory: Path, stored: StoredPoint) -> Path:
    return directory / SO_FAR / COUNTED / stored.key


def _of(directory: Path, stored: StoredPoint, by: CountedBy) -> str:
    """All that the tables of a point rest on: its files, by size and times, what is asked, and the code that counts."""
    files = []
    for kind in stored.kinds:
        with suppress(OSError), os.scandir(point_folder(directory, stored, kind)) as entries:
            found = sorted((one.name, one.stat()) for one in entries if one.name.endswith(LISTED))
            files.append([[name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] for name, s in found])
    asked = asdict(by) | {"thresholds": by.thresholds.model_dump(), "own": by.own.model_dump()}
    seen, until = [one.identity() for one in stored.observables], stored.until and stored.until.written()
    point = [stored.key, stored.replicates, stored.group, stored.point is None, asdict(stored.cut), seen, until]
    return json.dumps([files, asked, point, digest_of_rnnmc(), [version(name) for name in COUNTS_WITH]], sort_keys=True)


def _packed(of: str, tables: dict[str, pl.DataFrame]) -> bytes:
    """Tables in Arrow's form behind what they are of and how long they are, and a digest before all of it."""
    parts: dict[str, bytes] = {}
    for name, table in tables.items():
        table.write_ipc(buffer := io.BytesIO(), compression="lz4")
        parts[name] = buffer.getvalue()
    head = json.dumps({"of": of, "sizes": {name: len(part) for name, part in parts.items()}})
    content = b"\n".join([head.encode(), b"".join(parts.values())])
    return hashlib.sha256(content).hexdigest().encode() + content


def _kept(directory: Path, stored: StoredPoint, by: CountedBy) -> dict[str, pl.DataFrame] | None:
    """What was kept of just this, whole; or None."""
    import polars as pl

    try:
        said = _path(directory, stored).read_bytes()
    except OSError:
        return None
    digest, content = said[:64], said[64:]
    if hashlib.sha256(content).hexdigest().encode() != digest:
        log.warning("%s: is damaged; the point is counted again", _path(directory, stored))
        return None
    head, _, rest = content.partition(b"\n")
    told: dict[str, Any] = json.loads(head)
    if told["of"] != _of(directory, stored, by):
        return None
    tables, begin = {}, 0
    for name, size in told["sizes"].items():
        tables[name] = pl.read_ipc(io.BytesIO(rest[begin : begin + size]))
        begin += size
    return tables


def count(directory: Path, stored: StoredPoint, by: CountedBy, decided: bool = True) -> dict[str, pl.DataFrame]:
    """name -> table, of one design point. decided: it is known how many replicates are enough, and they are proved to
    be. Raises DamagedShard, RunError.
    """
    point, thresholds, interval = stored.point, by.thresholds, by.interval
    if stored.split:
        rare = rare_statistics(samples_of(directory, stored))
        return {OF_EVENTS: rare, STATISTICS: event_row(rare, None if point is None else point.splitting)}
    if stored.until is not None:
        interval = INTERVAL
    settings = Settings(thresholds.vanish, thresholds.explode, interval, group=stored.group)
    samples = _joined(directory, stored)
    estimator = BY_NORM if point is None else estimator_of(point)
    if decided and stored.until is not None and (point is not None or stored.until.of not in GROWTHS):
        _check_enough(stored, stored.until, samples, by.own, estimator)
    looked = (thresholds.vanish, thresholds.explode, interval)
    can_die = point is None or point.cell_object.can_die
    statistics = point_statistics(samples, *looked, group=stored.group, estimator=estimator, can_die=can_die)
    found = {STATISTICS: statistics if point is None else beside(point, statistics)}
    if point is not None and point.nested.group > 1:
        found["variance"] = variance_split(samples_of(directory, stored), point.nested.drives, point.nested.states)
    seen = {one.name: samples_of(directory, stored, one) for one in stored.observables}
    for observable in stored.observables:
        found[f"{STATISTICS}-{observable.name}"] = summed_up(observable, seen[observable.name], settings, point)
    if by.oracles and point is not None:
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
