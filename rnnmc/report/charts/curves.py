"""Figures of what happens along the horizon, one cell each: probabilities, the norm, and where its spread comes from.

Theory is ink, dashed and thin, and lies on what was measured; see `rnnmc.report.charts.parts.config`.
"""

import math

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts.parts import (
    LINES,
    ROW_WIDTH,
    band,
    beside_rows,
    colour,
    dots,
    facet,
    full_rows,
    horizon_axis,
    inline,
    interval_text,
    nats_ticks,
    own_axes,
    panel_width,
    panels,
    shared_hues,
    title,
    tooltip,
    unless_other_picked,
    widths,
)

QUESTIONS = {
    ("vanish", "at"): "vanished, at T",
    ("vanish", "by"): "vanished first, by T",
    ("explode", "at"): "exploded, at T",
    ("explode", "by"): "exploded first, by T",
}
MOST_COLUMNS = 6  # of panels
WIDEST = 0.4  # band of a probability that still says something; others are not drawn
FAINT = 0.35  # opacity of theory where panels have many curves
MARKS = 12  # intervals in one panel, at most
# Sources of variance; none can be taken for an outcome.
SOURCE_COLOURS = {"weights": "#2E7D74", "drive": "#E3B341", "state": "#B58BC6"}


def probability(curves: pl.DataFrame, cell: str, series: list[str]) -> ChartType:
    """Where the norm is at a horizon and, beside it, where its first excursion by then went, for vanishing and
    exploding: four columns of panels, one row of panels a width, one colour a series.

    curves: statistics of one cell, complete, with panel, width and series. Dark bands are the pointwise intervals,
    light ones the bands over all horizons. Theory speaks of "at" alone: dashed where exact, dotted an upper bound.
    """
    long = pl.concat(
        curves.select(
            "panel",
            "series",
            "name",
            "horizon",
            pl.lit(question).alias("question"),
            *(
                pl.col(f"p_{event}_{mode}{end}").round_sig_figs(digits).alias(name)
                for name, end, digits in (
                    ("P", "", 4),
                    ("low", "_low", 4),
                    ("high", "_high", 4),
                    ("lowest", "_band_low", 3),
                    ("highest", "_band_high", 3),
                )
            ),
            _predicted(event, mode).round_sig_figs(4).alias("theory"),
            _bound(event, mode).round_sig_figs(4).alias("bound"),
        )
        for (event, mode), question in QUESTIONS.items()
    )
    shared = shared_hues(curves, "panel")
    banded, exact, bounded = (long[name].is_not_null().any() for name in ("lowest", "theory", "bound"))
    pick = alt.selection_point(fields=["series"], bind="legend")
    base = alt.Chart().encode(x=horizon_axis(curves), color=colour(series, curves), detail="name:N")
    bands = band(base, curves)
    y = alt.Y("P:Q", scale=alt.Scale(domain=[0, 1], nice=False), title=None, axis=alt.Axis(values=[0, 0.5, 1]))
    words = {"name": "series", "horizon": "horizon (steps)", "P": "probability", "low": "from", "high": "to"}
    words |= {"lowest": "at all horizons from", "highest": "to"} if banded else {}
    words |= {"theory": "predicted"} if exact else {}
    lines = base.mark_line(strokeWidth=1.7, point=dots(curves)).encode(
        y=y, opacity=unless_other_picked(pick, 1, 0.1), tooltip=tooltip("panel", "question", **words)
    )
    layers = [
        bands.transform_calculate(**{low: f"datum.{high} - datum.{low} <= {WIDEST} ? datum.{low} : null"}).encode(
            y=alt.Y(f"{low}:Q", title=None), y2=f"{high}:Q", opacity=unless_other_picked(pick, *opacity)
        )
        for low, high, opacity in (("lowest", "highest", (0.13, 0.02)), ("low", "high", (0.22, 0.03)))
        if banded or low == "low"
    ]
    layers += [
        lines,
        *(
            _theory(name, style, pick, FAINT if shared else 1)
            for name, style, there in (("theory", "theory", exact), ("bound", "bound", bounded))
            if there
        ),
    ]
    remarks = [f"Darker bands: pointwise {interval_text(curves)}s"]
    if banded:
        remarks.append("lighter: bands that hold over all horizons at once")
    ends = (("low", "high"), ("lowest", "highest"))
    if any((long[high] - long[low] > WIDEST).any() for low, high in ends):
        remarks.append(f"none that is wider than {WIDEST:g}")
    if exact:
        remarks.append("dashed: exact law")
    if bounded:
        remarks.append("dotted: upper bound by theory")
    remarks += shared
    return (
        alt.layer(*layers, data=inline(long))
        .properties(width=ROW_WIDTH // len(QUESTIONS), height=130)
        .add_params(pick)
        .facet(
            column=alt.Column("question:N", sort=list(QUESTIONS.values()), title=None),
            row=alt.Row("panel:N", sort=panels(curves), title=None, header=alt.Header(labelExpr=LINES)),
            spacing=12,
        )
        .properties(title=title(f"{cell}: probability that the norm has vanished, and exploded", "; ".join(remarks)))
    )


def _predicted(event: str, mode: str) -> pl.Expr:
    return pl.col(f"theory_p_{event}_at") if mode == "at" else pl.lit(None, pl.Float64)


def _bound(event: str, mode: str) -> pl.Expr:
    """An upper bound that says something."""
    known = pl.col("theory_p_explode_at_most")
    return pl.when(known < 1).then(known) if (event, mode) == ("explode", "at") else pl.lit(None, pl.Float64)


def _theory(field: str, style: str, pick: alt.Parameter, strength: float, **y: object) -> alt.Chart:
    """The line of one prediction of each series, of this opacity."""
    return (
        alt.Chart()
        .mark_line(style=style, clip=True, invalid="break-paths-filter-domains")
        .encode(
            x="horizon:Q",
            y=alt.Y(f"{field}:Q", **(y or {"title": None})),  # pyright: ignore[reportArgumentType]
            detail="name:N",
            opacity=unless_other_picked(pick, strength, 0.05),
        )
    )


def log_norm(curves: pl.DataFrame, cell: str, series: list[str]) -> ChartType:
    """Median and 5-95 % band of the log-norm against the horizon, one panel a width, one colour a series.

    curves: statistics of one cell, complete, with panel, width and series. The vertical axis is linear between the
    thresholds (dotted) and logarithmic beyond. An infinite median is a triangle at the edge of its panel, where an
    infinite band ends too. Theory is the exact mean, with the measured mean as dots to compare with it, or where only
    a growth rate is known the line of that slope through zero.
    """
    thresholds = [math.log(curves[f"threshold_{event}"][0]) for event in ("vanish", "explode")]
    quantiles = curves.select("q05", "q50", "q95")
    finite = [value for column in quantiles for value in column if math.isfinite(value)] + thresholds
    floor, ceiling = min(finite) * 1.3, max(finite) * 1.3
    norms = curves.select(
        "panel",
        "series",
        "name",
        "horizon",
        *(
            pl.col(quantile).clip(floor, ceiling).round_sig_figs(5).alias(name)
            for quantile, name in (("q05", "low"), ("q95", "high"))
        ),
        pl.when(pl.col("q50").is_finite()).then(pl.col("q50").round_sig_figs(5)).alias("median"),
        pl.when(pl.col("q50").is_infinite()).then(pl.col("q50").clip(floor, ceiling).round_sig_figs(5)).alias("edge"),
        pl.coalesce("theory_mean", pl.col("theory_growth_rate") * pl.col("horizon")).round_sig_figs(5).alias("theory"),
        pl.when(pl.col("theory_mean").is_not_null()).then(pl.col("mean").round_sig_figs(5)).alias("mean"),
        _law_text().alias("law"),
    )
    pick = alt.selection_point(fields=["series"], bind="legend")
    y = {
        "scale": alt.Scale(type="symlog", constant=max(map(abs, thresholds)), domain=[floor, ceiling], nice=False),
        "axis": alt.Axis(values=nats_ticks(floor, ceiling), format=",~r", labelOverlap=True),
        "title": "log-norm (nats)",
    }
    base = alt.Chart().encode(x=horizon_axis(curves), color=colour(series, curves), detail="name:N")
    words = {"name": "series", "horizon": "horizon (steps)", "median": "median (nats)", "low": "5 %", "high": "95 %"}
    shared = shared_hues(curves, "panel")
    predicted, exact = norms["theory"].is_not_null().any(), curves["theory_mean"].is_not_null().any()
    sloped = (curves["theory_mean"].is_null() & curves["theory_growth_rate"].is_not_null()).any()
    words |= {"mean": "mean (nats)"} if exact else {}
    words |= {"theory": "theory (nats)", "law": "which is"} if predicted else {}
    tip = tooltip("panel", **words)
    layers = [
        band(base, curves).encode(y=alt.Y("low:Q", **y), y2="high:Q", opacity=unless_other_picked(pick, 0.16, 0.02)),
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
    ]
    remarks = ["Median and 5-95 % of replicates", "dotted: the thresholds; the axis is logarithmic beyond them"]
    if norms["edge"].is_not_null().any():
        remarks.append("triangles: infinite median (dead or overflowed)")
    if exact:
        layers.append(
            base.transform_filter("isValid(datum.mean)")
            .mark_point(filled=True, size=14, clip=True)
            .encode(y=alt.Y("mean:Q", **y), opacity=unless_other_picked(pick, 1, 0.05), tooltip=tip)
        )
        remarks.append("dashed: exact mean, and as dots the measured one")
    if sloped:
        remarks.append(f"dashed{' without dots' if exact else ''}: the growth rate that theory predicts, times T")
    if predicted:
        layers.append(_theory("theory", "theory", pick, FAINT if shared else 1, **y))
    remarks += shared
    names = panels(curves)
    columns = full_rows(len(names), MOST_COLUMNS)
    return (
        alt.layer(*layers, data=inline(norms))
        .properties(width=max(120, min(420, ROW_WIDTH // columns)), height=220)
        .add_params(pick)
        .facet(
            facet(names),
            columns=columns,
            spacing=12,
        )
        .resolve_axis(x=own_axes(len(names), columns))
        .properties(title=title(f"{cell}: the norm itself", "; ".join(remarks)))
    )


def _law_text() -> pl.Expr:
    """What the line of theory is, and by which law."""
    slope = pl.concat_str(
        pl.lit("slope, "),
        pl.when(pl.col("theory_growth_exact")).then(pl.lit("exact")).otherwise(pl.lit("large width")),
        pl.lit(": "),
        "theory_growth_law",
    )
    mean = pl.concat_str(pl.lit("exact mean: "), "theory_law")
    return pl.when(pl.col("theory_mean").is_not_null()).then(mean).otherwise(slope)


def variance(split: pl.DataFrame, cell: str, series: list[str]) -> ChartType:
    """Shares of weights, drive and initial state in the variance of the log-norm against the horizon, stacked, one
    panel a width and series.

    split: `rnnmc.statistics.variance_split.variance_split` of the spectral norm of one cell, with panel, width and
    series. The share of the first source is counted from below and that of the last from above, and so are their
    intervals, the dark marks; where nothing can be split the panel is empty.
    """
    present = [name for name in series if name in set(split["series"])]
    sources = [name for name in SOURCE_COLOURS if name in set(split.drop_nulls("share")["source"].cast(pl.String))]
    known = split.drop_nulls("share").with_columns(pl.col("source").cast(pl.String))
    horizons = known["horizon"].unique().sort()
    marked = set(horizons.gather_every(-(-len(horizons) // MARKS)).to_list())
    pieces = [
        piece
        for (_, _, horizon), bar in known.group_by("panel", "series", "horizon", maintain_order=True)
        for piece in _stacked(bar, sources, horizon in marked)
    ]
    # Without a row for every panel, empty ones included, Vega-Lite draws the others in the wrong places.
    pieces += [{"panel": panel, "series": name} for panel in panels(split) for name in present]
    schema = {
        "panel": pl.String,
        "series": pl.String,
        "horizon": pl.Int64,
        "source": pl.String,
        "text": pl.String,
        "mark": pl.String,
    }
    schema |= dict.fromkeys(("from", "to", "low", "high"), pl.Float64)
    drawn = pl.DataFrame(pieces, schema=schema)
    base = alt.Chart().transform_filter("isValid(datum.from)").encode(x=horizon_axis(split))
    y = {
        "scale": alt.Scale(domain=[0, 1], nice=False),
        "title": None,
        "axis": alt.Axis(values=[0, 0.5, 1], format="~%"),
    }
    hue = alt.Color(
        "source:N",
        scale=alt.Scale(domain=list(SOURCE_COLOURS), range=list(SOURCE_COLOURS.values())),
        legend=alt.Legend(title=None, orient="top", symbolType="square", symbolStrokeWidth=0, values=sources),
    )
    told = tooltip("series", "panel", "source", horizon="horizon (steps)", text="share")
    return (
        alt.layer(
            band(base, split).encode(y=alt.Y("from:Q", **y), y2="to:Q", color=hue, tooltip=told),
            *(
                base.transform_filter(f"datum.mark == '{mark}'")
                .mark_rule(color="#10151b", xOffset=offset)
                .encode(y=alt.Y("low:Q", **y), y2="high:Q")
                for mark, offset in (("first", -1.5), ("last", 1.5))
            ),
            data=inline(drawn),
        )
        .properties(width=panel_width(split), height=100)
        .facet(
            column=widths(split),
            row=alt.Row("series:N", sort=present, title=None, header=beside_rows()),
            spacing=12,
        )
        .properties(
            title=title(
                f"{cell}: what the spread of the norm comes from",
                "Shares in the variance of the log-norm; dark marks: 95 % intervals of the share at the bottom, "
                "counted from below, and of the one at the top, counted from above",
            )
        )
    )


def _stacked(bar: pl.DataFrame, sources: list[str], marked: bool) -> list[dict]:
    """The pieces of one bar, the first source at the bottom, with the intervals of the first and the last."""
    rows = {row["source"]: row for row in bar.iter_rows(named=True)}
    pieces, below = [], 0.0
    for source in (name for name in sources if name in rows):
        row = rows[source]
        low, high = row["share_low"], row["share_high"]
        piece = {name: row[name] for name in ("panel", "series", "horizon", "source")}
        piece |= {"from": below, "to": below + row["share"]}
        piece["text"] = f"{100 * row['share']:.3g} % [{100 * low:.3g}, {100 * high:.3g}]"
        if marked and source == sources[0]:
            piece |= {"mark": "first", "low": low, "high": high}
        elif marked and source == sources[-1]:
            piece |= {"mark": "last", "low": 1 - high, "high": 1 - low}
        below = piece["to"]
        pieces.append(piece)
    return pieces
