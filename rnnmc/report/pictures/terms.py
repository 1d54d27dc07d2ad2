"""How large the terms of the Jacobian are beside the main one."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.observables.terms import MAIN
from rnnmc.report.charts.parts import SERIES, tooltip
from rnnmc.report.pictures.paths import by_cell, in_panels
from rnnmc.statistics.summaries.terms import QUANTILES

SMALLEST, LARGEST = 1e-4, 100.0  # ratios shown; what lies beyond sits at the edge


class TermsPicture:
    """Quantiles of the ratio of each term to the main one, over the last steps."""

    name = "terms"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`terms-<cell>` for each cell, one panel a design point, one bar a term; rows of `TermsSummary.summarise`."""
        last = summary.filter(pl.col("horizon") == pl.col("horizon").max().over("point"))
        return {f"terms-{cell}": _chart(rows, cell) for cell, rows in by_cell(last, points).items()}


def _chart(rows: pl.DataFrame, cell: str) -> ChartType:
    terms = rows["term"].unique(maintain_order=True).to_list()
    of_main = pl.when(pl.col("term") == MAIN).then(1.0)
    table = rows.select(
        "panel",
        "term",
        *(of_main.otherwise(pl.col(name)).clip(SMALLEST, LARGEST).alias(name) for name in QUANTILES),
        pl.Series("largest", [_percent(share) for share in rows["share_largest"]]),
    )
    axis = alt.Axis(format="~g", labelOverlap=True, values=[1e-4, 1e-3, 1e-2, 0.1, 1])
    x = {"scale": alt.Scale(type="log", domain=[SMALLEST, LARGEST]), "title": "size relative to the main term"}
    base = alt.Chart().encode(
        y=alt.Y("term:N", sort=terms, title=None, axis=alt.Axis(ticks=False, domain=False)),
        color=alt.Color("term:N", scale=alt.Scale(domain=terms, range=SERIES[: len(terms)]), legend=None),
        tooltip=tooltip("panel", "term", *QUANTILES, largest="is the largest in"),
    )
    one = alt.Chart(alt.InlineData(values=[{"one": 1}])).mark_rule(opacity=0.5)
    layers = [
        one.encode(x=alt.X("one:Q", axis=axis, **x)),
        base.mark_rule(strokeWidth=1.6).encode(x=alt.X("q05:Q", axis=axis, **x), x2="q95:Q"),
        base.mark_rule(strokeWidth=7).encode(x=alt.X("q25:Q", axis=axis, **x), x2="q75:Q"),
        base.mark_point(filled=True, size=40, stroke="white", strokeWidth=1, opacity=1).encode(
            x=alt.X("q50:Q", axis=axis, **x)
        ),
        base.mark_text(align="right", dx=-4).encode(x=alt.value("width"), text="largest:N"),
    ]
    subtitle = (
        f"Median, middle half and 5-95 % over units, replicates and {_steps(rows)}; right: how often it is the largest"
    )
    text = f"{cell}: how large each term is beside the main one"
    return in_panels(layers, table, 260, 24 * len(terms), text, subtitle)


def _percent(share: float | None) -> str:
    """`4.2 %`; only what never happened is 0."""
    if share is None:
        return ""
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.3g} %"


def _steps(rows: pl.DataFrame) -> str:
    if rows.select(pl.struct("since", "horizon").n_unique()).item() > 1:
        return "the last steps"
    return f"steps {rows['since'][0] + 1:,} to {rows['horizon'][0]:,}"


PICTURE = TermsPicture()
