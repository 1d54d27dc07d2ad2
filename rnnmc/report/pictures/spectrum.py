"""The Lyapunov spectrum beside theory."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import (
    LINEAR_RATE,
    axis_of_rates,
    colour,
    inline,
    panel_width,
    title,
    tooltip,
    unless_other_picked,
    widths,
)
from rnnmc.report.hues import hues_by_cell, in_curves, ordered_hues
from rnnmc.report.text import points_of

FEW = 40  # exponents that dots can still show one by one


class SpectrumPicture:
    """Exponents against their index over the length of the state, with theory where there is one."""

    name = "spectrum"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`spectrum-<cell>` for each cell, one panel a width, colours as of curves.

        summary: of all design points, with the columns of `SpectrumSummary.beside`. Exponents that are not known, or
        -inf in some replicate, are left out.
        """
        points = hues_by_cell(points_of(summary, points))
        series = ordered_hues(points)
        known = summary.filter((pl.col("quantity") == "exponent") & (pl.col("finite") == pl.col("replicates")))
        placed = known.with_columns(x=(pl.col("index") - 0.5) / pl.col("state_size"))
        curves = in_curves(placed, points, "index")
        cells = points["cell"].unique(maintain_order=True).to_list()
        by_cell = {cell: curves.filter(pl.col("cell") == cell) for cell in cells}
        return {f"spectrum-{cell}": _chart(rows, cell, series) for cell, rows in by_cell.items() if len(rows)}


def _chart(curves: pl.DataFrame, cell: str, series: list[str]) -> ChartType:
    shown = ("panel", "series", "name", "index", "state_size", "x", "mean", "q05", "q95", "error_in_time", "theory")
    pick = alt.selection_point(fields=["series"], bind="legend")
    tip = tooltip("name", "index", mean="exponent (nats/step)", error_in_time="its error in time", theory="theory")
    y = axis_of_rates("Lyapunov exponent (nats/step)")
    x = alt.X("x:Q", title="index / length of the state", scale=alt.Scale(domain=[0, 1], nice=False))
    base = alt.Chart().encode(x=x, color=colour(series, curves), detail="name:N")
    dots = alt.OverlayMarkDef(size=22) if curves["index"].n_unique() <= FEW else False
    theory = curves["theory"].is_not_null().any()
    return (
        alt.layer(
            alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(opacity=0.5).encode(y="zero:Q"),
            base.mark_area().encode(y=alt.Y("q05:Q", **y), y2="q95:Q", opacity=unless_other_picked(pick, 0.22, 0.03)),
            base.mark_line(strokeWidth=1.7, point=dots).encode(
                y=alt.Y("mean:Q", **y), opacity=unless_other_picked(pick, 1, 0.1), tooltip=tip
            ),
            alt.Chart()
            .mark_line(style="theory")
            .transform_filter("isValid(datum.theory)")
            .encode(x=x, y=alt.Y("theory:Q", **y), detail="name:N"),
            data=inline(curves.select(shown)),
        )
        .properties(width=panel_width(curves), height=260)
        .add_params(pick)
        .facet(column=widths(curves), spacing=12)
        .properties(
            title=title(
                f"{cell}: Lyapunov spectrum",
                f"Mean and 5-95 % of replicates; the axis is logarithmic beyond {LINEAR_RATE:g} on both sides of 0"
                + ("; dashed: theory" if theory else ""),
            )
        )
    )


PICTURE = SpectrumPicture()
