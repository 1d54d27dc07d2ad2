"""A chart of one's own choosing from the statistics of a study: one column against another."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl

from rnnmc.common.errors import UsageError
from rnnmc.report.charts.parts import DASHES, SERIES, colour_and_dash, inline, title
from rnnmc.report.text import study_points

SHORT = {"init.recurrent.gaussian": "gain", "init.input.gaussian": "input_std"}
OF_NORM = {"measure": "log_spectral"}  # unless another is said
LOGARITHMIC = ("horizon", "width", "gain", "m")  # unless a value is zero
NO_FACTORS = ("json", "tile", "block", "kernel", "replicates", "half_width", "until", "oracle", "nested", "horizon")

MOST_LINES = len(DASHES) * len(SERIES)  # of one chart
TOLD = "what dictionary.csv in the folder says of statistics"


def with_factors(statistics: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """Statistics of the points that a study asks for, each row with every factor of its point.

    statistics, points: the tables of these names. A number inside of `init` or `drive` has a column of its own, such as
    `init.bias.forget`; `gain` and `input_std` are those of Gaussian laws.
    """
    points = with_numbers(study_points(points)).drop(NO_FACTORS, strict=False)
    return statistics.with_columns(pl.col("point", "measure").cast(pl.String)).join(points, on="point")


def with_numbers(points: pl.DataFrame) -> pl.DataFrame:
    """The rows of points.parquet with a column for each number inside of `init` or `drive`, null where none is."""
    inside = [dict(_numbers(json.loads(said))) for said in points["json"]]
    names = sorted({name for one in inside for name in one})
    return points.with_columns(
        pl.Series(SHORT.get(name, name), [one.get(name) for one in inside], dtype=pl.Float64) for name in names
    )


def chosen(table: pl.DataFrame, where: Mapping[str, str], x: str) -> pl.DataFrame:
    """The rows with these values, of the spectral norm and at the last horizon where nothing else is said.

    Raises UsageError for a column or a value that is not there.
    """
    wanted = OF_NORM | dict(where)
    for name, value in wanted.items():
        has_column(table, name, "--where")
        kept = table.filter(pl.col(name).cast(pl.String) == value)
        if table[name].dtype.is_numeric():
            kept = table.filter(pl.col(name) == _number(value, name))
        if kept.is_empty():
            there = ", ".join(str(one) for one in sorted(table[name].unique().drop_nulls().to_list())[:12])
            raise UsageError(f"--where {name}={value}: no row has it; there are {there}")
        table = kept
    if x != "horizon" and "horizon" not in where:
        table = table.filter(pl.col("horizon") == pl.col("horizon").max().over("point"))
    return table


def heading(study: str, where: Mapping[str, str], x: str, y: str) -> alt.TitleParams:
    """What is drawn, and of which rows, as `chosen` keeps them."""
    held = ", ".join(f"{name} {value}" for name, value in (OF_NORM | dict(where)).items())
    last = "" if x == "horizon" or "horizon" in where else "; at the last horizon of each design point"
    return title(f"{study}: {y} against {x}", f"{held}{last}")


def plotted(table: pl.DataFrame, x: str, y: str, by: Sequence[str] = ()) -> alt.LayerChart | alt.FacetChart:
    """Lines of y against x, one for each value of `by`, or of all that varies, with the interval of y where it has one.

    table: as `chosen` gives it. Raises UsageError where a column is not there, or is no number, where rows that would
    share a line differ in something else, or where there are too many lines to be told apart.
    """
    for name, option in ((x, "--x"), (y, "--y"), *((one, "--by") for one in by)):
        has_column(table, name, option)
    for name, option in ((x, "--x"), (y, "--y")):
        if not table[name].dtype.is_numeric():
            inside = _inside(table, name)
            remedy = f"inside of it are {', '.join(inside)}" if inside else "give it to --by, or another one"
            raise UsageError(f"{option} {name}: is not a column of numbers; {remedy}")
    if x == y:
        raise UsageError(f"--y {y}: is drawn along the other axis; give another column")
    table = table.filter(pl.col(x).is_not_null(), pl.col(y).is_finite())
    if table.is_empty():
        raise UsageError(f"--x {x}, --y {y}: no row has a finite number in both")
    by = by or _varying(table, x)
    together = list(dict.fromkeys([x, *by]))
    if table.select(together).is_duplicated().any():
        others = [*_factors(table), "replicates"]  # by which alone the points of nested designs may differ
        left = [name for name in others if name not in together and table[name].n_unique() > 1]
        them = "it" if len(left) == 1 else "each"
        raise UsageError(
            f"--by: a line would join points that differ in {', '.join(left)}; give {them} to --by or --where"
        )
    named = [name for name in together[1:] if table[name].n_unique() > 1]
    if (lines := table.select(named).n_unique() if named else 1) > MOST_LINES:
        few = " ".join(f"--where '{name}={table[name].drop_nulls()[-1]}'" for name in named)
        raise UsageError(
            f"--by {','.join(named)}: {lines} lines are too many to be told apart; keep fewer by some of {few}"
        )
    words = [pl.col(name).cast(pl.String).fill_null("-") for name in named]
    table = table.with_columns((pl.concat_str(words, separator=", ") if named else pl.lit(y)).alias("series"))
    ends = [f"{y}_{end}" for end in ("low", "high") if f"{y}_{end}" in table.columns]
    rows = table.sort(*named, x).select(*dict.fromkeys([x, y, *ends, "series"]))
    logarithmic = x in LOGARITHMIC and table[x].to_numpy().min() > 0
    axis = alt.X(f"{_escaped(x)}:Q", title=x, scale=alt.Scale(type="log" if logarithmic else "linear", nice=False))
    height = alt.Y(f"{_escaped(y)}:Q", title=y)
    colour, dash = colour_and_dash("series", _names(rows))
    base = alt.Chart(inline(rows), width=620, height=380).encode(x=axis, color=colour)
    faint = min(0.2, 0.8 / rows["series"].n_unique())
    layers = [base.mark_line(point=rows[x].n_unique() <= 12).encode(y=height, strokeDash=dash)]
    if len(ends) == 2:
        bounds = base.mark_area(opacity=faint) if rows[x].n_unique() > 1 else base.mark_rule(strokeWidth=7)
        layers.insert(0, bounds.encode(y=alt.Y(f"{ends[0]}:Q", title=y), y2=f"{ends[1]}:Q"))
    return alt.layer(*layers)


def _varying(table: pl.DataFrame, x: str) -> list[str]:
    """The factors that it takes, in their order, until each row has a line and a place of its own.

    What holds x, as `init` holds `gain`, comes last: alone it would give each point a line.
    """
    needed: list[str] = []
    for name in sorted(_factors(table), key=lambda name: x in _inside(table, name)):
        if not table.select(x, *needed).is_duplicated().any():
            break
        if name not in (x, "seed") and table[name].n_unique() > 1:
            needed.append(name)
    return needed


def _inside(table: pl.DataFrame, factor: str) -> list[str]:
    """The columns with the numbers inside of `init` or `drive`."""
    long = {short: name for name, short in SHORT.items()}
    return [name for name in table.columns if long.get(name, name).startswith(f"{factor}.")]


def has_column(table: pl.DataFrame, name: str, option: str) -> None:
    """Raises UsageError, naming the option, where the table has no such column."""
    if name not in table.columns:
        near = difflib.get_close_matches(name, table.columns, 3)
        remedy = f"did you mean {' or '.join(near)}? " if near else ""
        known = ", ".join([*_factors(table), *(one for one in table.columns if "." in one)])
        raise UsageError(f"{option} {name}: is not a column; {remedy}there are {known}, and {TOLD}")


def _names(rows: pl.DataFrame) -> list[str]:
    return rows["series"].unique(maintain_order=True).to_list()


def _factors(table: pl.DataFrame) -> list[str]:
    """The columns behind those of statistics, but for names of the same thing."""
    place = table.columns.index("cell")
    return [name for name in table.columns[place:] if "." not in name and name != "series"]


def _number(value: str, name: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"--where {name}={value}: is not a number; {name} is a column of numbers") from None


def _escaped(name: str) -> str:
    return name.replace(".", "\\.")


def _numbers(said: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """(where, number) of every number inside of the init and the drive of a point, as its JSON says it."""
    inside = {key: said[key] for key in ("init", "drive") if key in said} if not path else said
    for key, value in inside.items():
        where = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from _numbers(value, where)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield where, float(value)
