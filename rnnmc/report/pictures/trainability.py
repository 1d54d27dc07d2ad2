"""The share of networks that learn against the probability that their gradient stays."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import PANELS_A_ROW, ROW_WIDTH, hue_colour, inline, own_axes, title, tooltip
from rnnmc.report.hues import few, ordered_hues

QUARTERS = 4  # of the range of P(stable by T), over each of which the curve is a mean
SAID = {"yes": "clipped", "no": "not clipped"}


class TrainabilityPicture:
    """One mark a design point with both its intervals; one panel a task and T, a row of them with clipping."""

    name = "trainability"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`trainability-clipped` and `trainability-plain`, of those that there are."""
        return {
            f"trainability-{'clipped' if clipped == 'yes' else 'plain'}": _chart(rows, str(clipped))
            for (clipped,), rows in summary.group_by("clipped", maintain_order=True)
        }


def _chart(rows: pl.DataFrame, clipped: str) -> ChartType:
    task = pl.col("drive").str.split(",").list.first().str.replace(r" \d+\b", "")  # T is said beside it
    shown = (
        rows.sort(task, "horizon", maintain_order=True)
        .with_columns(
            pl.format("{}, T = {}", task, "horizon").alias("panel"),
            pl.col("p_stable").mul(QUARTERS).floor().clip(0, QUARTERS - 1).alias("bin"),
        )
        .with_columns(
            pl.col("p_stable", "p_learnt").mean().over("panel", "bin").name.prefix("mean_"),
        )
    )
    shown = shown.with_columns(pl.Series("hue", few(shown["cell"].to_list())))
    hues = ordered_hues(shown)
    panels = shown["panel"].unique(maintain_order=True).to_list()
    columns = min(rows["horizon"].n_unique(), PANELS_A_ROW)  # a task a row
    unit = alt.Scale(domain=[0, 1])
    x, y = (
        lambda name: alt.X(f"{name}:Q", title="P(stable by T) at initialisation", scale=unit),
        lambda name: alt.Y(f"{name}:Q", title="share that has learnt", scale=unit),
    )
    base = alt.Chart().encode(
        color=hue_colour(hues),
        tooltip=tooltip("cell", "width", "init", "p_stable", "p_learnt", "trained", "rank_correlation"),
    )
    return (
        alt.layer(
            alt.Chart().mark_line(style="theory").encode(x=x("mean_p_stable"), y=y("mean_p_learnt")),
            base.mark_rule(opacity=0.35).encode(x=x("p_stable"), y=y("p_learnt_low"), y2="p_learnt_high:Q"),
            base.mark_rule(opacity=0.35).encode(x=x("p_stable_low"), x2="p_stable_high:Q", y=y("p_learnt")),
            base.mark_point(filled=True, size=34, opacity=0.8).encode(x=x("p_stable"), y=y("p_learnt")),
            data=inline(shown.drop("drive", "horizon", "clipped", "bin", "point")),
        )
        .properties(width=ROW_WIDTH // columns, height=190)
        .facet(alt.Facet("panel:N", sort=panels, title=None), columns=columns)
        .resolve_axis(x=own_axes(len(panels), columns))
        .properties(
            title=title(
                f"Who learns, gradients {SAID[clipped]}",
                "One mark a design point with 95 % intervals both ways; dashed: the mean over the points of each "
                "quarter of P(stable by T), where there are any",
            )
        )
    )


PICTURE = TrainabilityPicture()
