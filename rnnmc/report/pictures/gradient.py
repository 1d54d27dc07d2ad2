"""How much of the parameter gradient comes from further back than each lag."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import PANELS_A_ROW, ROW_WIDTH, SERIES, facet, inline, own_axes, title, tooltip
from rnnmc.report.text import points_of, with_series

FLOOR = 1e-6  # of a share that is shown
LOSS_NAMES = {"last": "loss on the last state", "every": "loss on every state"}


class GradientPicture:
    """The share of the gradient that truncated back-propagation would lose, against its length."""

    name = "gradient"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`gradient-<cell>` for each cell: one panel a design point, one curve a loss."""
        points = with_series(points_of(summary, points))
        curves = (
            summary.filter((pl.col("quantity") == "share_further") & (pl.col("lag") > 0))
            .filter((pl.col("lag") < pl.col("horizon")) & pl.col("q50").is_not_null())
            .drop("horizon")
            .with_columns(pl.col("point").cast(pl.String), pl.col("loss").replace(LOSS_NAMES))
            .join(points.select("point", "cell", "width", "series"), on="point")
            .with_columns(pl.col("q05", "q50", "q95").clip(FLOOR), panel=pl.format("width {}, {}", "width", "series"))
            .sort("width", "series", maintain_order=True)
        )
        cells = points["cell"].unique(maintain_order=True).to_list()
        by_cell = {cell: curves.filter(pl.col("cell") == cell) for cell in cells}
        return {f"gradient-{cell}": _chart(rows, cell) for cell, rows in by_cell.items() if len(rows)}


def _chart(curves: pl.DataFrame, cell: str) -> ChartType:
    panels = curves["panel"].unique(maintain_order=True).to_list()
    columns, losses = min(PANELS_A_ROW, len(panels)), list(LOSS_NAMES.values())
    y = {
        "scale": alt.Scale(type="log", domain=[FLOOR, max(1.0, *curves["q95"].to_list())], nice=False),
        "title": "share of the gradient from further back",
        "axis": alt.Axis(format="~g", tickCount=4),
    }
    legend = alt.Legend(title=None, orient="top", symbolOpacity=1)
    base = alt.Chart().encode(
        x=alt.X(
            "lag:Q",
            scale=alt.Scale(type="log", domain=[1, max(2, *curves["lag"].to_list())], nice=False),
            title="length of truncated back-propagation (steps)",
            axis=alt.Axis(values=[10**k for k in range(5)], format=","),
        ),
        color=alt.Color(
            "loss:N",
            scale=alt.Scale(domain=losses, range=SERIES[: len(LOSS_NAMES)]),
            legend=legend,
        ),
    )
    shown = ("panel", "loss", "lag", "q05", "q50", "q95", "p_negligible")
    return (
        alt.layer(
            base.mark_area(opacity=0.22).encode(y=alt.Y("q05:Q", **y), y2="q95:Q"),
            base.mark_line(strokeWidth=1.7).encode(
                y=alt.Y("q50:Q", **y),
                strokeDash=alt.StrokeDash(
                    "loss:N", scale=alt.Scale(domain=losses, range=[[1, 0], [6, 4]]), legend=legend
                ),
                tooltip=tooltip("panel", "loss", "lag", q50="median share", p_negligible="P(negligible)"),
            ),
            data=inline(curves.select(shown)),
        )
        .properties(width=ROW_WIDTH // columns, height=170)
        .facet(facet(panels), columns=columns)
        .resolve_axis(x=own_axes(len(panels), columns))
        .properties(
            title=title(
                f"{cell}: what the parameter gradient loses when it goes back so many steps and no more",
                "Norm of what is further back over that of the whole: median and 5-95 % over replicates; "
                f"{FLOOR:g} or less is at the lower edge",
            )
        )
    )


PICTURE = GradientPicture()
