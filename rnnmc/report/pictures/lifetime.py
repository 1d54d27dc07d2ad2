"""After how many steps half of the networks, and 99 of 100, have lost the gradient or blown it up."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import OUTCOMES, full_rows, inline, own_axes, title, tooltip
from rnnmc.report.text import lifetime_text, with_series


class LifetimePicture:
    """A bar from the horizon by which half have left to that by which 99 of 100 have, one a design point."""

    name = "lifetime"

    def charts(self, summary: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
        """`lifetime-<cell>` for each cell, by width; the colour says which way they leave."""
        # A chart is of one cell: its labels say what varies there.
        labelled = [with_series(own) for own in points.partition_by("cell", maintain_order=True)]
        labels = pl.concat(own.select("point", "cell", "width", "series", "horizon") for own in labelled)
        rows = summary.join(labels, on="point", maintain_order="left")
        half, most = (_ends(rows, percent, name) for percent, name in ((50, "half"), (99, "most")))
        wide = rows.filter(pl.col("percent") == 50).select("point", "cell", "width", "series", "horizon", "vanished")
        table = wide.join(half, on="point", maintain_order="left").join(most, on="point", maintain_order="left")
        cells = table["cell"].unique(maintain_order=True).to_list()
        return {f"lifetime-{cell}": _chart(table.filter(pl.col("cell") == cell), cell) for cell in cells}


def _ends(rows: pl.DataFrame, percent: int, name: str) -> pl.DataFrame:
    """When so many have left: `<name>`, its bounds `<name>_from` and `<name>_to`, and all as `<name>_text`.

    What is beyond the last horizon is put there. A bound that is, of what is not, is none: `<name>_to` is then at
    `<name>`, and so is `<name>_open`, which is null elsewhere.
    """
    own = rows.filter(pl.col("percent") == percent)
    words = [lifetime_text(row, row["horizon"]) for row in own.iter_rows(named=True)]
    return own.select(
        "point",
        pl.col("by").alias(name),
        pl.col("earliest").fill_null(pl.col("horizon")).alias(f"{name}_from"),
        pl.coalesce("latest", "by", "horizon").alias(f"{name}_to"),
        pl.when(pl.col("latest").is_null()).then("by").alias(f"{name}_open"),
        pl.Series(f"{name}_text", words, dtype=pl.String),
    )


def _chart(rows: pl.DataFrame, cell: str) -> ChartType:
    last = int(rows["horizon"].max())  # pyright: ignore[reportArgumentType]
    series = rows["series"].unique(maintain_order=True).to_list()
    table = rows.with_columns(
        pl.col("half").fill_null(pl.col("horizon")).alias("from"),
        pl.col("most").fill_null(pl.col("horizon")).alias("to"),
        pl.when(pl.col("half").is_null())
        .then(pl.lit("more than half stay"))
        .when(pl.col("vanished") > 0.5)
        .then(pl.lit("most vanish"))
        .otherwise(pl.lit("most explode"))
        .alias("way"),
    )
    names = {
        "most vanish": OUTCOMES["vanish"],
        "most explode": OUTCOMES["explode"],
        "more than half stay": OUTCOMES["stable"],
    }
    present = [name for name in names if name in set(table["way"].to_list())]
    base = alt.Chart().encode(
        y=alt.Y("series:N", sort=series, title=None, axis=alt.Axis(labelLimit=0)),
        color=alt.Color(
            "way:N",
            scale=alt.Scale(domain=present, range=[names[name] for name in present]),
            legend=alt.Legend(title=None, orient="top", symbolOpacity=1),
        ),
        tooltip=tooltip(
            "width",
            "series",
            "way",
            half_text="half have left by",
            most_text="99 % have left by",
            vanished="share of them that vanished",
        ),
    )
    scale = alt.Scale(type="log", domain=[1, last], nice=False)
    axis = alt.Axis(format="~s", values=[10**k for k in range(7) if 10**k <= last])
    x = alt.X("from:Q", title="steps", scale=scale, axis=axis)
    widths = sorted(set(table["width"].to_list()))
    columns = full_rows(len(widths), 4)
    bounds = [f"{name}_{end}" for name in ("half", "most") for end in ("from", "to", "open", "text")]
    shown = table.select("width", "series", "from", "to", "way", *bounds, "vanished").with_columns(
        pl.format("width {}", "width").alias("panel")
    )
    sampling = [
        base.mark_rule(strokeWidth=6, opacity=0.35).encode(x=alt.X(f"{name}_from:Q", scale=scale), x2=f"{name}_to:Q")
        for name in ("half", "most")
    ]
    unbounded = [
        base.mark_point(shape="triangle-right", filled=True, size=40, opacity=0.6, xOffset=9).encode(
            x=alt.X(f"{name}_open:Q", scale=scale)
        )
        for name in ("half", "most")
        if shown[f"{name}_open"].is_not_null().any()
    ]
    return (
        alt.layer(
            *sampling,
            *unbounded,
            base.mark_rule(strokeWidth=2.2).encode(x=x, x2="to:Q"),
            base.mark_point(filled=True, size=46).encode(x=alt.X("from:Q", title="steps", scale=scale, axis=axis)),
            base.mark_tick(thickness=2, height={"band": 0.6}).encode(
                x=alt.X("to:Q", title="steps", scale=scale, axis=axis)
            ),
            data=inline(shown),
        )
        .properties(width=max(150, 720 // columns), height=alt.Step(14))
        .facet(alt.Facet("panel:N", sort=[f"width {width}" for width in widths], title=None), columns=columns)
        .resolve_axis(x=own_axes(len(widths), columns))
        .properties(
            title=title(
                f"{cell}: when the gradient is lost or blown up",
                "Dot: half of the networks have left the thresholds; tick: 99 of 100; at the last horizon if not yet; "
                "broad and pale: where these would be with infinitely many networks, at 95 %, "
                "with an arrow at any later step",
            )
        )
    )


PICTURE = LifetimePicture()
