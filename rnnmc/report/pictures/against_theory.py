"""Measured growth rates less those of theory, against what theory says."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import PANELS_A_ROW, ROW_WIDTH, full_rows, hue_colour, inline, own_axes, title, tooltip
from rnnmc.report.hues import with_width_hues

LINEAR = 0.01  # nats a step: up to here differences are drawn to scale, beyond by their logarithm


class AgainstTheoryPicture:
    """Differences with their intervals, one panel a cell; a colour for each width, or several."""

    name = "against-theory"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`against-theory`; nothing where theory speaks of no design point."""
        if summary.is_empty():
            return {}
        table = with_width_hues(summary.rename({"difference_low": "low", "difference_high": "high"}, strict=False))
        widths = table["hue"].unique(maintain_order=True).to_list()
        cells = summary["cell"].unique(maintain_order=True).to_list()
        scale, name = alt.Scale(type="symlog", constant=LINEAR), "measured less predicted (nats/step)"
        axis = alt.Axis(values=[-1, -0.1, -0.01, 0, 0.01, 0.1, 1], format="~g")
        place = alt.Chart().encode(x=alt.X("theory:Q", title="predicted growth rate (nats/step)"))
        base = place.encode(
            color=hue_colour(widths),
            tooltip=tooltip(
                "cell",
                "width",
                "init",
                "drive",
                "weights",
                "law",
                "theory",
                growth_rate="measured",
                growth_rate_error="standard error",
                score="standard errors apart",
            ),
        )
        layers = [
            alt.Chart().mark_rule(style="theory").encode(y=alt.datum(0.0)),
            base.mark_rule(strokeWidth=1.2).encode(y=alt.Y("low:Q", title=name, scale=scale, axis=axis), y2="high:Q"),
            base.mark_point(filled=True, size=20).encode(y=alt.Y("difference:Q", title=name, scale=scale, axis=axis)),
        ]
        columns = full_rows(len(cells), PANELS_A_ROW)
        shown = table.select(
            "cell",
            "width",
            "init",
            "drive",
            "weights",
            "law",
            "growth_rate",
            "growth_rate_error",
            "theory",
            "difference",
            "low",
            "high",
            "score",
            "hue",
        )
        return {
            "against-theory": alt.layer(*layers, data=inline(shown))
            .properties(width=ROW_WIDTH // columns, height=190)
            .facet(alt.Facet("cell:N", sort=cells, title=None), columns=columns)
            .resolve_axis(x=own_axes(len(cells), columns))
            .properties(
                title=title(
                    "Measured growth rate less that of infinitely many units",
                    f"Dots with 95 % intervals, to scale up to {LINEAR:g} and by the logarithm beyond; what lies off "
                    "the dashed line by more than its interval is what a finite width does, or a rate that has not "
                    "settled",
                )
            )
        }


PICTURE = AgainstTheoryPicture()
