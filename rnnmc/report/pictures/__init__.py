"""Figures of what the observables saw, one file each; an observable without one has no figure."""

from __future__ import annotations

from typing import Protocol

import polars as pl
from altair.typing import ChartType

from rnnmc.common.registry import offered


class Picture(Protocol):
    """Draws one observable. `name`: of the observable; the instance is `PICTURE`.

    One that draws neither an observable nor an analysis has a method `example` too, which gives its check a table and
    the rows of points.parquet.
    """

    name: str

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """name -> chart. summary: rows of `Summary.summarise` of all design points; points: rows of points.parquet."""
        ...


def picture_of(observable: str) -> Picture | None:
    """The picture of the observable of this name, if it has one."""
    return offered("rnnmc.report.pictures", "PICTURE").get(observable)
