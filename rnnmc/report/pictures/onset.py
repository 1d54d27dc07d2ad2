"""The gain at which gradients turn from vanishing to exploding, against what drives the network."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import inline, series_scale, title, tooltip
from rnnmc.statistics.analyses.onset import situation


class OnsetPicture:
    """Onset gain with its interval by drive, one panel a cell; a colour for each width and kind of weights."""

    name = "onset"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`onset`; nothing where no set of points has a growth rate that changes sign."""
        table = summary.drop_nulls("onset").with_columns(
            situation().alias("driven"),
            pl.format("{}, width {}", "weights", "width").alias("series"),
        )
        if table.is_empty():
            return {}
        series = table.sort("weights", "width")["series"].unique(maintain_order=True).to_list()
        driven = table.sort("field", "state_std")["driven"].unique(maintain_order=True).to_list()
        cells = table["cell"].unique(maintain_order=True).to_list()
        name = "onset gain"
        place = alt.Chart().encode(
            x=alt.X("driven:N", sort=driven, title="drive", axis=alt.Axis(labelAngle=0 if len(driven) < 3 else -40)),
            xOffset=alt.XOffset("series:N", sort=series),
            tooltip=tooltip("cell", "width", "driven", "series", "onset", "low", "high", "theory"),
        )
        legend = alt.Legend(title=None, orient="top", columns=5)
        base = place.encode(color=alt.Color("series:N", sort=series, scale=series_scale(series), legend=legend))
        layers = [
            base.mark_rule(strokeWidth=1.6).encode(
                y=alt.Y("low:Q", title=name, scale=alt.Scale(zero=False)), y2="high:Q"
            ),
            base.mark_point(filled=True, size=34).encode(y=alt.Y("onset:Q", title=name)),
        ]
        if table["theory"].is_not_null().any():
            known = place.transform_filter("isValid(datum.theory)")
            layers.append(known.mark_point(style="theory-point").encode(y=alt.Y("theory:Q", title=name)))
        columns = min(len(cells), 3)
        shown = table.select("cell", "width", "driven", "series", "onset", "low", "high", "theory")
        return {
            "onset": alt.layer(*layers, data=inline(shown))
            .properties(width=max(160, 780 // columns), height=230)
            .facet(alt.Facet("cell:N", sort=cells, title=None), columns=columns)
            .properties(
                title=title(
                    "The gain at which the growth rate turns positive",
                    "Zero of the curve through the gains about it, with its 95 % interval; diamonds: theory of large "
                    "width; a field is given with its deviation",
                )
            )
        }


PICTURE = OnsetPicture()
