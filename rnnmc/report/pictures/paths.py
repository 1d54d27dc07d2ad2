"""How fast each path grows: the joint chain, the article's c-path, the main terms alone, and a published mistake."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.observables.paths import C_PATH, H_ONLY, JOINT, MAIN_TERM
from rnnmc.report.charts.parts import ROW_WIDTH, SERIES, dots, facet, horizon_axis, inline, own_axes, title, tooltip
from rnnmc.report.text import points_of, with_series

MISTAKE = "h-block alone (published mistake)"
NAMES = {JOINT: "joint chain", C_PATH: "c-path (the article's)", MAIN_TERM: "main terms alone", H_ONLY: MISTAKE}
MOST_PANELS = 12


class PathsPicture:
    """Median log-norm a step of each path against the horizon."""

    name = "paths"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`paths-<cell>` for each cell, one panel a design point, one curve a path.

        summary: rows of `PathsSummary.summarise`. Medians that are not finite (dead, overflown) are left out.
        """
        curves = (
            summary.filter(pl.col("measure") == "log_spectral", pl.col("path").is_in(list(NAMES)))
            .with_columns(pl.col("q05", "q50", "q95") / pl.col("horizon"), name=pl.col("path").replace(NAMES))
            .filter(pl.col("q50").is_finite())
        )
        return {f"paths-{cell}": _chart(rows, cell) for cell, rows in by_cell(curves, points).items()}


def by_cell(rows: pl.DataFrame, points: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """cell -> its rows with a column `panel`, the design point in words, in the order of `points`.

    rows: of any design points, told apart by `point`; cells without rows are left out.
    """
    several = pl.lit(points["width"].n_unique() > 1)
    panel = pl.when(several).then(pl.format("width {}, {}", "width", "series")).otherwise(pl.col("series"))
    named = with_series(points_of(rows, points)).select("point", "cell", panel.alias("panel")).with_row_index("order")
    joined = rows.with_columns(pl.col("point").cast(pl.String)).join(named, on="point")
    ordered = joined.sort("order", maintain_order=True)
    return {str(cell): of_cell for (cell,), of_cell in ordered.group_by("cell", maintain_order=True)}


def in_panels(
    layers: list[alt.Chart], rows: pl.DataFrame, width: int, height: int, text: str, subtitle: str
) -> ChartType:
    """The layers once for each `panel` of `rows`, in that order, at most MOST_PANELS; no narrower than `width`."""
    names = rows["panel"].unique(maintain_order=True).to_list()
    shown = names[:MOST_PANELS]
    if shown != names:
        subtitle += f"; the first {MOST_PANELS} of {len(names)} design points"
    lines = -(-len(shown) // (ROW_WIDTH // width))
    columns = -(-len(shown) // lines)
    return (
        alt.layer(*layers, data=inline(rows.filter(pl.col("panel").is_in(shown))))
        .properties(width=min(420, ROW_WIDTH // columns), height=height)
        .facet(
            facet(shown),
            columns=columns,
            spacing=12,
        )
        .resolve_axis(x=own_axes(len(shown), columns))
        .properties(title=title(text, subtitle))
    )


def _chart(curves: pl.DataFrame, cell: str) -> ChartType:
    present = [name for name in NAMES.values() if name in set(curves["name"])]
    hue = dict(zip(NAMES.values(), SERIES, strict=False))
    legend = alt.Legend(title=None, orient="top", columns=4)
    y = alt.Y("q50:Q", title="median log-norm / horizon (nats/step)", scale=alt.Scale(zero=False))
    line = (
        alt.Chart()
        .mark_line(strokeWidth=1.9, point=dots(curves))
        .encode(
            x=horizon_axis(curves),
            y=y,
            color=alt.Color(
                "name:N", scale=alt.Scale(domain=present, range=[hue[name] for name in present]), legend=legend
            ),
            strokeDash=alt.StrokeDash(
                "name:N",
                scale=alt.Scale(domain=present, range=[[5, 4] if name == MISTAKE else [1, 0] for name in present]),
                legend=legend,
            ),
            tooltip=tooltip("panel", "name", "horizon", q50="median (nats/step)", q05="5 %", q95="95 %"),
        )
    )
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(opacity=0.5).encode(y="zero:Q")
    table = curves.select("panel", "name", "horizon", "q05", "q50", "q95")
    subtitle = "Spectral norm, median over replicates"
    if MISTAKE in present:
        subtitle += "; dashed: what comes of filling in the h -> h block of each step alone"
    return in_panels([zero, line], table, 190, 190, f"{cell}: how fast each path grows", subtitle)


PICTURE = PathsPicture()
