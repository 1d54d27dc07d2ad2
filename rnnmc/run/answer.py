"""What one design point answers, now: measured, summed up, and told as a table, as JSON or in files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from rich.table import Table

from rnnmc.engine.block import SAMPLES
from rnnmc.report.terminal import fitting, frame_table, horizon_table
from rnnmc.run.measure import measure_observed, measure_until, missed
from rnnmc.run.progress import progress
from rnnmc.statistics.growth import estimator_of
from rnnmc.statistics.point import point_statistics
from rnnmc.statistics.stopping import INTERVAL
from rnnmc.statistics.summaries import Settings, summed_up
from rnnmc.store.tables import write_parquet
from rnnmc.study.options import in_rows
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import PlannedPoint, Thresholds
from rnnmc.theory.beside import beside


@dataclass(frozen=True)
class Answer:
    """What came of one design point.

    seen: the samples under "samples", and what each observable saw under its name. statistics: with theory beside
    them. summaries: of each observable. short_of: what the most replicates know, where it is
    less than was asked for.
    """

    point: DesignPoint
    seen: dict[str, pl.DataFrame]
    statistics: pl.DataFrame
    summaries: dict[str, pl.DataFrame]
    short_of: str | None

    def write(self, out: Path) -> None:
        """Leave the samples in `out`, and what an observable saw in a file of its name beside it. Raises RunError."""
        for kind, frame in self.seen.items():
            path = out if kind == SAMPLES else out.with_suffix(f".{kind}.parquet")
            write_parquet(path, frame, {"rnnmc": json.dumps(self.point.written())})

    def as_json(self) -> str:
        """The design point and the rows of every table."""
        said = {name: in_rows(frame) for name, frame in ({"statistics": self.statistics} | self.summaries).items()}
        return json.dumps({"point": self.point.written()} | said, allow_nan=False)

    def tables(self) -> Iterator[Table]:
        """For the terminal."""
        wide, narrow = (horizon_table(self.statistics, self.point.label, narrow=some) for some in (False, True))
        yield fitting([wide, narrow])
        yield from (frame_table(frame, name) for name, frame in self.summaries.items())


def answered(wanted: PlannedPoint, thresholds: Thresholds, device: str, address: str | None) -> Answer:
    """Measure a design point and what it looks at, with a bar of progress; raises as `rnnmc.run.measure` does."""
    point, observables, until = wanted.point, wanted.observables, wanted.until
    with progress(point.label, wanted.replicates if until is None else None) as tell:
        if until is None:
            seen = measure_observed(point, observables, wanted.replicates, device, address, tell)
        else:
            most = wanted.replicates
            seen = measure_until(point, observables, until, thresholds, device, address, tell, most)
    interval = "wilson" if until is None else INTERVAL
    looked = (thresholds.vanish, thresholds.explode, interval)
    statistics = point_statistics(
        seen[SAMPLES], *looked, estimator=estimator_of(point), can_die=point.cell_object.can_die
    )
    settings = Settings(thresholds.vanish, thresholds.explode, interval)
    summaries = {one.name: summed_up(one, seen[one.name], settings, point) for one in observables}
    short_of = None if until is None else missed(point, seen[SAMPLES], until, thresholds)
    return Answer(point, seen, beside(point, statistics), summaries, short_of)
