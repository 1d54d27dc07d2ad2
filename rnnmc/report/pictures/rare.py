"""How probable it is that the norm passes a threshold, down to where no plain replicate has ever been."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.engine.block import run_block
from rnnmc.report.charts.parts import ROW_WIDTH, inline, title, tooltip
from rnnmc.report.text import with_series
from rnnmc.statistics.made_up import Tables, rows_of_points
from rnnmc.statistics.rare import rare_statistics
from rnnmc.study.point import DesignPoint
from rnnmc.study.rare import Splitting
from rnnmc.study.study import PlannedPoint

SMALLEST = 1e-12  # that is drawn


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
        """`rare-<cell>` for each cell: one colour a design point, against the threshold in nats."""
        points = with_series(points.filter(pl.col("point").cast(pl.String).is_in(summary["point"].cast(pl.String))))
        curves = (
            summary.filter(pl.col("p") >= SMALLEST)
            .with_columns(pl.col("point").cast(pl.String))
            .join(points.select("point", "cell", "width", "series"), on="point")
            .with_columns(
                label=pl.format("n = {}, T = {}, {}", "width", "horizon", "series"),
                low=pl.col("p_low").fill_null(pl.col("p")).clip(SMALLEST),
                high=pl.col("p_high").fill_null(pl.col("p")),
            )
        )
        by_cell = {str(cell): rows for (cell,), rows in curves.group_by("cell", maintain_order=True)}
        return {f"rare-{cell}": _chart(rows, cell) for cell, rows in by_cell.items()}


def _chart(curves: pl.DataFrame, cell: str) -> ChartType:
    shown = curves.select("score", "p", "low", "high", "label")
    chart = alt.Chart(inline(shown)).encode(
        x=alt.X("score:Q", title="score, nats (vanish: minus the log-norm)", scale=alt.Scale(zero=False)),
        color=alt.Color("label:N", legend=alt.Legend(title=None, orient="top", columns=2)),
    )
    scale = alt.Scale(type="log", domain=[SMALLEST, 1])
    band = chart.mark_area(opacity=0.25).encode(y=alt.Y("low:Q", scale=scale, title="P"), y2="high:Q")
    line = chart.mark_line(strokeWidth=1.6).encode(
        y=alt.Y("p:Q", scale=scale, title="P"), tooltip=tooltip("label", "score", "p", "low", "high")
    )
    return (band + line).properties(
        width=ROW_WIDTH // 2, height=240, title=title(f"Rare events: {cell}", "by splitting, with 95 % intervals")
    )


PICTURE = RarePicture()
