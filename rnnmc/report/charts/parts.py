"""What the figures of a study have in common: colours, axes, legends, panels and how their data travel."""

import textwrap
from typing import Any, Literal

import altair as alt
import polars as pl

from rnnmc.report.text import interval_names

# From Okabe and Ito (2008): told apart under every common colour blindness, on light and on dark ground.
OUTCOMES = {"vanish": "#0072B2", "stable": "#B4B9C1", "explode": "#D55E00"}
# None of these can be taken for the colour of an outcome.
SERIES = ["#8E63CE", "#159A78", "#C94F8C", "#9A8A1F", "#3FA7D6", "#7A6A5B"]
DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2])  # where lines are more than colours
SUBTITLE_WIDTH = 165  # characters of a line, about as wide as a row of panels
VL_VERSION = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
INK = "#22262b"  # of figures that stand by themselves
# The name of a panel, a line for each factor and more for a long one.
LINES = (
    "split(replace(replace(datum.label, /[,;] /g, '\\n'), /(?![^\\n]{1,20}(\\n|$))([^\\n]{1,20}) /g, '$2\\n'), '\\n')"
)
LINEAR_RATE = 0.3  # nats a step: an axis of rates is logarithmic beyond
PANELS_A_ROW = 3
ROW_WIDTH = 780  # of a row of panels, in pixels; with axes and legend about 1,000


def config(ink: str, background: str | None = "white") -> dict:
    """The Vega-Lite configuration behind every chart: type, grid and margins, drawn in the colour `ink`."""
    faint = {"gridColor": ink, "gridOpacity": 0.12, "domainColor": ink, "domainOpacity": 0.4}
    text = {
        "labelColor": ink,
        "titleColor": ink,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    }
    return {
        "background": background,
        "padding": 8,
        "font": "Helvetica Neue, Helvetica, Arial, sans-serif",
        "view": {"stroke": ink, "strokeOpacity": 0.15},
        "axis": {**text, **faint, "tickColor": ink, "tickOpacity": 0.4},
        "legend": {**text, "labelLimit": 420, "symbolStrokeWidth": 2.5},
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
        # What theory says looks the same everywhere: ink, dashed, thin, and never a colour of a measurement.
        "style": {
            "theory": {"color": ink, "strokeDash": [5, 3], "strokeWidth": 1.3},
            "bound": {"color": ink, "strokeDash": [1, 3], "strokeWidth": 1.3},
            "theory-point": {"color": ink, "shape": "diamond", "size": 80, "strokeWidth": 1.3},
        },
    }


def axis_of_rates(name: str) -> dict[str, Any]:
    """Of rates in nats a step, to scale near 0 and by their logarithm beyond: some lie far below those that matter."""
    axis = alt.Axis(values=[-100, -30, -10, -3, -1, -0.3, 0, 0.3, 1, 3], format="~g")
    return {"title": name, "scale": alt.Scale(type="symlog", constant=LINEAR_RATE), "axis": axis}


def inline(table: pl.DataFrame) -> alt.InlineData:
    """The table as CSV inside the chart: a third of the size of JSON rows, and null is simply empty."""
    parse = {name: "number" for name, kind in table.schema.items() if kind.is_numeric()}
    floats = [name for name, kind in table.schema.items() if kind.is_float()]
    text = table.with_columns(pl.col(floats).round_sig_figs(5)).write_csv()
    return alt.InlineData(values=text, format=alt.CsvDataFormat(type="csv", parse=parse))


