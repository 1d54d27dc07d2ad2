"""Maps over gain and field: the growth rate, and how probably the gradient has vanished or exploded."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import OUTCOMES, ROW_WIDTH, inline, title, tooltip

MAPS = {"growth_rate": "growth rate", "p_vanish_at": "P(vanish)", "p_explode_at": "P(explode)"}
LARGEST = 0.5  # nats a step at which the colour is full


class PhasePicture:
    """Three maps beside each other, for every cell."""

    name = "phase"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`phase-<cell>` for each cell, one row of maps for each width and kind of weights."""
        cells = summary["cell"].unique(maintain_order=True).to_list()
        return {f"phase-{cell}": _chart(summary.filter(pl.col("cell") == cell), cell) for cell in cells}


def _chart(rows: pl.DataFrame, cell: str) -> ChartType:
    names = pl.format("{}, width {}", "weights", "width")
    several = rows["state_std"].n_unique() > 1
    panel = pl.format("{}, state std {}", names, "state_std") if several else names
    named = rows.with_columns(panel.alias("panel"))
    panels = named["panel"].unique(maintain_order=True).to_list()
    maps = [_map(named, quantity, panels) for quantity in MAPS]
    beside = [alt.hconcat(*(one[i] for one in maps)) for i in range(len(panels))]
    rows_of_maps = [one.resolve_scale(color="independent") for one in beside]
    return (
        alt.vconcat(*rows_of_maps, data=inline(_data(named)))
        .resolve_scale(color="independent")
        .properties(
            title=title(
                f"{cell}: over recurrent gain and field",
                f"After {rows['horizon'].max():,} steps; growth rate in nats a step, cut at {LARGEST:g}; the field is "
                "the deviation of the input to a pre-activation; empty: not asked, or not known as states overflowed",
            )
        )
    )


def _data(rows: pl.DataFrame) -> pl.DataFrame:
    """Each point as a rectangle that reaches halfway to the next gains of the same field."""
    gain = pl.col("gain")
    half = [(gain.shift(-1) - gain) / 2, (gain - gain.shift(1)) / 2]
    right, left = (pl.coalesce(one, other).over("panel", "field") for one, other in (half, half[::-1]))
    return rows.sort("panel", "field", "gain", maintain_order=True).select(
        "panel",
        "gain",
        (gain - left).alias("from"),
        (gain + right).alias("to"),
        pl.col("field").cast(pl.String),
        "growth_rate",
        "growth_rate_low",
        "growth_rate_high",
        "growth_median",
        "p_growing",
        "p_vanish_at",
        "p_stable_at",
        "p_explode_at",
        "theory",
    )


def _map(rows: pl.DataFrame, quantity: str, panels: list[str]) -> list[alt.Chart]:
    fields = [f"{value}" for value in sorted(set(rows["field"].to_list()))]
    if quantity == "growth_rate":
        ends = [OUTCOMES["vanish"], "#F4F4F2", OUTCOMES["explode"]]
        scale = alt.Scale(domain=[-LARGEST, 0, LARGEST], range=ends, clamp=True)
    else:
        event = quantity.removeprefix("p_").removesuffix("_at")
        scale = alt.Scale(domain=[0, 1], range=["#F4F4F2", OUTCOMES[event]])
    wide = ROW_WIDTH // 3 - 40
    return [
        alt.Chart()
        .transform_filter(alt.datum.panel == panel)
        .mark_rect(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("from:Q", title="gain", scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(grid=False)),
            x2="to:Q",
            y=alt.Y("field:O", sort=fields[::-1], title="field"),
            color=alt.Color(f"{quantity}:Q", scale=scale, legend=alt.Legend(title=MAPS[quantity], orient="right")),
            tooltip=tooltip(
                "panel",
                "gain",
                "field",
                growth_rate="growth rate (nats/step)",
                growth_rate_low="from (95 %)",
                growth_rate_high="to",
                growth_median="median rate (nats/step)",
                p_growing="share that grows",
                p_vanish_at="P(vanish)",
                p_stable_at="P(stable)",
                p_explode_at="P(explode)",
                theory="theory (nats/step)",
            ),
        )
        .properties(width=wide, height=alt.Step(20), title=alt.TitleParams(panel, fontSize=12, offset=4))
        for panel in panels
    ]


PICTURE = PhasePicture()
