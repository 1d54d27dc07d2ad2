"""The figures of a study as Altair charts.

All show the spectral norm, with the same three colours for vanished, stable and exploded everywhere. A chart
carries no more than it draws: the few columns it needs, as CSV text with rounded numbers. Infinite log-norms
sit at the edge of their panel under a mark of their own; undefined numbers are left out.
"""

import altair as alt
import polars as pl
from altair.typing import ChartType

from rnnmc.report.charts import curves
from rnnmc.report.charts.parts import (
    LINEAR_RATE,
    LINES,
    OUTCOMES,
    ROW_WIDTH,
    SERIES,
    axis_of_rates,
    beside_rows,
    colour,
    full_rows,
    inline,
    interval_text,
    own_axes,
    panels,
    shared_hues,
    thresholds_text,
    title,
    tooltip,
    unless_other_picked,
)
from rnnmc.report.hues import hues_by_cell, in_curves, in_hues, in_panel, ordered_hues
from rnnmc.report.text import (
    complete,
    event_text,
    horizon_text,
    log_norm_text,
    main_rows,
    most_text,
    rate_text,
    study_points,
    theory_text,
    with_series,
)

EVERY_REPLICATE, SURVIVORS, UNKNOWN = "all", "survivors", "unknown"
REMARKS = {
    SURVIVORS: "open: of the survivors only, as some died",
    UNKNOWN: "triangles: not known, as replicates overflowed",
}
CHECKED = ("law", "cell", "width", "horizon", "measure", "quantity")  # what a measurement of a known truth is of
MANY = 40  # series, from which on a chart is drawn smaller, and cell by cell
FURTHEST = 3  # half-widths of an interval at which the truth is drawn at the latest


def charts(
    statistics: pl.DataFrame, points: pl.DataFrame, variance: pl.DataFrame | None = None
) -> dict[str, ChartType]:
    """Every figure of a study by name, in the order of the page.

    statistics: rows of `rnnmc.statistics.point.point_statistics`; points: rows of points.parquet; variance: rows of
    `rnnmc.statistics.variance_split.variance_split`. Names: overview; probability-<cell>, log-norm-<cell> and, of
    nested designs, variance-<cell> for each cell; growth-rate (absent where no horizon is ten times another).
    """
    asked = study_points(points)
    rows = main_rows(statistics, asked)
    named, hued = with_series(asked), hues_by_cell(asked)
    series, hues = named["series"].unique(maintain_order=True).to_list(), ordered_hues(hued)
    along = in_curves(_spectral(complete(statistics)), hued, "horizon")
    own = named.with_columns(hue="series", rest=pl.lit(""))
    split = None if variance is None else in_curves(_spectral(variance), own, "horizon")
    figures: dict[str, ChartType] = {"overview": overview(rows, series)}
    for cell in rows["cell"].unique(maintain_order=True).to_list():
        of_cell = along.filter(pl.col("cell") == cell)
        figures[f"probability-{cell}"] = curves.probability(of_cell, cell, hues)
        figures[f"log-norm-{cell}"] = curves.log_norm(of_cell, cell, hues)
        nested = None if split is None else split.filter(pl.col("cell") == cell)
        if nested is not None and nested["share"].is_not_null().any():
            figures[f"variance-{cell}"] = curves.variance(nested, cell, series)
    if rows["growth_rate"].is_not_null().any():
        alike = in_hues(named)
        figures["growth-rate"] = growth_rate(_in_panels(rows, alike), ordered_hues(alike))
    return figures


