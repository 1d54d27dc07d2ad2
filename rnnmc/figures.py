"""The figures of a study as Altair charts, and rendered as SVG and PNG.

All show the spectral norm, with the same three colours for vanished, stable and exploded everywhere. A chart
carries no more than it draws: the few columns it needs, as CSV text with rounded numbers. Infinite log-norms
sit at the edge of their panel under a mark of their own; undefined numbers are left out.
"""

import math

import altair as alt
import polars as pl
import vl_convert
from altair.typing import ChartType

from rnnmc.chart_parts import (
    OUTCOMES,
    ROW_WIDTH,
    band,
    colour,
    config,
    dots,
    horizon_axis,
    inline,
    interval_text,
    nats_ticks,
    panel_width,
    panels,
    thresholds_text,
    title,
    tooltip,
    unless_other_picked,
    widths,
)
from rnnmc.tables import event_text, horizon_text, log_norm_text, main_rows, rate_text, with_series

AT, BY = "at", "first, by"
ALL, SURVIVORS, UNKNOWN = "all", "survivors", "unknown"
REMARKS = {
    SURVIVORS: "open: of the survivors only, as some died",
    UNKNOWN: "triangles: not known, as replicates overflowed",
}
VL_VERSION = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def charts(statistics: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
    """Every figure of a study by name, in the order of the page.

    statistics: rows of `rnnmc.statistics.point_statistics`; points: rows of points.parquet. Names: overview,
    probability-<cell> and log-norm-<cell> for each cell, growth-rate (absent where no horizon is ten times
    another).
    """
    points = with_series(points)
    series = points["series"].unique(maintain_order=True).to_list()
    rows = main_rows(statistics, points.drop("series"))
    curves = (
        statistics.filter(pl.col("measure").cast(pl.String) == "log_spectral")
        .with_columns(pl.col("point").cast(pl.String))
        .join(points.select("point", "cell", "width", "series"), on="point")
        .sort("width", "series", "horizon")
        .with_columns(("width " + pl.col("width").cast(pl.String)).alias("panel"))
    )
    figures: dict[str, ChartType] = {"overview": overview(rows, series)}
    for cell in rows["cell"].unique(maintain_order=True).to_list():
        of_cell = curves.filter(pl.col("cell") == cell)
        figures[f"probability-{cell}"] = probability(of_cell, cell, series)
        figures[f"log-norm-{cell}"] = log_norm(of_cell, cell, series)
    if rows["growth_rate"].is_not_null().any():
        figures["growth-rate"] = growth_rate(rows, series)
    return figures


def rendered(figures: dict[str, ChartType]) -> dict[str, bytes]:
    """Every chart as `<name>.svg` and `<name>.png` (scale 1.5, on white): file name -> content."""
    files = {}
    for name, chart in figures.items():
        svg = vl_convert.vegalite_to_svg(chart.to_dict(validate=False), vl_version=VL_VERSION, config=config("#22262b"))
        files[f"{name}.svg"] = svg.encode()
        files[f"{name}.png"] = vl_convert.svg_to_png(svg, scale=1.5)
    return files


def overview(rows: pl.DataFrame, series: list[str]) -> ChartType:
    """Shares of vanished, stable and exploded replicates at the last horizon, one bar a point.

    rows: `rnnmc.tables.main_rows`. Columns of panels are cells, rows of panels widths; the dark marks on a
    bar are the intervals of P(vanish), counted from the left, and of P(explode), counted from the right.
    """
    cells = rows["cell"].unique(maintain_order=True).to_list()
    records = [record for row in rows.iter_rows(named=True) for record in _stack(row)]
    # Without a row for every panel, empty ones included, Vega-Lite draws the others in the wrong places.
    records += [{"cell": cell, "panel": panel, "series": series[0]} for cell in cells for panel in panels(rows)]
    base = alt.Chart(inline(pl.DataFrame(records, infer_schema_length=None))).encode(
        y=alt.Y("series:N", sort=series, title=None, axis=alt.Axis(labelLimit=320, ticks=False, domain=False)),
        tooltip=tooltip("cell", "panel", "series", "outcome", P="probability", norm="log-norm (nats)"),
    )
    bars = base.mark_bar(height={"band": 0.82}).encode(
        x=alt.X(
            "from:Q",
            scale=alt.Scale(domain=[0, 1], nice=False),
            title="share of replicates",
            axis=alt.Axis(values=[0, 0.5, 1], format="~%", grid=False),
        ),
        x2="to:Q",
        color=alt.Color(
            "outcome:N",
            scale=alt.Scale(domain=list(OUTCOMES), range=list(OUTCOMES.values())),
            legend=alt.Legend(title=None, orient="top", symbolType="square"),
        ),
    )
    marks = base.transform_filter("isValid(datum.low)").mark_rule(color="#10151b", strokeWidth=1.8)
    bar_panel = alt.layer(bars, marks.encode(x="low:Q", x2="high:Q")).properties(
        width=max(64, min(420, ROW_WIDTH // len(cells))), height=alt.Step(15 if len(series) < 40 else 9)
    )
    return bar_panel.facet(
        column=alt.Column("cell:N", sort=cells, title=None, header=alt.Header(labelFontWeight="bold")),
        row=alt.Row("panel:N", sort=panels(rows), title=None, header=alt.Header(labelAngle=0, labelAlign="left")),
        spacing={"row": 8, "column": 12},
    ).properties(
        title=title(
            f"How often the norm has vanished, stayed or exploded after {horizon_text(rows)}",
            f"{thresholds_text(rows)}; dark marks on the bars: {interval_text(rows)}s",
        )
    )


def probability(curves: pl.DataFrame, cell: str, series: list[str]) -> ChartType:
    """P(vanish) above and P(explode) below against the horizon, one column of panels a width, one colour a
    series.

    curves: statistics of one cell with width and series. Solid lines are where the norm is at the horizon,
    with intervals as bands; dashed ones where its first excursion by then went.
    """
    long = pl.concat(
        curves.select(
            "panel",
            "series",
            "horizon",
            pl.lit(f"P({event})").alias("event"),
            pl.lit({"at": AT, "by": BY}[mode]).alias("mode"),
            *(
                pl.col(f"p_{event}_{mode}{end}").round_sig_figs(4).alias(name)
                for name, end in (("P", ""), ("low", "_low"), ("high", "_high"))
            ),
        )
        for event in ("vanish", "explode")
        for mode in ("at", "by")
    )
    pick = alt.selection_point(fields=["series"], bind="legend")
    base = alt.Chart().encode(x=horizon_axis(curves), color=colour(series, curves))
    bands = band(base.transform_filter(f"datum.mode == '{AT}'"), curves)
    lines = base.mark_line(strokeWidth=1.7, point=dots(curves)).encode(
        y=alt.Y("P:Q", scale=alt.Scale(domain=[0, 1], nice=False), title=None),
        strokeDash=alt.StrokeDash(
            "mode:N",
            scale=alt.Scale(domain=[AT, BY], range=[[1, 0], [4, 3]]),
            legend=None,  # the subtitle says it
        ),
        opacity=unless_other_picked(pick, 1, 0.1),
        tooltip=tooltip(
            "series",
            "panel",
            "event",
            "mode",
            horizon="horizon (steps)",
            P="probability",
            low="from",
            high="to",
        ),
    )
    return (
        alt.layer(
            bands.encode(y=alt.Y("low:Q", title=None), y2="high:Q", opacity=unless_other_picked(pick, 0.22, 0.03)),
            lines,
            data=inline(long),
        )
        .properties(width=panel_width(curves), height=140)
        .add_params(pick)
        .facet(
            column=widths(curves),
            row=alt.Row("event:N", sort=["P(vanish)", "P(explode)"], title=None),
            spacing=12,
        )
        .properties(
            title=title(
                f"{cell}: probability that the norm has vanished, and that it has exploded",
                "Solid: where the norm is at the horizon, with pointwise "
                f"{interval_text(curves)}s; dashed: where its first excursion by then went",
            )
        )
    )


def log_norm(curves: pl.DataFrame, cell: str, series: list[str]) -> ChartType:
    """Median and 5-95 % band of the log-norm against the horizon, one panel a width, one colour a series.

    curves: statistics of one cell with width and series. The vertical axis is linear between the thresholds
    (dashed) and logarithmic beyond. An infinite median is a triangle at the edge of its panel, where an
    infinite band ends too.
    """
    thresholds = [math.log(curves[f"threshold_{event}"][0]) for event in ("vanish", "explode")]
    quantiles = curves.select("q05", "q50", "q95")
    finite = [value for column in quantiles for value in column if math.isfinite(value)] + thresholds
    floor, ceiling = min(finite) * 1.3, max(finite) * 1.3
    norms = curves.select(
        "panel",
        "series",
        "horizon",
        *(
            pl.col(quantile).clip(floor, ceiling).round_sig_figs(5).alias(name)
            for quantile, name in (("q05", "low"), ("q95", "high"))
        ),
        pl.when(pl.col("q50").is_finite()).then(pl.col("q50").round_sig_figs(5)).alias("median"),
        pl.when(pl.col("q50").is_infinite()).then(pl.col("q50").clip(floor, ceiling).round_sig_figs(5)).alias("edge"),
    )
    pick = alt.selection_point(fields=["series"], bind="legend")
    x, hue = horizon_axis(curves), colour(series, curves)
    y = {
        "scale": alt.Scale(type="symlog", constant=max(map(abs, thresholds)), domain=[floor, ceiling], nice=False),
        "axis": alt.Axis(values=nats_ticks(floor, ceiling), format=",~r", labelOverlap=True),
        "title": "log-norm (nats)",
    }
    base = alt.Chart().encode(x=x, color=hue)
    tip = tooltip("series", "panel", horizon="horizon (steps)", median="median (nats)", low="5 %", high="95 %")
    return (
        alt.layer(
            band(base, curves).encode(
                y=alt.Y("low:Q", **y), y2="high:Q", opacity=unless_other_picked(pick, 0.16, 0.02)
            ),
            alt.Chart(alt.InlineData(values=[{"threshold": value} for value in thresholds]))
            .mark_rule(strokeDash=[2, 3], opacity=0.7)
            .encode(y=alt.Y("threshold:Q", **y)),
            base.mark_line(strokeWidth=1.7, point=dots(curves), invalid="break-paths-filter-domains").encode(
                y=alt.Y("median:Q", **y), opacity=unless_other_picked(pick, 1, 0.1), tooltip=tip
            ),
            base.transform_filter("isValid(datum.edge)")
            .mark_point(filled=True, size=30)
            .encode(
                y=alt.Y("edge:Q", **y),
                shape=alt.when("datum.edge < 0").then(alt.value("triangle-down")).otherwise(alt.value("triangle-up")),
                opacity=unless_other_picked(pick, 0.9, 0.05),
                tooltip=tip,
            ),
            data=inline(norms),
        )
        .properties(width=panel_width(curves), height=220)
        .add_params(pick)
        .facet(column=widths(curves), spacing=12)
        .properties(
            title=title(
                f"{cell}: the norm itself",
                "Median and 5-95 % of replicates; dotted: the thresholds; the axis is logarithmic beyond them"
                + ("; triangles: infinite median (dead or overflowed)" if norms["edge"].is_not_null().any() else ""),
            )
        )
    )


def growth_rate(rows: pl.DataFrame, series: list[str]) -> ChartType:
    """Growth rate of the norm over the last decade with its standard error, one panel a cell, against the
    width.

    rows: `rnnmc.tables.main_rows`. A rate that is conditional on survival is an open dot, one that an overflow
    keeps unknown a triangle at the upper edge; points without a rate for other reasons are left out.
    """
    survivors = pl.col("ok_count") < pl.col("replicates")
    rates = rows.filter(pl.col("growth_rate").is_not_null() | (pl.col("overflow_by_count") > 0)).with_columns(
        pl.when(pl.col("growth_rate").is_null())
        .then(pl.lit(UNKNOWN))
        .when(survivors)
        .then(pl.lit(SURVIVORS))
        .otherwise(pl.lit(ALL))
        .alias("kind")
    )
    cells = rates["cell"].unique(maintain_order=True).to_list()
    error = pl.col("growth_rate_error").fill_null(0)
    table = rates.select(
        "cell",
        "width",
        "series",
        "kind",
        pl.col("growth_rate").round_sig_figs(5).alias("rate"),
        (pl.col("growth_rate") - error).round_sig_figs(5).alias("low"),
        (pl.col("growth_rate") + error).round_sig_figs(5).alias("high"),
        pl.Series("text", [rate_text(row) for row in rates.iter_rows(named=True)], dtype=pl.String),
    )
    pick = alt.selection_point(fields=["series"], bind="legend")
    base = alt.Chart().encode(
        x=alt.X("width:O", title="width", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("series:N", sort=series),
        color=colour(series, rates),
        opacity=unless_other_picked(pick, 1, 0.1),
        tooltip=tooltip("cell", "width", "series", text="growth rate (nats/step)"),
    )
    name = "growth rate (nats/step)"
    y = alt.Y("low:Q", title=name, axis=alt.Axis(format="~g"), scale=alt.Scale(zero=True))
    dot = base.encode(y=alt.Y("rate:Q", title=name))
    present = set(rates["kind"].to_list())
    remarks = [remark for kind, remark in REMARKS.items() if kind in present]
    # In one row as far as it goes: beneath a row that is not full Vega-Lite draws an axis without a panel.
    columns = len(cells) if len(cells) <= 8 else 4
    return (
        alt.layer(
            alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(opacity=0.5).encode(y="zero:Q"),
            base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.6).encode(y=y, y2="high:Q"),
            dot.transform_filter(f"datum.kind == '{ALL}'").mark_point(filled=True, size=34),
            dot.transform_filter(f"datum.kind == '{SURVIVORS}'").mark_point(filled=False, size=34, strokeWidth=1.4),
            base.transform_filter(f"datum.kind == '{UNKNOWN}'")
            .mark_point(filled=True, size=34, shape="triangle-up")
            .encode(y=alt.value(5)),
            data=inline(table),
        )
        .properties(width=max(90, min(420, ROW_WIDTH // columns)), height=200)
        .add_params(pick)
        .facet(
            alt.Facet("cell:N", sort=cells, title=None, header=alt.Header(labelFontWeight="bold")),
            columns=columns,
        )
        .properties(
            title=title(
                f"Growth rate of the norm over the last decade before {horizon_text(rows)}",
                "; ".join(["Mean over replicates, plus and minus one standard error (often within the dot)", *remarks]),
            )
        )
    )


def _stack(row: dict) -> list[dict]:
    """The three pieces of one bar, and where the interval of each boundary between them lies."""
    marks = {
        "vanish": (row["p_vanish_at_low"], row["p_vanish_at_high"]),
        "stable": (None, None),
        "explode": (1 - row["p_explode_at_high"], 1 - row["p_explode_at_low"]),
    }
    pieces, left = [], 0.0
    for event, (low, high) in marks.items():
        piece = {
            "cell": row["cell"],
            "panel": f"width {row['width']}",
            "series": row["series"],
            "outcome": event,
        }
        piece |= {"from": left, "to": left + row[f"p_{event}_at"], "low": low, "high": high}
        pieces.append(piece | {"P": event_text(row, event), "norm": log_norm_text(row)})
        left = piece["to"]
    return pieces
