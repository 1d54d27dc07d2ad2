"""How large the state has ever been."""

from __future__ import annotations

import math

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import (
    band,
    colour,
    dots,
    horizon_axis,
    inline,
    panel_width,
    title,
    tooltip,
    unless_other_picked,
    widths,
)
from rnnmc.report.hues import hues_by_cell, in_curves, ordered_hues
from rnnmc.report.text import points_of


class ExtremesPicture:
    """The running maximum of each part of the state against the horizon."""

    name = "extremes"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`extremes-<cell>` for each cell: one column of panels a width, a row a part, colours as of curves."""
        points = hues_by_cell(points_of(summary, points))
        series = ordered_hues(points)
        curves = in_curves(summary, points, "horizon")
        cells = points["cell"].unique(maintain_order=True).to_list()
        by_cell = {cell: curves.filter(pl.col("cell") == cell) for cell in cells}
        return {f"extremes-{cell}": _chart(rows, cell, series) for cell, rows in by_cell.items() if len(rows)}


def _chart(curves: pl.DataFrame, cell: str, series: list[str]) -> ChartType:
    quantiles = ("q05", "q50", "q95")
    finite = [size for name in quantiles for size in curves[name].to_list() if size and math.isfinite(size)]
    floor, ceiling = min([0.5, *finite]), max([2.0, *finite])
    shown = curves.select(
        "panel", "series", "name", "horizon", "part", "p_above", pl.col(quantiles).clip(floor, ceiling)
    )
    parts = curves["part"].unique(maintain_order=True).to_list()
    y = {
        "scale": alt.Scale(type="log", domain=[floor, ceiling], nice=False),
        "title": "largest entry",
        "axis": alt.Axis(format="~g", tickCount=5),
    }
    pick = alt.selection_point(fields=["series"], bind="legend")
    base = alt.Chart().encode(x=horizon_axis(curves), color=colour(series, curves), detail="name:N")
    return (
        alt.layer(
            alt.Chart(alt.InlineData(values=[{"one": 1}]))
            .mark_rule(strokeDash=[4, 3], opacity=0.5)
            .encode(y=alt.Y("one:Q", **y)),
            band(base, curves).encode(y=alt.Y("q05:Q", **y), y2="q95:Q", opacity=unless_other_picked(pick, 0.22, 0.03)),
            base.mark_line(strokeWidth=1.7, point=dots(curves)).encode(
                y=alt.Y("q50:Q", **y),
                opacity=unless_other_picked(pick, 1, 0.1),
                tooltip=tooltip("name", "part", "horizon", q50="median", p_above="share above 1"),
            ),
            data=inline(shown),
        )
        .properties(width=panel_width(curves), height=140)
        .add_params(pick)
        .facet(column=widths(curves), row=alt.Row("part:N", sort=parts, title=None), spacing=12)
        .properties(
            title=title(
                f"{cell}: how large the state has ever been",
                "Largest entry of each part so far: median and 5-95 % over replicates; an overflow is at the top",
            )
        )
    )


PICTURE = ExtremesPicture()
