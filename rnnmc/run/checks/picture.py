"""A picture against what every picture promises: charts that can be drawn, of its table, and none of an empty one."""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl
import vl_convert
from altair.typing import ChartType

from rnnmc.common.checks import CheckResult, Mistake, checked, described, hold
from rnnmc.common.refusals import choose
from rnnmc.observables import observables, read_observables
from rnnmc.report.charts.parts import INK, VL_VERSION, config
from rnnmc.report.pictures import Picture
from rnnmc.run.checks.observable import EXAMPLES, looked
from rnnmc.statistics.analyses import analyses
from rnnmc.statistics.made_up import Tables, rows_of_points, varied
from rnnmc.statistics.summaries import Settings, summed_up

REPLICATES = 6


def check_picture(picture: Picture, tables: Tables | None = None) -> list[CheckResult]:
    """The results of every check of this picture; never raises for a mistake of it.

    tables: its table and the rows of points.parquet; by default its `example`, or what its analysis makes of a made-up
    study, or what its observable sees in a few short chains.
    """
    drawn: dict[str, ChartType] = {}
    known: list[Tables] = [tables] if tables else []

    def table() -> None:
        if not known:
            example = getattr(picture, "example", None)
            known.append(example() if example else _tables(picture.name))
        hold(not known[0][0].is_empty(), "its table is empty")

    def charts() -> None:
        hold(bool(known), "it has no table")
        drawn.update(_charts(picture, *known[0]))

    return [
        described(picture, "name"),
        checked("table", "there is an observable or an analysis of its name, whose table it draws", table),
        checked("charts", "of its table it makes charts, each with a name of its own that begins with its own", charts),
        checked("drawn", "each chart is Vega-Lite and can be drawn", lambda: _drawn(drawn)),
        checked("nothing", "of a table without rows it makes no chart", lambda: _nothing(picture, *known[0])),
    ]


def _tables(name: str) -> Tables:
    """The table that a picture of this name draws, and its points."""
    if name in analyses():
        (points, statistics), analysis = varied(), analyses()[name]
        return analysis.table(points, analysis.example(statistics)), points
    if name not in observables():
        raise Mistake(f"{name} is neither; {choose(name, [*analyses(), *observables()])}")
    (observable,) = read_observables(name)
    points, frames = [], []
    for said in (*observable.examples, *EXAMPLES):
        try:
            planned, seen = looked(said, (observable,), REPLICATES)
        except ValueError:  # a cell that has no such thing
            continue
        points.append(planned)
        samples = pl.DataFrame(pl.from_arrow(seen[name]))
        frames.append(summed_up(observable, samples, Settings(1e-3, 1e3), planned.point))
    return pl.concat(frames, how="diagonal_relaxed"), rows_of_points(points)


def _charts(picture: Picture, table: pl.DataFrame, points: pl.DataFrame) -> Mapping[str, ChartType]:
    charts = picture.charts(table, points)
    hold(bool(charts), "there are none")
    for name in charts:
        hold(name.startswith(picture.name), f"{name} does not begin with {picture.name}")
        hold(re.fullmatch(r"[A-Za-z0-9._-]+", name) is not None, f"{name!r} cannot be the name of a file")
    return charts


def _drawn(charts: Mapping[str, ChartType]) -> None:
    hold(bool(charts), "there are none")
    for name, chart in charts.items():
        specification = chart.to_dict()
        hold("title" in specification, f"{name} has no title")
        svg = vl_convert.vegalite_to_svg(specification, vl_version=VL_VERSION, config=config(INK))
        hold("mark-" in svg, f"{name} shows no mark")


def _nothing(picture: Picture, table: pl.DataFrame, points: pl.DataFrame) -> None:
    charts = picture.charts(table.clear(), points)
    hold(not charts, f"there are {', '.join(charts)}")
