"""The gain at which gradients turn from vanishing to exploding, against the width."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.chart_parts import inline, series_scale, title, tooltip


class OnsetPicture:
    """Onset gain with its interval against the width, one panel a cell."""

    name = "onset"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`onset`; nothing where no set of points has a growth rate that changes sign."""
        found = summary.drop_nulls("onset")
        if found.is_empty():
            return {}
        words = [pl.col("weights")]
        for name, word in (("drive", "drive {}"), ("field", "field {}"), ("state_std", "state std {}")):
            if summary[name].n_unique() > 1:
                words.append(pl.format(word, pl.col(name).fill_null("-") if name == "drive" else pl.col(name)))
        table = found.with_columns(pl.concat_str(words, separator=", ").alias("series"))
        series = table["series"].unique(maintain_order=True).to_list()
        cells = table["cell"].unique(maintain_order=True).to_list()
        base = alt.Chart().encode(
            x=alt.X("width:O", title="width", axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("series:N", sort=series),
            color=alt.Color(
                "series:N",
                sort=series,
                scale=series_scale(series),
                legend=alt.Legend(title=None, orient="top", columns=4),
            ),
            tooltip=tooltip("cell", "width", "series", "onset", "low", "high", "theory"),
        )
        y = alt.Y("low:Q", title="onset gain", scale=alt.Scale(zero=False))
        layers = [
            base.mark_rule(strokeWidth=1.6).encode(y=y, y2="high:Q"),
            base.mark_point(filled=True, size=34).encode(y=alt.Y("onset:Q", title="onset gain")),
        ]
        if table["theory"].is_not_null().any():
            known = base.transform_filter("isValid(datum.theory)").encode(y="theory:Q", color=alt.value(None))
            layers.append(known.mark_point(style="theory-point"))
        columns = min(len(cells), 4)
        shown = table.select("cell", "width", "series", "onset", "low", "high", "theory")
        return {
            "onset": alt.layer(*layers, data=inline(shown))
            .properties(width=max(120, 760 // columns), height=180)
            .facet(alt.Facet("cell:N", sort=cells, title=None), columns=columns)
            .properties(
                title=title(
                    "The gain at which the growth rate turns positive",
                    "Zero of the curve through the gains about it, with its 95 % interval; diamonds: theory",
                )
            )
        }


PICTURE = OnsetPicture()
