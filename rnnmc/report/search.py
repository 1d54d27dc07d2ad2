"""What `rnnmc search` found, as tables for the terminal and as a figure."""

from __future__ import annotations

from collections.abc import Iterator

import altair as alt
import polars as pl
from altair.typing import ChartType
from rich.table import Table

from rnnmc.report.charts.parts import colour_and_dash, inline, title, tooltip
from rnnmc.report.terminal import frame_table


def search_tables(starts: pl.DataFrame, gates: pl.DataFrame, paths: pl.DataFrame) -> Iterator[Table]:
    """Where the ascents began and ended, what each gate is worth, and which path carries the gradient.

    The tables are those of `rnnmc.run.search.Search`.
    """
    some = {name: round(share * (starts.height - 1)) for name, share in (("first", 0), ("half", 0.5), ("last", 1))}
    shown = starts[list(some.values())].select(
        pl.Series("by where it ended", list(some)), **{"log-norm drawn": "drawn", "log-norm found": "found"}
    )
    yield frame_table(shown, "Where these three of the ascents began and ended, in nats")
    yield frame_table(gates, "The network that came furthest: its log-norm without one thing, and its gates")
    last = paths.filter(pl.col("step") == pl.col("step").max()).select("path", "log_norm")
    yield frame_table(last, "Which path carries the gradient, from the first step to the last, in nats")


def search_charts(paths: pl.DataFrame, label: str) -> dict[str, ChartType]:
    """`paths`: the log-norm of each path along the network that came furthest, step by step."""
    rows = paths.drop_nulls()
    colour, dash = colour_and_dash("path", rows["path"].unique(maintain_order=True).to_list())
    heading = title(
        f"{label}: the network that a search has found", "Spectral norm of each path from the first step on"
    )
    chart = (
        alt.Chart(inline(rows))
        .mark_line(strokeWidth=1.6)
        .encode(
            x=alt.X("step:Q", title="steps"),
            y=alt.Y("log_norm:Q", title="log-norm (nats)"),
            color=colour,
            strokeDash=dash,
            tooltip=tooltip("path", "step", "log_norm"),
        )
    )
    return {"paths": chart.properties(width=560, height=260, title=heading)}
