"""How improbable an event is, for studies of rare events: one line a setting, from certain to once in a quadrillion."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from html import escape
from typing import Any

import polars as pl

from rnnmc.report.leads.lead import OUTCOME_WORDS, Lead, legend, one_in, percent, units
from rnnmc.report.text import points_of, with_series

TABLE = "statistics-rare"
MOST_LINES = 10  # of an event
LIKELY = 0.05  # from which on per cent say it


def lead(rows: pl.DataFrame, points: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> Lead | None:
    """Of each event the probability in every setting of one width and horizon, of those with most settings the longest.

    points: with those that are split for an event.
    """
    table = tables.get(TABLE)
    if table is None or table.is_empty():
        return None
    ends = _events(table, points)
    panels = [
        _named(max(own.partition_by("width", "horizon"), key=_how_many_and_long), points)
        for own in ends.partition_by("event", maintain_order=True)
    ]
    least = min(10.0 ** math.floor(math.log10(value)) for one in panels for value in one["p"] if value > 0)
    figure = "".join(_panel(one, least) for one in panels)
    doubted = any(row["doubt"] and row["reached"] for one in panels for row in one.iter_rows(named=True))
    caption = (
        f"Probability of one random network, on a logarithmic scale from 1 in {one_in(least)} to always; the line is "
        "what it may be, an open dot how far down none was found."
        + (" A question mark: the populations of networks behind it agree too little to trust it." if doubted else "")
    )
    names = {kind: f"{OUTCOME_WORDS[kind]} networks" for kind in ends["kind"].unique(maintain_order=True)}
    return Lead(
        "rare",
        "How improbable is it?",
        " ".join(_answer(one) for one in panels),
        f'{legend(names)}<div class="sides">{figure}</div>',
        caption,
        "observable-rare",
    )


def _events(table: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """The last row of each design point, which is its event or as far as was found, with what the point is."""
    events = {
        key: split["event"]
        for key, text in points.select(pl.col("point").cast(pl.String), "json").iter_rows()
        if (split := json.loads(text).get("splitting"))
    }
    last = table.with_columns(pl.col("point").cast(pl.String)).group_by("point", maintain_order=True).last()
    event = pl.col("point").replace_strict(events)
    last = last.join(points.select(pl.col("point").cast(pl.String), "width"), on="point", maintain_order="left")
    return last.select("point", "width", "horizon", "p", "p_low", "p_high", "reached", "doubt").with_columns(
        event=event, kind=event.str.split("_").list.first()
    )


def _how_many_and_long(own: pl.DataFrame) -> tuple[int, int, int]:
    return own.height, own["horizon"][0], -own["width"][0]


def _answer(own: pl.DataFrame) -> str:
    """The most probable setting of an event, and how many are found nowhere."""
    found, count = own.filter("reached").sort("p", descending=True, maintain_order=True), own.height
    never = count - found.height
    if found.is_empty():
        return f"In no setting was a network found whose gradient {_what(own)}."
    first = found.row(0, named=True)
    perhaps = "perhaps " if first["doubt"] else ""
    of = " of" if first["p"] >= LIKELY else ""
    networks = f"{first['name']} networks of {units(first['width'])}"
    said = f"The gradient {_what(own)} in {perhaps}{_often(first['p'])}{of} {networks}"
    said += ", and more rarely elsewhere" if count > 1 else ""
    return f"{said}; in {never} of {count} settings none was found." if never else f"{said}."


def _what(own: pl.DataFrame) -> str:
    """`has exploded after 300 steps`, `stays between the thresholds for 300 steps`."""
    row = own.row(0, named=True)
    last, by = f"{row['horizon']:,} steps", row["event"].endswith("_by")
    if row["kind"] == "stable":
        return f"is kept throughout {last}" if by else f"is kept after {last}"
    return f"has {OUTCOME_WORDS[row['kind']]} {'within' if by else 'after'} {last}"


def _often(p: float) -> str:
    return percent(p) if p >= LIKELY else f"1 in {one_in(p)}"


def _named(own: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """With `name`: what differs between these settings."""
    those = with_series(points_of(own, points))
    name = pl.col("series")
    if those["series"].n_unique() < those.height:
        name = pl.format("{} {}", "cell", "series")
    return own.join(those.select("point", name=name), on="point", maintain_order="left")


def _panel(own: pl.DataFrame, least: float) -> str:
    """One event: a line a setting, the most probable first."""
    row = own.row(0, named=True)
    order = own.sort("reached", "p", descending=True, maintain_order=True)
    lines = "".join(_line(one, least) for one in order.head(MOST_LINES).to_dicts())
    head = f"{_what(own)}, {units(row['width'])}"
    left_out = order.height - MOST_LINES
    rest = f'<li class="rest">{left_out} more below</li>' if left_out > 0 else ""
    return f'<div class="panel"><h2>{escape(head)}</h2><ol class="lifetimes rare">{lines}{rest}</ol></div>'


def _line(row: Mapping[str, Any], least: float) -> str:
    def place(p: float) -> float:
        return 100 * (1 - math.log(max(p, least)) / math.log(least))

    low, high = row["p_low"] or row["p"], row["p_high"] or row["p"]
    said = _often(row["p"]) + (" ?" if row["doubt"] else "") if row["reached"] else f"< 1 in {one_in(high)}"
    span = f'<i class="{row["kind"]}" style="left:{place(low):.1f}%;width:{place(high) - place(low):.1f}%"></i>'
    dot = f'<b class="{row["kind"]}{"" if row["reached"] else " open-dot"}" style="left:{place(row["p"]):.1f}%"></b>'
    track = f'<span class="track">{span if row["reached"] else ""}{dot}</span>'
    name, value = (
        f'<span class="{kind}">{escape(text)}</span>' for kind, text in (("name", row["name"]), ("value", said))
    )
    return f'<li class="line">{name}{track}{value}</li>'
