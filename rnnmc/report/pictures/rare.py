"""How probable it is that the norm passes a threshold, down to where no plain replicate has ever been."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.engine.block import run_block
from rnnmc.report.charts.parts import ROW_WIDTH, facet, full_rows, hue_colour, inline, title, tooltip
from rnnmc.report.hues import in_hues, in_panel, ordered_hues
from rnnmc.report.text import labels, points_of, split_events, varying_factors
from rnnmc.statistics.made_up import Tables, rows_of_points
from rnnmc.statistics.rare import rare_statistics
from rnnmc.study.point import DesignPoint
from rnnmc.study.rare import Splitting
from rnnmc.study.study import PlannedPoint

SMALLEST = 1e-12  # that is drawn
MOST_COLUMNS = 5  # of panels


class RarePicture:
    """P of a score at every threshold of the populations, with its 95 % interval."""

    name = "rare"

    def example(self) -> Tables:
        """What a few small populations of one design point find, and that point."""
        splitting = Splitting.checked(event="vanish", particles=100, smallest=0.1)
        point = DesignPoint(cell="tanh", width=1, drive="none", horizons=(3,), splitting=splitting)
        found = pl.concat(pl.DataFrame(pl.from_arrow(run_block(point, number))) for number in range(2))
        return rare_statistics(found), rows_of_points([PlannedPoint.checked(point=point, replicates=2)])

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`rare-<cell>` for each cell: one panel an event, width and horizon, one colour what else varies."""
        own = points_of(summary, points)
        if own.is_empty():
            return {}
        events = pl.Series("event", split_events(own), dtype=pl.String)
        by_cell = own.with_columns(events).partition_by("cell", maintain_order=True)
        told = pl.concat(in_hues(one.with_columns(series=_told(one))) for one in by_cell)
        curves = (
            summary.filter(pl.col("p") >= SMALLEST)
            .with_columns(pl.col("point").cast(pl.String))
            .join(told.select("point", "cell", "width", "hue", "rest", "series", "event"), on="point")
            .sort("event", "width", "horizon", maintain_order=True)
            .with_columns(
                panel=in_panel(pl.format("{}; width {}; T = {}", "event", "width", "horizon")),
                low=pl.col("p_low").fill_null(pl.col("p")).clip(SMALLEST),
                high=pl.col("p_high").fill_null(pl.col("p")),
            )
        )
        drawn = curves.group_by("cell", maintain_order=True)
        return {f"rare-{cell}": _chart(rows, str(cell), told.filter(cell=cell)) for (cell,), rows in drawn}


def _told(points: pl.DataFrame) -> pl.Series:
    """What varies beside what the name of a panel says."""
    return pl.Series(labels(points, varying_factors(points)), dtype=pl.String)


def _chart(curves: pl.DataFrame, cell: str, points: pl.DataFrame) -> ChartType:
    hues, panels = ordered_hues(points), curves["panel"].unique(maintain_order=True).to_list()
    columns = full_rows(len(panels), MOST_COLUMNS)
    shown = curves.select("panel", "point", "series", "hue", "score", "p", "low", "high")
    chart = alt.Chart().encode(
        x=alt.X("score:Q", title="score (nats)", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4)),
        color=hue_colour(hues),
        detail="point:N",
    )
    y = {
        "scale": alt.Scale(type="log", domain=[SMALLEST, 1]),
        "axis": alt.Axis(values=[10.0**-power for power in range(0, 13, 4)], format="~g"),
        "title": "P",
    }
    band = chart.mark_area(opacity=0.25).encode(y=alt.Y("low:Q", **y), y2="high:Q")
    line = chart.mark_line(strokeWidth=1.6).encode(
        y=alt.Y("p:Q", **y), tooltip=tooltip("panel", "series", "score", "p", "low", "high")
    )
    return (
        alt.layer(band, line, data=inline(shown))
        .properties(width=min(420, ROW_WIDTH // columns), height=150)
        .facet(
            facet(panels),
            columns=columns,
        )
        .resolve_scale(x="independent")
        .properties(
            title=title(
                f"{cell}: how probable rare events are",
                "Probability of a score of at least so much, by splitting, with 95 % intervals. The score of exploding "
                "is the log-norm, that of vanishing minus it, that of staying how far inside the thresholds it is. "
                f"Drawn down to {SMALLEST:g}",
            )
        )
    )


PICTURE = RarePicture()
