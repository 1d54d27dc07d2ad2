"""How steeply the share of stable networks falls, decade by decade."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import full_rows, hue_colour, inline, own_axes, title, tooltip
from rnnmc.report.hues import with_width_hues
from rnnmc.report.pictures.paths import MOST_PANELS
from rnnmc.report.text import with_series

STEEPEST = 3.0  # exponents beyond are drawn at the edge
WIDEST = 1.0  # length of an interval that still says something; others are not drawn


class DecayPicture:
    """-d log P(stable) / d log T over each decade, one panel a cell and mode."""

    name = "decay"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`decay-at` and `decay-by`; a colour for each width, or several, and the pointer names the rest."""
        labels = with_series(points).select(
            "point",
            "cell",
            "width",
            pl.format("width {}, {}", "width", "series").alias("name"),
        )
        rows = summary.join(labels, on="point", maintain_order="left").with_columns(
            pl.col("exponent", "low", "high").clip(-STEEPEST, STEEPEST)
        )
        return {
            f"decay-{mode}": _chart(rows.filter(pl.col("mode") == mode), mode)
            for mode in ("at", "by")
            if rows.filter(pl.col("mode") == mode).height
        }


def _chart(rows: pl.DataFrame, mode: str) -> ChartType:
    every = rows["cell"].unique(maintain_order=True).to_list()
    cells, left_out = every[:MOST_PANELS], len(every) > MOST_PANELS
    rows = with_width_hues(rows)
    widths = rows["hue"].unique(maintain_order=True).to_list()
    y = alt.Y("exponent:Q", title="-d log P / d log T")
    base = alt.Chart().encode(
        x=alt.X(
            "horizon:Q",
            title="end of the decade (steps)",
            scale=alt.Scale(type="log"),
            axis=alt.Axis(format="~s", tickCount=5),
        ),
        color=hue_colour(widths),
        detail="name:N",
        tooltip=tooltip("cell", "name", "since", "horizon", "share_since", "share", "exponent", "low", "high"),
    )
    half = alt.Chart(alt.InlineData(values=[{"half": 0.5}])).mark_rule(style="theory").encode(y="half:Q")
    columns = full_rows(len(cells), 7)
    shown = rows.filter(pl.col("cell").is_in(cells)).select(
        "cell", "hue", "name", "since", "horizon", "share_since", "share", "exponent", "low", "high"
    )
    return (
        alt.layer(
            half,
            base.mark_line(strokeWidth=1.4).encode(y=y),
            base.transform_filter(f"datum.high - datum.low <= {WIDEST}")
            .mark_rule(opacity=0.5)
            .encode(y=alt.Y("low:Q", title="-d log P / d log T"), y2="high:Q"),
            base.mark_point(filled=True, size=28).encode(y=y),
            data=inline(shown),
        )
        .properties(width=max(110, 760 // columns), height=190)
        .facet(alt.Facet("cell:N", sort=cells, title=None), columns=columns)
        .resolve_axis(x=own_axes(len(cells), columns))
        .properties(
            title=title(
                f"How steeply P(stable {mode} T) falls",
                f"Exponent over each decade with its 95 % interval, longer than {WIDEST:g} where there is none; "
                "dashed: 1/2, an unbiased random walk at T. One that stays is a power law; one that grows tenfold "
                "with T an exponential" + f"; the first {MOST_PANELS} of {len(every)} cells" * left_out,
            )
        )
    )


PICTURE = DecayPicture()
