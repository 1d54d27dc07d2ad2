"""The figures of a study as Altair charts, and as SVG and PNG files.

All show the spectral norm, with the same three colours for vanished, stable and exploded everywhere. A chart carries
no more than it draws: the few columns it needs, as CSV text with rounded numbers. Infinite log-norms sit at the edge
of their panel under a mark of their own; undefined numbers are left out.
"""

import math
from pathlib import Path

import altair as alt
import polars as pl
import vl_convert
from altair.typing import ChartType

from rnnmc.tables import event_text, horizon_text, log_norm_text, main_rows, rate_text, with_series

# From Okabe and Ito (2008): told apart under every common colour blindness, on light and on dark ground.
OUTCOMES = {"vanish": "#0072B2", "stable": "#B4B9C1", "explode": "#D55E00"}
# None of these can be taken for the colour of an outcome; more series than this take theirs along viridis.
SERIES = ["#8E63CE", "#159A78", "#C94F8C", "#9A8A1F", "#3FA7D6", "#7A6A5B"]
VIRIDIS = [0.1, 0.85]  # the part of the scheme that shows on white and on black
AT, BY = "at", "first, by"
ROW_WIDTH = 780  # of a row of panels, in pixels; with axes and legend about 1,000
VL_VERSION = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def charts(statistics: pl.DataFrame, points: pl.DataFrame) -> dict[str, ChartType]:
    """Every figure of a study by name, in the order of the page.

    statistics: rows of `rnnmc.statistics.point_statistics`; points: rows of points.parquet. Names: overview,
    probability-<cell> and log-norm-<cell> for each cell, growth-rate (absent where no horizon is ten times another).
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


def save(figures: dict[str, ChartType], folder: Path) -> list[Path]:
    """Writes every chart as <name>.svg and <name>.png (1.5 pixels a point, white ground); returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, chart in figures.items():
        svg = vl_convert.vegalite_to_svg(chart.to_dict(validate=False), vl_version=VL_VERSION, config=config("#22262b"))
        files += [folder / f"{name}.svg", folder / f"{name}.png"]
        files[-2].write_text(svg, encoding="utf-8")
        files[-1].write_bytes(vl_convert.svg_to_png(svg, scale=1.5))
    return files


def config(ink: str, background: str | None = "white") -> dict:
    """The Vega-Lite configuration behind every chart: type, grid and margins, drawn in the colour `ink`."""
    faint = {"gridColor": ink, "gridOpacity": 0.12, "domainColor": ink, "domainOpacity": 0.4}
    text = {"labelColor": ink, "titleColor": ink, "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"}
    return {
        "background": background,
        "padding": 8,
        "font": "Helvetica Neue, Helvetica, Arial, sans-serif",
        "view": {"stroke": ink, "strokeOpacity": 0.15},
        "axis": {**text, **faint, "tickColor": ink, "tickOpacity": 0.4},
        "legend": {**text, "labelLimit": 260, "symbolStrokeWidth": 2.5},
        "header": {**text, "labelFontSize": 12},
        "title": {
            "anchor": "start",
            "color": ink,
            "subtitleColor": ink,
            "fontSize": 15,
            "subtitleFontSize": 12,
            "offset": 12,
        },
        "rule": {"color": ink},
    }


