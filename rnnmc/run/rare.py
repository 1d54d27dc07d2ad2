"""How probable a rare event of one design point is, now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from rich.table import Table

from rnnmc.report.terminal import rare_table
from rnnmc.run.measure import measure_samples
from rnnmc.run.progress import progress
from rnnmc.statistics.rare import rare_statistics
from rnnmc.store.tables import write_parquet
from rnnmc.study.options import in_rows
from rnnmc.study.point import DesignPoint


@dataclass(frozen=True)
class RareAnswer:
    """What came of the populations of a design point with splitting.

    seen: their rows, as `rnnmc.engine.splitting.run.population_table` has them. statistics: see
    `rnnmc.statistics.rare.rare_statistics`; the last row is the event.
    """

    point: DesignPoint
    seen: pl.DataFrame
    statistics: pl.DataFrame

    def write(self, out: Path) -> None:
        """Leave the rows of all populations in `out`. Raises RunError."""
        write_parquet(out, self.seen, {"rnnmc": json.dumps(self.point.written())})

    def as_json(self) -> str:
        """The design point, the probability of the event with its interval and cost, and that of every threshold."""
        curve = in_rows(self.statistics)
        event = curve[-1]
        rare = {"p": event["p"], "low": event["p_low"], "high": event["p_high"], "chains": event["evaluations"]}
        rare |= {"reached": event["reached"], "doubt": event["doubt"]}
        return json.dumps({"point": self.point.written(), "rare": rare, "curve": curve}, allow_nan=False)

    def tables(self) -> Iterator[Table]:
        """For the terminal."""
        event = self.point.rare_event
        yield rare_table(self.statistics, f"{self.point.label}: {event.told}", event.kind == "stable")


def rare_answer(point: DesignPoint, populations: int, address: str | None = None) -> RareAnswer:
    """Run so many populations of a design point with splitting, with a bar of progress.

    Raises UsageError where its draws are not made of normal numbers, or its event is certain or out of reach.
    """
    with progress(point.label, populations, "populations") as tell:
        seen = measure_samples(point, populations, "cpu", address, tell)
    return RareAnswer(point, seen, rare_statistics(seen))
