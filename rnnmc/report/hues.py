"""What the colours of a figure say: of however many series at most as many values as can be told apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import polars as pl

from rnnmc.report.charts.parts import SERIES
from rnnmc.report.text import labels, varying_factors, with_series

MOST_COLOURS = len(SERIES)
HEADS = ("$^", ", ", r", |\.(?=[A-Za-z])")  # where a label ends that is too long: nowhere, at what differs, at a layer
MOST_RESTS = 6  # values of what panels say beside the width, where a colour is not of one series
OTHERS = "others"
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")


def in_hues(points: pl.DataFrame) -> pl.DataFrame:
    """The points of `with_series` with `hue`, what a colour says, of at most MOST_COLOURS values, and `rest`, what the
    name of a panel says beside the width ("" where colours can say all).

    Factors of the fewest values go to the panels, until the others fit. Where none of that tells all points apart, the
    hue is what the factor with most values begins with, neighbours together where these are still too many.
    """
    named = varying_factors(points)
    factors = sorted(named, key=lambda name: points[name].n_unique())
    if points["series"].n_unique() <= MOST_COLOURS:
        return points.with_columns(pl.col("series").alias("hue"), pl.lit("").alias("rest"))
    for number in range(1, len(factors)):
        split = _split(points, labels(points, [name for name in named if name in factors[number:]]), factors[:number])
        alone = not split.select("cell", "width", "hue", "rest").is_duplicated().any()
        if alone and split["hue"].n_unique() <= MOST_COLOURS:
            return split
    *others, most = factors
    said = labels(points, [most])
    heads = [[re.split(end, one)[0] for one in said] for end in HEADS]
    told = few(next((own for own in heads if len(set(own)) <= MOST_COLOURS), heads[1]))
    beside = next(
        (others[:number] for number in range(len(others), 0, -1) if _values(points, others[:number]) <= MOST_RESTS), []
    )
    return _split(points, told, beside)


def hues_by_cell(points: pl.DataFrame) -> pl.DataFrame:
    """`in_hues` of the points: the same hues for all cells where these have few series, else those of each cell."""
    named = with_series(points)
    if named["series"].n_unique() <= MOST_COLOURS:
        return in_hues(named)
    return pl.concat(in_hues(with_series(own)) for own in named.partition_by("cell", maintain_order=True))


def with_width_hues(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows by width, with `hue`: the width, or several that are neighbours."""
    by_width = rows.sort("width", maintain_order=True)
    return by_width.with_columns(pl.Series("hue", few([f"width {width}" for width in by_width["width"]])))


def ordered_hues(points: pl.DataFrame) -> list[str]:
    """The hues that there are, in the order of the points but for numbers, which rise; `others` at the end."""
    hues = points["hue"].unique(maintain_order=True).to_list()
    begins = list(dict.fromkeys(NUMBER.split(hue)[0] for hue in hues))
    return sorted(hues, key=lambda hue: (hue == OTHERS, begins.index(NUMBER.split(hue)[0]), _numbers_in(hue)))


def in_curves(table: pl.DataFrame, points: pl.DataFrame, along: str) -> pl.DataFrame:
    """Rows with cell, width, series (the hue), name and panel of each point, those of one curve together.

    points: with hue and rest. along: the column that orders the rows of a curve.
    """
    own = points.select("point", "cell", "width", "rest", name="series", series="hue")
    return (
        table.with_columns(pl.col("point").cast(pl.String))
        .join(own, on="point")
        .sort("width", "rest", "series", "name", along, maintain_order=True)
        .with_columns(in_panel(pl.format("width {}", "width")).alias("panel"))
    )


def in_panel(name: pl.Expr) -> pl.Expr:
    """A name and the rest, if there is any."""
    return pl.concat_str(name, pl.col("rest").replace("", None), separator="; ", ignore_nulls=True)


def few(names: Sequence[str]) -> list[str]:
    """What a colour says of each name: of at most MOST_COLOURS values, in the order in which these are first said.

    Names that differ in numbers alone go together with their neighbours: `gaussian 0.5 to 1`. Where that is not
    enough, all but the most frequent are `others`.
    """
    kinds: dict[str, list[str]] = {}
    for name in sorted(dict.fromkeys(names), key=_numbers_in):
        kinds.setdefault(NUMBER.sub("#", name), []).append(name)
    if len(set(names)) <= MOST_COLOURS:
        return list(names)
    if len(kinds) > MOST_COLOURS:
        common = {name for name, _ in Counter(names).most_common(MOST_COLOURS - 1)}
        return [name if name in common else OTHERS for name in names]
    parts = dict.fromkeys(kinds, 1)
    for _ in range(MOST_COLOURS - len(kinds)):
        parts[max(kinds, key=lambda kind: len(kinds[kind]) / parts[kind])] += 1
    told = {}
    for kind, own in kinds.items():
        for part in range(parts[kind]):
            together = own[part * len(own) // parts[kind] : (part + 1) * len(own) // parts[kind]]
            told |= {name: _span(together[0], together[-1]) for name in together}
    return [told[name] for name in names]


def _numbers_in(name: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(name)]


def _span(first: str, last: str) -> str:
    """`gaussian 0.5 to 1`, or both names where they differ in more than one number."""
    if first == last:
        return first
    ends = [(one, other) for one, other in zip(NUMBER.finditer(first), NUMBER.findall(last), strict=True)]
    differing = [(one, other) for one, other in ends if one[0] != other]
    if len(differing) > 1:
        return f"{first} to {last}"
    ((place, end),) = differing
    return f"{first[: place.end()]} to {end}{first[place.end() :]}"


def _split(points: pl.DataFrame, hue: list[str], beside: list[str]) -> pl.DataFrame:
    return points.with_columns(
        pl.Series("hue", hue, dtype=pl.String), pl.Series("rest", labels(points, beside), dtype=pl.String)
    )


def _values(points: pl.DataFrame, factors: list[str]) -> int:
    return len(set(labels(points, factors)))
