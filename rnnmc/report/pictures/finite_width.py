"""The growth rate against the width, with the curve in 1/n that it follows."""

from __future__ import annotations

import math

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import facet, full_rows, hue_colour, inline, own_axes, title, tooltip
from rnnmc.report.hues import in_hues, in_panel, ordered_hues
from rnnmc.report.text import with_series
from rnnmc.statistics.analyses.analysis import completed
from rnnmc.statistics.analyses.finite_width import SCHEMA
from rnnmc.statistics.rates import student_half


class FiniteWidthPicture:
    """Growth rates with their intervals, and limit + slope / n + curvature / n^2, one panel a cell and rest."""

    name = "finite-width"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`finite-width`, in rates less the limit, so that all lie on one scale."""
        if summary.is_empty():
            return {}
        labels = in_hues(with_series(points)).select("point", "series", "hue", "rest")
        known = pl.col("errors").list.eval(pl.element() * 0 + math.inf)
        rows = completed(summary, SCHEMA).join(labels, on="point", how="left", maintain_order="left")
        rows = rows.with_columns(
            pl.col("freedoms").fill_null(known), pl.col("curvature").fill_null(0.0), panel=in_panel(pl.col("cell"))
        )
        rows = pl.concat(rows.partition_by("cell", maintain_order=True))
        rates = rows.explode("widths", "rates", "errors", "freedoms")
        half = pl.Series("half", student_half(rates["errors"], rates["freedoms"]))
        curve = pl.col("slope") / pl.col("widths") + pl.col("curvature") / pl.col("widths") ** 2
        rates = rates.with_columns(
            (pl.col("rates") - pl.col("limit")).alias("rate"),
            (pl.col("rates") - pl.col("limit") - half).alias("low"),
            (pl.col("rates") - pl.col("limit") + half).alias("high"),
            pl.when(pl.col("widths") >= pl.col("from_width")).then(curve).alias("line"),
        )
        # One wide interval should not hide where the others lie.
        reach = (pl.col("rate").max() - pl.col("rate").min()).over("panel")
        wide = pl.col("high") - pl.col("low") > reach
        rates = rates.with_columns(pl.when(~wide).then(end).alias(end) for end in ("low", "high"))
        hues, panels = ordered_hues(rates), rates["panel"].unique(maintain_order=True).to_list()
        name = "growth rate less its limit (nats/step)"
        base = alt.Chart().encode(
            x=alt.X("widths:Q", title="width", scale=alt.Scale(type="log", base=2, nice=False)),
            color=hue_colour(hues),
            detail="series:N",
            tooltip=tooltip(
                "cell",
                "widths",
                "series",
                rates="growth rate",
                errors="standard error",
                limit="limit",
                limit_low="from (95 %)",
                limit_high="to",
                slope="slope",
            ),
        )
        y = alt.Y("low:Q", title=name)
        layers = [
            base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.4).encode(y=y, y2="high:Q"),
            base.mark_point(filled=True, size=26).encode(y=alt.Y("rate:Q", title=name)),
            base.transform_filter("isValid(datum.line)")
            .mark_line(strokeWidth=1.2)
            .encode(y=alt.Y("line:Q", title=name)),
        ]
        columns = full_rows(len(panels), 4)
        shown = rates.select(
            "cell",
            "widths",
            "panel",
            "series",
            "hue",
            "rates",
            "errors",
            "limit",
            "limit_low",
            "limit_high",
            "slope",
            "rate",
            "low",
            "high",
            "line",
        )
        return {
            "finite-width": alt.layer(*layers, data=inline(shown))
            .properties(width=max(160, 760 // columns), height=190)
            .facet(facet(panels), columns=columns)
            .resolve_axis(x=own_axes(len(panels), columns))
            .resolve_scale(y="independent")
            .properties(
                title=title(
                    "Growth rate against the width",
                    "Dots with 95 % intervals, where these are no longer than the dots lie apart, less the limit of "
                    "the curves in 1/n, averaged over all that fit; drawn from where the likeliest begins",
                )
            )
        }


PICTURE = FiniteWidthPicture()
