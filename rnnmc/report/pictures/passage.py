"""When the norm passes each threshold first."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import OUTCOMES, PANELS_A_ROW, ROW_WIDTH, facet, inline, own_axes, title, tooltip
from rnnmc.report.text import points_of, with_series

SHARES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
PALEST = 0.65  # share of white in the colour of the farthest threshold


class PassagePicture:
    """The share of replicates whose spectral norm has passed each threshold, against the step."""

    name = "passage"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`passage-<cell>` for each cell: one panel a design point, one colour a threshold."""
        points = with_series(points_of(summary, points))
        curves = (
            summary.filter(pl.col("measure") == "log_spectral")
            .with_columns(pl.col("point").cast(pl.String))
            .join(points.select("point", "cell", "width", "series", pl.col("horizon").alias("last")), on="point")
            .with_columns(
                panel=pl.format("width {}, {}", "width", "series"),
                label=pl.concat_str(
                    "direction", pl.col("threshold").map_elements("{:g}".format, pl.String), separator=" "
                ),
            )
            .sort("width", "series", maintain_order=True)
        )
        cells = points["cell"].unique(maintain_order=True).to_list()
        by_cell = {cell: curves.filter(pl.col("cell") == cell) for cell in cells}
        return {f"passage-{cell}": _chart(rows, cell) for cell, rows in by_cell.items() if len(rows)}


def _chart(curves: pl.DataFrame, cell: str) -> ChartType:
    corners = [corner for row in curves.iter_rows(named=True) for corner in _corners(row)]
    panels = curves["panel"].unique(maintain_order=True).to_list()
    colours = _colours(curves)
    chart = (
        alt.Chart(inline(pl.DataFrame(corners)))
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X(
                "step:Q",
                scale=alt.Scale(type="log", domain=[1, max(2, *curves["last"].to_list())], nice=False),
                title="step",
                axis=alt.Axis(values=[10**k for k in range(10)], format=","),
            ),
            y=alt.Y("share:Q", scale=alt.Scale(domain=[0, 1], nice=False), title="share that has passed"),
            color=alt.Color(
                "label:N",
                scale=alt.Scale(domain=list(colours), range=list(colours.values())),
                sort=list(colours),
                legend=alt.Legend(title=None, orient="top", columns=4, symbolOpacity=1),
            ),
            tooltip=tooltip("panel", "label", "step", share="share that has passed"),
        )
    )
    columns = min(PANELS_A_ROW, len(panels))
    return (
        chart.properties(width=ROW_WIDTH // columns, height=150)
        .facet(facet(panels), columns=columns)
        .resolve_axis(x=own_axes(len(panels), columns))
        .properties(
            title=title(
                f"{cell}: when the spectral norm first is below, or above, each threshold",
                "Exact at the first and last passage and at 5, 25, 50, 75 and 95 % of the replicates, straight between",
            )
        )
    )


def _corners(row: dict) -> list[dict]:
    """The known points of one curve."""
    known = [(row["smallest"], 1 / row["replicates"]), *((row[name], share) for name, share in SHARES.items())]
    known.append((row["largest"], row["p_passed"]))
    known = sorted((step, share) for step, share in known if step is not None and share <= row["p_passed"])
    first = known[0][0] if known else row["last"]
    corners = [(1, 0.0), (max(first - 1, 1), 0.0), *known, (row["last"], row["p_passed"])]
    return [{"panel": row["panel"], "label": row["label"], "step": step, "share": share} for step, share in corners]


def _colours(curves: pl.DataFrame) -> dict[str, str]:
    """Label -> colour, of its direction and the paler the farther the threshold."""
    found = {}
    for direction, outcome, descending in (("below", "vanish", True), ("above", "explode", False)):
        of_side = curves.filter(pl.col("direction") == direction).sort("threshold", descending=descending)
        labels = of_side["label"].unique(maintain_order=True).to_list()
        for i, label in enumerate(labels):
            found[label] = _paler(OUTCOMES[outcome], PALEST * i / max(len(labels) - 1, 1))
    return found


def _paler(colour: str, white: float) -> str:
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(one + (255 - one) * white):02x}" for one in channels)


PICTURE = PassagePicture()