def title(text: str, subtitle: str, width: int = SUBTITLE_WIDTH) -> alt.TitleParams:
    """A chart's title and, below it, how to read the chart, in as many lines as it takes.

    width: of a line of the subtitle, in characters; those of the title are larger.
    """
    said = [
        textwrap.wrap(words, reach, break_on_hyphens=False)
        for words, reach in ((text, 3 * width // 4), (subtitle, width))
    ]
    lines, below = (one if len(one) > 1 else words for one, words in zip(said, (text, subtitle), strict=True))
    return alt.TitleParams(text=lines, subtitle=below)


def full_rows(number: int, most: int) -> int:
    """How many columns so many panels take, at most so many, with no row that is not full if that can be."""
    return number if number <= most else next((n for n in range(most, 1, -1) if number % n == 0), most)


def own_axes(number: int, columns: int) -> Literal["independent", "shared"]:
    """Whether each of so many panels has an axis of its own: beneath a row that is not full Vega-Lite draws those that
    are shared without a panel.
    """
    return "independent" if number % columns else "shared"


def tooltip(*fields: str, **named: str) -> list[alt.Tooltip]:
    """What a chart says under the pointer: fields under their own names, then fields under others."""
    plain = [alt.Tooltip(f"{field}:N", title="setting" if field == "series" else field) for field in fields]
    return plain + [alt.Tooltip(f"{field}:N", title=title) for field, title in named.items()]


def thresholds_text(rows: pl.DataFrame) -> str:
    """What counts as vanished and as exploded, for a subtitle."""
    vanish, explode = rows["threshold_vanish"][0], rows["threshold_explode"][0]
    return f"Vanished: norm below {vanish:g}; exploded: above {explode:g}"


def interval_text(rows: pl.DataFrame) -> str:
    """`95 % Wilson interval`, for a subtitle; every kind that is among the rows."""
    return f"{100 * rows['level'][0]:g} % {interval_names(rows)} interval"


def unless_other_picked(pick: alt.Parameter, normal: float, faded: float):
    """Opacity that fades every series but the one picked in the legend."""
    return alt.when(pick).then(alt.value(normal)).otherwise(alt.value(faded))


def series_scale(series: list[str]) -> alt.Scale:
    """A colour for each series, of which there are no more than colours: see `rnnmc.report.hues`."""
    return alt.Scale(domain=series, range=SERIES[: len(series)])


def colour(series: list[str], rows: pl.DataFrame) -> alt.Color:
    """One colour a series, the same in every figure if there are enough; a legend of those present, where several."""
    present = set(rows["series"].to_list())
    shown = [name for name in series if name in present]
    if len(series) > len(SERIES):
        series = shown
    legend = legend_of(shown) if len(series) > 1 else None
    return alt.Color("series:N", scale=series_scale(series), sort=series, legend=legend)


def hue_colour(hues: list[str]) -> alt.Color:
    """The colour of `hue`: see `rnnmc.report.hues`."""
    return alt.Color("hue:N", scale=series_scale(hues), sort=hues, legend=legend_of(hues))


def colour_and_dash(field: str, names: list[str]) -> tuple[alt.Color, alt.StrokeDash]:
    """A colour and a dash for each name: those that are more than colours share these and differ in their dashes."""
    legend = legend_of(names) if len(names) > 1 else None
    colours = [SERIES[place % len(SERIES)] for place in range(len(names))]
    dashes = [DASHES[place // len(SERIES)] for place in range(len(names))]
    return (
        alt.Color(f"{field}:N", scale=alt.Scale(domain=names, range=colours), sort=names, legend=legend),
        alt.StrokeDash(f"{field}:N", scale=alt.Scale(domain=names, range=dashes), sort=names, legend=legend),
    )


def legend_of(names: list[str]) -> alt.Legend:
    """Colours and names above the panels, in as many columns as there is room for."""
    room = 880 // (sum(7 * len(name) + 30 for name in names) // len(names))
    columns = max(1, min(len(names), room))
    return alt.Legend(title=None, orient="top", values=names, columns=columns, symbolLimit=0, symbolOpacity=1)


def shared_hues(rows: pl.DataFrame, *place: str) -> list[str]:
    """What a subtitle says where several names of one place, such as a panel, have one colour."""
    several = rows.group_by(*place, "series").agg(pl.col("name").n_unique())["name"].max()
    return ["what has one colour differs in what the pointer says"] if isinstance(several, int) and several > 1 else []


def horizon_axis(curves: pl.DataFrame) -> alt.X:
    """Horizons on a logarithmic axis with labels at powers of ten, or at each horizon when there are few."""
    horizons = sorted(set(curves["horizon"].to_list()))
    first, last = horizons[0], horizons[-1]
    powers = [10**k for k in range(10) if first <= 10**k <= last]
    # Given outright, for a layer without rows has no extent of its own; a lone horizon stands in the middle.
    scale = alt.Scale(type="log", domain=[first, last] if first < last else [first / 2, last * 2], nice=False)
    values = powers if len(powers) > 1 else horizons[:6]
    return alt.X(
        "horizon:Q",
        scale=scale,
        title="horizon (steps)",
        axis=alt.Axis(values=values, format="," if last < 10_000 else "~s", labelOverlap=True),
    )


def nats_ticks(floor: float, ceiling: float) -> list[float]:
    """0 and plus or minus 3, 10, 30, 100, ... as far as the axis goes."""
    sizes = [digit * 10**power for power in range(9) for digit in (3, 10)]
    return [tick for tick in sorted([0, *sizes, *(-size for size in sizes)]) if floor <= tick <= ceiling]


def dots(curves: pl.DataFrame) -> alt.OverlayMarkDef | bool:
    """Dots on the lines where horizons are so few that a line alone could be too short to see."""
    return alt.OverlayMarkDef(size=22) if curves["horizon"].n_unique() <= 6 else False


def band(base: alt.Chart, curves: pl.DataFrame) -> alt.Chart:
    """The mark from a lower to an upper bound: an area, or a bar where there is but one horizon."""
    return (
        base.mark_area(invalid="break-paths-filter-domains")
        if curves["horizon"].n_unique() > 1
        else base.mark_rule(strokeWidth=7)
    )


def panel_width(curves: pl.DataFrame) -> int:
    """Pixels, so that the panels of all widths fill a row."""
    return max(150, min(420, ROW_WIDTH // len(panels(curves))))


def widths(curves: pl.DataFrame) -> alt.Column:
    """One panel a width, from left to right."""
    return alt.Column("panel:N", sort=panels(curves), title=None, header=alt.Header(labelExpr=LINES))


def facet(names: list[str]) -> alt.Facet:
    """One panel a name, in rows; a long name takes several lines."""
    return alt.Facet("panel:N", sort=names, title=None, header=alt.Header(labelExpr=LINES))


def beside_rows() -> alt.Header:
    """What stands to the left of a row of panels; with room, for letters may be wider where a figure is read."""
    return alt.Header(labelAngle=0, labelAlign="left", labelPadding=34)


def panels(rows: pl.DataFrame) -> list[str]:
    """The names of the panels in order: one a width, or one a width and what else is said there."""
    if "panel" in rows.columns:
        return rows.sort("width", maintain_order=True)["panel"].unique(maintain_order=True).to_list()
    return [f"width {width}" for width in sorted(set(rows["width"].to_list()))]