def _in_panels(rows: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
    """Rows whose series is the hue, with a name of their own, and whose cell is told with the rest."""
    together = pl.concat(rows.partition_by("cell", maintain_order=True))
    joined = together.join(said.select("point", "hue", "rest"), on="point", how="left", maintain_order="left")
    return joined.with_columns(in_panel(pl.col("cell")).alias("cell"), pl.col("hue").alias("series"), name="series")


def _spectral(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("measure").cast(pl.String) == "log_spectral")


def overview(rows: pl.DataFrame, series: list[str]) -> ChartType:
    """Shares of vanished, stable and exploded replicates at the last horizon, one bar a point.

    rows: `rnnmc.report.text.main_rows`. Columns of panels are cells, rows of panels widths, the other way round where
    cells have many series each of their own; the dark marks on a bar are the intervals of P(vanish), counted from the
    left, and of P(explode), counted from the right.
    """
    by_cell = rows.partition_by("cell", maintain_order=True)
    alike = len(series) < MANY or len({frozenset(own["series"].to_list()) for own in by_cell}) == 1
    charts = [
        _bars(own, [one for one in series if one in own["series"]], alike) for own in ([rows] if alike else by_cell)
    ]
    heading = title(
        f"How often the norm has vanished, stayed or exploded after {horizon_text(rows)}",
        f"{thresholds_text(rows)}; dark marks on the bars: {interval_text(rows)}s",
    )
    return (charts[0] if alike else alt.vconcat(*charts, spacing=12)).properties(title=heading)


def _bars(rows: pl.DataFrame, series: list[str], cells_beside: bool) -> ChartType:
    """A panel a cell and width, all with the same series; cells beside each other, or widths."""
    cells = rows["cell"].unique(maintain_order=True).to_list()
    names = {"cell": cells, "panel": panels(rows)}
    (column, columns), (row, lines) = names.items() if cells_beside else reversed(names.items())
    records = [record for one in rows.iter_rows(named=True) for record in _stack(one)]
    # Without a row for every panel, empty ones included, Vega-Lite draws the others in the wrong places.
    records += [{"cell": cell, "panel": panel, "series": series[0]} for cell in cells for panel in names["panel"]]
    step, size = (15, 11) if cells_beside and len(series) < MANY else (11, 9)
    labels = alt.Axis(labelLimit=320, labelFontSize=size, ticks=False, domain=False)
    base = alt.Chart(inline(pl.DataFrame(records, infer_schema_length=None))).encode(
        y=alt.Y("series:N", sort=series, title=None, axis=labels),
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
        width=max(64, min(420, ROW_WIDTH // len(columns))), height=alt.Step(step)
    )
    bold = alt.Header(labelFontWeight="bold")
    return bar_panel.facet(
        column=alt.Column(f"{column}:N", sort=columns, title=None, header=bold),
        row=alt.Row(f"{row}:N", sort=lines, title=None, header=beside_rows()),
        spacing={"row": 8, "column": 12},
    )


def growth_rate(rows: pl.DataFrame, series: list[str]) -> ChartType:
    """Growth rate of the norm over the last decade with its interval, one panel a cell, against the
    width.

    rows: `rnnmc.report.text.main_rows`. A rate that is conditional on survival is an open dot, one that an overflow
    keeps unknown a triangle at the upper edge; points without a rate for other reasons are left out. A diamond is what
    theory predicts, filled where exact.
    """
    survivors = pl.col("ok_count") < pl.col("replicates")
    rates = rows.filter(pl.col("growth_rate").is_not_null() | (pl.col("overflow_by_count") > 0)).with_columns(
        pl.when(pl.col("growth_rate").is_null())
        .then(pl.lit(UNKNOWN))
        .when(survivors)
        .then(pl.lit(SURVIVORS))
        .otherwise(pl.lit(EVERY_REPLICATE))
        .alias("kind")
    )
    cells = rates["cell"].unique(maintain_order=True).to_list()
    table = rates.select(
        "cell",
        "width",
        "series",
        "name",
        "kind",
        pl.col("growth_rate").round_sig_figs(5).alias("rate"),
        *(pl.coalesce(f"growth_rate_{end}", "growth_rate").round_sig_figs(5).alias(end) for end in ("low", "high")),
        pl.Series("text", [rate_text(row) for row in rates.iter_rows(named=True)], dtype=pl.String),
        pl.Series("most", [most_text(row) for row in rates.iter_rows(named=True)], dtype=pl.String),
        pl.col("theory_growth_rate").round_sig_figs(5).alias("theory"),
        pl.when("theory_growth_exact").then(pl.lit("exact")).otherwise(pl.lit("large width")).alias("validity"),
        pl.Series("predicted", [theory_text(row) for row in rates.iter_rows(named=True)], dtype=pl.String),
        pl.col("theory_growth_law").alias("law"),
    )
    predicted = table["theory"].is_not_null().any()
    pick = alt.selection_point(fields=["series"], bind="legend")
    told = {"text": "growth rate (nats/step)", "most": "most networks"}
    told |= {"predicted": "theory (nats/step)", "law": "law"} if predicted else {}
    place = alt.Chart().encode(
        x=alt.X("width:O", title="width", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        xOffset=alt.XOffset("series:N", sort=series),
        opacity=unless_other_picked(pick, 1, 0.1),
        tooltip=tooltip("cell", "width", name="series", **told),
    )
    base = place.encode(color=colour(series, rates))
    y = axis_of_rates("growth rate (nats/step)")
    bar = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.6)
    dot = base.encode(y=alt.Y("rate:Q", **y))
    diamonds = [
        place.transform_filter(f"isValid(datum.theory) && datum.validity == '{validity}'")
        .mark_point(style="theory-point", filled=filled)
        .encode(y=alt.Y("theory:Q", **y))
        for validity, filled in (("exact", True), ("large width", False))
        if validity in set(table.drop_nulls("theory")["validity"].to_list())
    ]
    present = set(rates["kind"].to_list())
    # A layer without rows would have no extent.
    kinds = {
        EVERY_REPLICATE: dot.transform_filter(f"datum.kind == '{EVERY_REPLICATE}'").mark_point(filled=True, size=34),
        SURVIVORS: dot.transform_filter(f"datum.kind == '{SURVIVORS}'").mark_point(size=34, strokeWidth=1.4),
        UNKNOWN: base.transform_filter(f"datum.kind == '{UNKNOWN}'")
        .mark_point(filled=True, size=34, shape="triangle-up")
        .encode(y=alt.value(5)),
    }
    remarks = [remark for kind, remark in REMARKS.items() if kind in present]
    remarks += [f"the axis is logarithmic beyond {LINEAR_RATE:g} on both sides of 0"]
    if predicted:
        remarks += ["diamonds: theory, filled where exact, open for large width"]
    remarks += shared_hues(rates, "cell", "width")
    columns = full_rows(len(cells), 8)
    return (
        alt.layer(
            alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(opacity=0.5).encode(y="zero:Q"),
            *diamonds,
            bar.encode(y=alt.Y("low:Q", **y), y2="high:Q"),
            *(layer for kind, layer in kinds.items() if kind in present),
            data=inline(table),
        )
        .properties(width=max(90, min(420, ROW_WIDTH // columns)), height=200)
        .add_params(pick)
        .facet(
            alt.Facet("cell:N", sort=cells, title=None, header=alt.Header(labelFontWeight="bold", labelExpr=LINES)),
            columns=columns,
        )
        .resolve_axis(x=own_axes(len(cells), columns))
        .properties(
            title=title(
                f"Growth rate of the norm over the last decade before {horizon_text(rows)}",
                "; ".join(["Mean over replicates with its 95 % interval (often within the dot)", *remarks]),
            )
        )
    )


def oracle_charts(oracles: pl.DataFrame) -> dict[str, ChartType]:
    """Measurements whose truth is known: where the truth lies in each interval, and the PITs against uniform.

    oracles: rows of `rnnmc.statistics.oracles.checks`; those that leave nothing to chance are left out.
    """
    random = oracles.filter(pl.col("quantity") != "certain").with_columns(pl.col("holds").cast(pl.String))
    ahead = pl.col("truth") - pl.col("estimate")
    room = pl.when(ahead >= 0).then(pl.col("high") - pl.col("estimate")).otherwise(pl.col("estimate") - pl.col("low"))
    # An interval that ends at the truth that it hits has no room there.
    place = pl.when(ahead == 0).then(0.0).otherwise(ahead / room).clip(-FURTHEST, FURTHEST).alias("place")
    known = random.with_columns(place).drop_nulls("place")
    return (
        {} if known.is_empty() else {"self-validation-intervals": _places(known), "self-validation-pit": _pits(random)}
    )


def _places(known: pl.DataFrame) -> ChartType:
    """One tick a measurement at the place of the truth in its interval, one row a law."""
    laws = known["law"].unique().sort().to_list()
    table = known.select(*CHECKED, "place", "truth", "estimate", "low", "high", "holds")
    edges = alt.Chart(alt.InlineData(values=[{"edge": -1}, {"edge": 1}])).mark_rule(style="theory").encode(x="edge:Q")
    ticks = (
        alt.Chart(inline(table))
        .mark_tick(thickness=1.5, opacity=0.75, height={"band": 0.7})
        .encode(
            x=alt.X(
                "place:Q",
                scale=alt.Scale(domain=[-FURTHEST, FURTHEST]),
                title="place of the truth: 0 is the estimate, -1 and 1 the bounds",
                axis=alt.Axis(grid=False, values=list(range(-FURTHEST, FURTHEST + 1)), format="~g"),
            ),
            y=alt.Y("law:N", sort=laws, title=None),
            color=alt.Color(
                "holds:N",
                scale=alt.Scale(domain=["true", "false"], range=["#159A78", OUTCOMES["explode"]]),
                legend=alt.Legend(
                    title=None, orient="top", symbolOpacity=1, labelExpr="datum.value == 'true' ? 'held' : 'missed'"
                ),
            ),
            tooltip=tooltip(*CHECKED, "truth", "estimate", low="from", high="to"),
        )
    )
    return alt.layer(ticks, edges).properties(
        width=ROW_WIDTH,
        height=alt.Step(26),
        title=title(
            "Self-validation: where the truth lies in the intervals",
            "One mark a measurement whose truth an exact law gives; dashed: the bounds of the interval, which some "
            f"of many miss; beyond {FURTHEST} half-widths a mark is at the edge",
        ),
    )


def _pits(known: pl.DataFrame) -> ChartType:
    """The sorted PITs of all laws together against the quantiles of the uniform distribution."""
    uniform = ((pl.int_range(pl.len()) + 0.5) / pl.len()).alias("uniform")
    table = known.sort("pit", "law", "horizon").select(uniform, *CHECKED, "pit")
    dots = (
        alt.Chart(inline(table))
        .mark_point(filled=True, size=14, color=SERIES[0])
        .encode(
            x=alt.X("uniform:Q", scale=alt.Scale(domain=[0, 1]), title="uniform"),
            y=alt.Y("pit:Q", scale=alt.Scale(domain=[0, 1]), title="probability of what was measured, or less"),
            tooltip=tooltip(*CHECKED, "pit"),
        )
    )
    diagonal = alt.Chart(alt.InlineData(values=[{"a": 0}, {"a": 1}])).mark_line(style="theory").encode(x="a:Q", y="a:Q")
    return alt.layer(dots, diagonal).properties(
        width=360,
        height=360,
        title=title(
            "Self-validation: the measurements against their laws",
            "Sorted probabilities, under the exact law, of what was measured or less; dashed: their mean places",
        ),
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
