"""Figures of the article's claims: where every estimate lies, with its interval, and on which side of its bound."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.claims import CONDITIONS, EMPTY, FAILS, HOLDS, UNDECIDED
from rnnmc.report.charts.parts import OUTCOMES, ROW_WIDTH, SERIES, inline, title, tooltip

COLOURS = {HOLDS: SERIES[1], FAILS: OUTCOMES["explode"], UNDECIDED: OUTCOMES["stable"], EMPTY: SERIES[4]}


def charts(decided: pl.DataFrame) -> dict[str, ChartType]:
    """`claim-<number>` for each claim that `rnnmc.claims.decide` has rows of, one panel a part."""
    found = {}
    for (claim, states), own in decided.group_by("claim", "states", maintain_order=True):
        present = [kind for kind in COLOURS if kind in set(own["verdict"].to_list())]
        parts = [_part(part, present) for _, part in own.group_by("part", maintain_order=True)]
        heading = title(
            f"{claim}: {states.rstrip('.')}",
            "One mark a condition with its interval, which misses with a probability of at most "
            f"{own['false_alarm'].max():.1g}; dashed: the bound; the pointer names the condition",
            width=120,
        )
        found[f"claim-{claim}"] = alt.vconcat(*parts, spacing=14).properties(title=heading)
    return found


def _part(part: pl.DataFrame, present: list[str]) -> ChartType:
    first = part.row(0, named=True)
    places = [name for name in ("cell", "width", "term", "path") if part[name].n_unique() > 1] or ["width"]
    words = [pl.format("width {}", name) if name == "width" else pl.col(name) for name in places]
    told = [name for name in CONDITIONS if part[name].is_not_null().any()]
    # An interval may reach to infinity, and one wide one should not hide where the others lie.
    ends = sorted([*part["value"].to_list(), first["bound"]])
    reach = max(ends[-1] - ends[0], 1e-3)
    least, most = ends[0] - reach, ends[-1] + reach
    table = part.select(
        pl.concat_str(words, separator=", ").alias("place"),
        *told,
        "verdict",
        "value",
        "low",
        "high",
        "replicates",
        pl.col("low").clip(least, most).alias("from"),
        pl.col("high").clip(least, most).alias("to"),
        ((pl.int_range(pl.len()) + 0.5) / pl.len()).over(*places).alias("order"),
    )
    order = table["place"].unique(maintain_order=True).to_list()
    base = alt.Chart().encode(
        y=alt.Y("place:N", sort=order, title=None, axis=alt.Axis(labelLimit=260)),
        yOffset=alt.YOffset("order:Q", scale=alt.Scale(domain=[0, 1], zero=False, nice=False)),
        color=alt.Color(
            "verdict:N",
            scale=alt.Scale(domain=present, range=[COLOURS[kind] for kind in present]),
            legend=alt.Legend(title=None, orient="top"),
        ),
        tooltip=tooltip(*told, "verdict", "value", "low", "high", "replicates"),
    )
    axis = alt.Axis(tickCount=8, labelOverlap=True)
    x = alt.X("from:Q", title=first["quantity"], axis=axis, scale=alt.Scale(zero=False, nice=True))
    bound = alt.Chart(alt.InlineData(values=[{"bound": first["bound"]}])).mark_rule(style="theory").encode(x="bound:Q")
    return alt.layer(
        bound,
        base.mark_rule(strokeWidth=1.3, opacity=0.8).encode(x=x, x2="to:Q"),
        base.mark_point(filled=True, size=16, opacity=1).encode(x=alt.X("value:Q", title=first["quantity"], axis=axis)),
        data=inline(table),
    ).properties(
        width=ROW_WIDTH - 120,
        height=max(40, 16 * len(order), min(900, 4 * part.height)),
        title=alt.TitleParams(f"{first['says'][0].upper()}{first['says'][1:]}", fontSize=12, offset=4),
    )
