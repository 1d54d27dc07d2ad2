"""The growth rate against the width, with the line in 1/n that it follows."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import inline, series_scale, title, tooltip
from rnnmc.report.text import with_series


class FiniteWidthPicture:
    """Growth rates with their errors, and limit + slope / n, one panel a cell."""

    name = "finite-width"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`finite-width`, in rates less the limit, so that all lie on one scale."""
        if summary.is_empty():
            return {}
        labels = with_series(points).select("point", "series")
        rows = summary.join(labels, on="point", how="left", maintain_order="left")
        rates = rows.explode("widths", "rates", "errors").with_columns(
            (pl.col("rates") - pl.col("limit")).alias("rate"),
            (pl.col("rates") - pl.col("limit") - pl.col("errors")).alias("low"),
            (pl.col("rates") - pl.col("limit") + pl.col("errors")).alias("high"),
            pl.when(pl.col("widths") >= pl.col("from_width")).then(pl.col("slope") / pl.col("widths")).alias("line"),
        )
        series = rates["series"].unique(maintain_order=True).to_list()
        cells = summary["cell"].unique(maintain_order=True).to_list()
        legend = alt.Legend(title=None, orient="top", columns=4) if len(series) <= 12 else None  # the pointer names it
        name = "growth rate less its limit (nats/step)"
        base = alt.Chart().encode(
            x=alt.X("widths:Q", title="width", scale=alt.Scale(type="log", base=2, nice=False)),
            color=alt.Color("series:N", sort=series, scale=series_scale(series), legend=legend),
            tooltip=tooltip(
                "cell", "widths", "series", rates="growth rate", errors="error", limit="limit", slope="slope"
            ),
        )
        y = alt.Y("low:Q", title=name)
        layers = [
            base.mark_rule(strokeWidth=1.4).encode(y=y, y2="high:Q"),
            base.mark_point(filled=True, size=26).encode(y=alt.Y("rate:Q", title=name)),
            base.transform_filter("isValid(datum.line)")
            .mark_line(strokeWidth=1.2)
            .encode(y=alt.Y("line:Q", title=name)),
        ]
        columns = min(len(cells), 3)
        shown = rates.select(
            "cell", "widths", "series", "rates", "errors", "limit", "slope", "rate", "low", "high", "line"
        )
        return {
            "finite-width": alt.layer(*layers, data=inline(shown))
            .properties(width=max(160, 760 // columns), height=190)
            .facet(alt.Facet("cell:N", sort=cells, title=None), columns=columns)
            .resolve_scale(y="independent")
            .properties(
                title=title(
                    "Growth rate against the width",
                    "Dots with one standard error, less the limit of the line in 1/n that is fitted to the widths "
                    "where it is drawn",
                )
            )
        }


PICTURE = FiniteWidthPicture()
