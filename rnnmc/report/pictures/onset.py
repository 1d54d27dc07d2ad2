"""The gain at which gradients turn from vanishing to exploding, against what drives the network."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import full_rows, hue_colour, inline, own_axes, title, tooltip
from rnnmc.report.hues import few
from rnnmc.statistics.analyses.analysis import completed
from rnnmc.statistics.analyses.onset import SCHEMA, bounds_text, situation


class OnsetPicture:
    """Onset gain with its interval by drive, one panel a cell; a colour for each width and kind of weights.

    Open where the mean rate turns more than once; a tick is the onset of the median.
    """

    name = "onset"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`onset`; nothing where no set of points has a growth rate that changes sign."""
        summary = completed(summary, SCHEMA)
        table = summary.drop_nulls("onset").with_columns(
            pl.col("turns").fill_null(1),
            situation().alias("driven"),
            pl.format("{}, width {}", "weights", "width").alias("series"),
            pl.coalesce("low", "below").alias("from"),
            pl.coalesce("high", "above").alias("to"),
            pl.Series("interval", [bounds_text(*ends) for ends in summary.drop_nulls("onset")["low", "high"].rows()]),
        )
        if table.is_empty():
            return {}
        by_width = table.sort("weights", "width")["series"].unique(maintain_order=True).to_list()
        hues = dict(zip(by_width, few(by_width), strict=True))
        table = table.with_columns(hue=pl.col("series").replace(hues))
        series = list(dict.fromkeys(hues.values()))
        driven = table.sort("field", "state_std")["driven"].unique(maintain_order=True).to_list()
        cells = table["cell"].unique(maintain_order=True).to_list()
        name = "onset gain"
        place = alt.Chart().encode(
            x=alt.X("driven:N", sort=driven, title="drive", axis=alt.Axis(labelAngle=0 if len(driven) < 3 else -40)),
            xOffset=alt.XOffset("series:N", sort=by_width),
            tooltip=tooltip(
                "cell", "width", "driven", "series", "onset", "interval", "turns", "median_onset", "theory"
            ),
        )
        base = place.encode(color=hue_colour(series))
        layers = [
            base.mark_rule(strokeWidth=1.6).encode(
                y=alt.Y("from:Q", title=name, scale=alt.Scale(zero=False)), y2="to:Q"
            ),
        ]
        for filled, own in ((True, pl.col("turns") <= 1), (False, pl.col("turns") > 1)):
            if table.filter(own).is_empty():  # an empty layer has no extent
                continue
            mark = base.transform_filter(f"datum.turns {'<=' if filled else '>'} 1").mark_point(filled=filled, size=34)
            layers.append(mark.encode(y=alt.Y("onset:Q", title=name)))
        if table["median_onset"].is_not_null().any():
            known = base.transform_filter("isValid(datum.median_onset)")
            layers.append(known.mark_tick(size=9, thickness=1.4).encode(y=alt.Y("median_onset:Q", title=name)))
        if table["theory"].is_not_null().any():
            known = place.transform_filter("isValid(datum.theory)")
            layers.append(known.mark_point(style="theory-point").encode(y=alt.Y("theory:Q", title=name)))
        columns = full_rows(len(cells), 3)
        shown = table.select("cell", "width", "driven", "series", "hue", "onset", "interval", "from", "to", "turns")
        shown = shown.with_columns(table["median_onset"], table["theory"])
        return {
            "onset": alt.layer(*layers, data=inline(shown))
            .properties(width=max(160, 780 // columns), height=230)
            .facet(alt.Facet("cell:N", sort=cells, title=None), columns=columns)
            .resolve_axis(x=own_axes(len(cells), columns))
            .properties(
                title=title(
                    "The gain at which the growth rate turns positive",
                    "Zero of the curve through the gains about it, with its 95 % interval; open: the mean turns more "
                    "than once; tick: onset of the median; diamonds: theory of large width; a field is given with its "
                    "deviation",
                    width=135,
                )
            )
        }


PICTURE = OnsetPicture()