def overview(rows: pl.DataFrame, series: list[str]) -> ChartType:
    """Shares of vanished, stable and exploded replicates at the last horizon, one bar a point.

    rows: `rnnmc.tables.main_rows`. Columns of panels are cells, rows of panels widths; the dark marks on a bar are the
    intervals of P(vanish), counted from the left, and of P(explode), counted from the right.
    """
    cells = rows["cell"].unique(maintain_order=True).to_list()
    records = [record for row in rows.iter_rows(named=True) for record in _stack(row)]
    base = alt.Chart(_inline(pl.DataFrame(records, infer_schema_length=None))).encode(
        y=alt.Y("series:N", sort=series, title=None, axis=alt.Axis(labelLimit=230, ticks=False, domain=False)),
        tooltip=_tooltip("cell", "width", "series", "outcome", P="probability", norm="log-norm (nats)"),
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
    panels = alt.layer(bars, marks.encode(x="low:Q", x2="high:Q")).properties(
        width=max(64, min(420, ROW_WIDTH // len(cells))), height=alt.Step(15 if len(series) < 40 else 9)
    )
    return panels.facet(
        column=alt.Column("cell:N", sort=cells, title=None, header=alt.Header(labelFontWeight="bold")),
        row=alt.Row("width:O", title="width", header=alt.Header(labelAngle=0, labelAlign="left", titleAngle=0)),
        spacing={"row": 8, "column": 12},
    ).properties(
        title=_title(
            f"How often the norm has vanished, stayed or exploded after {horizon_text(rows)}",
            f"{_thresholds(rows)}; dark marks on the bars: {_interval(rows)}s",
        )
    )


def probability(curves: pl.DataFrame, cell: str, series: list[str]) -> ChartType:
    """P(vanish) above and P(explode) below against the horizon, one column of panels a width, one colour a series.

    curves: statistics of one cell with width and series. Solid lines are where the norm is at the horizon, with
    intervals as bands; dashed ones where its first excursion by then went.
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
    base = alt.Chart().encode(x=_horizon_axis(curves), color=_colour(series, curves))
    bands = base.transform_filter({"field": "mode", "equal": AT}).mark_area()
    lines = base.mark_line(strokeWidth=1.7, point=_point(curves)).encode(
        y=alt.Y("P:Q", scale=alt.Scale(domain=[0, 1], nice=False), title=None),
        strokeDash=alt.StrokeDash(
            "mode:N",
            scale=alt.Scale(domain=[AT, BY], range=[[1, 0], [4, 3]]),
            legend=None,  # the subtitle says it
        ),
        opacity=_unless_other_picked(pick, 1, 0.1),
        tooltip=_tooltip("series", "panel", "event", "mode", horizon="horizon (steps)", P="probability", **RANGE),
    )
    return (
        alt.layer(
            bands.encode(
                y=alt.Y("low:Q", title=None), y2="high:Q", opacity=_unless_other_picked(pick, 0.22, 0.03)
            ),
            lines,
            data=_inline(long),
        )
        .properties(width=_panel_width(curves), height=140)
        .add_params(pick)
        .facet(
            column=_widths(curves),
            row=alt.Row("event:N", sort=["P(vanish)", "P(explode)"], title=None),
            spacing=12,
        )
        .properties(
            title=_title(
                f"{cell}: probability that the norm has vanished, and that it has exploded",
                "solid: where the norm is at the horizon, with pointwise "
                f"{_interval(curves)}s; dashed: where its first excursion by then went",
            )
        )
    )


RANGE = {"low": "from", "high": "to"}


def log_norm(curves: pl.DataFrame, cell: str, series: list[str]) -> ChartType:
    """Median and 5-95 % band of the log-norm against the horizon, one panel a width, one colour a series.

    curves: statistics of one cell with width and series. The vertical axis is linear between the thresholds (dashed)
    and logarithmic beyond. An infinite median is a triangle at the edge of its panel, where an infinite band ends too.
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
    x, colour = _horizon_axis(curves), _colour(series, curves)
    y = {
        "scale": alt.Scale(type="symlog", constant=max(map(abs, thresholds)), domain=[floor, ceiling], nice=False),
        "axis": alt.Axis(values=_nats_ticks(floor, ceiling), format=",~r", labelOverlap=True),
        "title": "log-norm (nats)",
    }
    base = alt.Chart().encode(x=x, color=colour)
    tip = _tooltip("series", "panel", horizon="horizon (steps)", median="median (nats)", low="5 %", high="95 %")
    return (
        alt.layer(
            base.mark_area().encode(
                y=alt.Y("low:Q", **y), y2="high:Q", opacity=_unless_other_picked(pick, 0.16, 0.02)
            ),
            alt.Chart(alt.InlineData(values=[{"threshold": value} for value in thresholds]))
            .mark_rule(strokeDash=[2, 3], opacity=0.7)
            .encode(y=alt.Y("threshold:Q", **y)),
            base.mark_line(strokeWidth=1.7, point=_point(curves), invalid="break-paths-filter-domains").encode(
                y=alt.Y("median:Q", **y), opacity=_unless_other_picked(pick, 1, 0.1), tooltip=tip
            ),
            base.transform_filter("isValid(datum.edge)")
            .mark_point(filled=True, size=30)
            .encode(
                y=alt.Y("edge:Q", **y),
                shape=alt.when("datum.edge < 0").then(alt.value("triangle-down")).otherwise(alt.value("triangle-up")),
                opacity=_unless_other_picked(pick, 0.9, 0.05),
                tooltip=tip,
            ),
            data=_inline(norms),
        )
        .properties(width=_panel_width(curves), height=220)
        .add_params(pick)
        .facet(column=_widths(curves), spacing=12)
        .properties(
            title=_title(
                f"{cell}: the norm itself",
                "median and 5-95 % of replicates; dotted: the thresholds; the axis is logarithmic beyond them"
                + ("; triangles: infinite median (dead or overflowed)" if norms["edge"].is_not_null().any() else ""),
            )
        )
    )


def growth_rate(rows: pl.DataFrame, series: list[str]) -> ChartType:
    """Growth rate of the norm over the last decade with its standard error, one panel a cell, against the width.

    rows: `rnnmc.tables.main_rows`; points without a growth rate are left out.
    """
    rates = rows.filter(pl.col("growth_rate").is_not_null())
    cells = rates["cell"].unique(maintain_order=True).to_list()
    error = pl.col("growth_rate_error").fill_null(0)
    table = rates.select(
        "cell",
        "width",
        "series",
        pl.col("growth_rate").round_sig_figs(5).alias("rate"),
        (pl.col("growth_rate") - error).round_sig_figs(5).alias("low"),
        (pl.col("growth_rate") + error).round_sig_figs(5).alias("high"),
        pl.Series("text", [rate_text(row) for row in rates.iter_rows(named=True)], dtype=pl.String),
    )
    pick = alt.selection_point(fields=["series"], bind="legend")
    base = alt.Chart().encode(
        x=alt.X("width:O", title="width", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("series:N", sort=series),
        color=_colour(series, rates),
        opacity=_unless_other_picked(pick, 1, 0.1),
        tooltip=_tooltip("cell", "width", "series", text="growth rate (nats/step)"),
    )
    y = alt.Y("low:Q", title="growth rate (nats/step)", axis=alt.Axis(format="~g"), scale=alt.Scale(zero=True))
    # In one row as far as it goes: beneath a row that is not full Vega-Lite draws an axis without a panel.
    columns = len(cells) if len(cells) <= 8 else 4
    return (
        alt.layer(
            alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(opacity=0.5).encode(y="zero:Q"),
            base.mark_rule(strokeWidth=1.6).encode(y=y, y2="high:Q"),
            base.mark_point(filled=True, size=34).encode(y=alt.Y("rate:Q", title="growth rate (nats/step)")),
            data=_inline(table),
        )
        .properties(width=max(90, min(420, ROW_WIDTH // columns)), height=200)
        .add_params(pick)
        .facet(alt.Facet("cell:N", sort=cells, title=None, header=alt.Header(labelFontWeight="bold")), columns=columns)
        .properties(
            title=_title(
                f"Growth rate of the norm over the last decade before {horizon_text(rows)}",
                "mean over replicates, plus and minus one standard error (often within the dot); above zero it grows",
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
        piece = {"cell": row["cell"], "width": row["width"], "series": row["series"], "outcome": event}
        piece |= {"from": left, "to": left + row[f"p_{event}_at"], "low": low, "high": high}
        pieces.append(piece | {"P": event_text(row, event), "norm": log_norm_text(row)})
        left = piece["to"]
    return pieces


def _inline(table: pl.DataFrame) -> alt.InlineData:
    """The table as CSV inside the chart: a third of the size of JSON rows, and null is simply empty."""
    parse = {name: "number" for name, kind in table.schema.items() if kind.is_numeric()}
    floats = [name for name, kind in table.schema.items() if kind.is_float()]
    text = table.with_columns(pl.col(floats).round_sig_figs(5)).write_csv()
    return alt.InlineData(values=text, format=alt.CsvDataFormat(type="csv", parse=parse))


def _tooltip(*fields: str, **named: str) -> list[alt.Tooltip]:
    """What a chart says under the pointer: fields under their own names, then fields under others."""
    plain = [alt.Tooltip(f"{field}:N") for field in fields]
    return plain + [alt.Tooltip(f"{field}:N", title=title) for field, title in named.items()]


def _title(text: str, subtitle: str) -> alt.TitleParams:
    return alt.TitleParams(text=text, subtitle=subtitle)


def _thresholds(rows: pl.DataFrame) -> str:
    return f"vanished: norm below {rows['threshold_vanish'][0]:g}; exploded: above {rows['threshold_explode'][0]:g}"


def _interval(rows: pl.DataFrame) -> str:
    return f"{100 * rows['level'][0]:g} % {rows['interval'][0].capitalize()} interval"


def _unless_other_picked(pick: alt.Parameter, normal: float, faded: float):
    """Opacity that fades every series but the one picked in the legend."""
    return alt.when(pick).then(alt.value(normal)).otherwise(alt.value(faded))


def _colour(series: list[str], rows: pl.DataFrame) -> alt.Color:
    """One colour a series, the same in every figure; a legend only of those that are there, and only of several."""
    present = set(rows["series"].to_list())
    shown = [name for name in series if name in present]
    scale = alt.Scale(domain=series, range=SERIES[: len(series)])
    if len(series) > len(SERIES):
        scale = alt.Scale(domain=series, scheme=alt.SchemeParams(name="viridis", extent=VIRIDIS))
    legend = None
    if len(series) > 1:
        room = 880 // (sum(7 * len(name) + 30 for name in shown) // len(shown))
        legend = alt.Legend(
            title=None, orient="top", values=shown, columns=max(1, min(len(shown), room)), symbolLimit=0, symbolOpacity=1
        )
    return alt.Color("series:N", scale=scale, sort=series, legend=legend)


def _horizon_axis(curves: pl.DataFrame) -> alt.X:
    """Horizons on a logarithmic axis with labels at powers of ten, or at each horizon when there are few."""
    horizons = sorted(set(curves["horizon"].to_list()))
    first, last = horizons[0], horizons[-1]
    powers = [10**k for k in range(10) if first <= 10**k <= last]
    scale = alt.Scale(type="log", nice=False) if first < last else alt.Scale(type="log", domain=[first / 2, last * 2])
    values = powers if len(powers) > 1 else horizons[:6]
    return alt.X("horizon:Q", scale=scale, title="horizon (steps)", axis=alt.Axis(values=values, format=",", labelOverlap=True))


def _nats_ticks(floor: float, ceiling: float) -> list[float]:
    """0 and plus or minus 3, 10, 30, 100, ... as far as the axis goes."""
    sizes = [digit * 10**power for power in range(9) for digit in (3, 10)]
    return [tick for tick in sorted([0, *sizes, *(-size for size in sizes)]) if floor <= tick <= ceiling]


def _point(curves: pl.DataFrame) -> alt.OverlayMarkDef | bool:
    """Dots on the lines where horizons are so few that a line alone could be too short to see."""
    return alt.OverlayMarkDef(size=22) if curves["horizon"].n_unique() <= 6 else False


def _panel_width(curves: pl.DataFrame) -> int:
    return max(150, min(420, ROW_WIDTH // curves["width"].n_unique()))


def _widths(curves: pl.DataFrame) -> alt.Column:
    """One panel a width, from left to right."""
    names = [f"width {width}" for width in sorted(set(curves["width"].to_list()))]
    return alt.Column("panel:N", sort=names, title=None)
