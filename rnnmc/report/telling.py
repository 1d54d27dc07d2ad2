"""Of many design points the few that tell most: what each cell does, and between which of them that changes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import polars as pl

from rnnmc.common.words import listed
from rnnmc.report.text import varying_factors

DOES = {"vanish": "mostly vanish", "stable": "mostly stay", "explode": "mostly explode", "": "without a clear majority"}
FEW_CHANGES = 5  # that are shown at least, where there are so many; otherwise one a cell
MOST_ROWS = 20  # of a table, so that the end of a run fits a terminal


def class_of(row: dict[str, Any]) -> str:
    """What more than half of the replicates surely do at the last horizon, a key of DOES; "" where it is not known."""
    return next((event for event in ("vanish", "stable", "explode") if row[f"p_{event}_at_low"] > 0.5), "")


def sentences(rows: pl.DataFrame, most: int = MOST_ROWS) -> list[str]:
    """What the design points of each cell do, cells that do the same together; rows: `rnnmc.report.text.main_rows`."""
    cells: dict[str, list[str]] = {}
    for row in rows.iter_rows(named=True):
        cells.setdefault(row["cell"], []).append(class_of(row))
    alike: dict[tuple[tuple[int, str], ...], list[str]] = {}
    for cell, classes in cells.items():
        counts = sorted(((classes.count(kind), kind) for kind in DOES if kind in classes), key=lambda one: -one[0])
        alike.setdefault(tuple(counts), []).append(cell)
    said = [f"{listed(names)}: {_counted(counts, len(names) > 1)}." for counts, names in alike.items()]
    return said if len(said) <= most else [*said[: most - 1], f"And {len(said) - most + 1} more kinds of cell."]


def _counted(counts: tuple[tuple[int, str], ...], several: bool) -> str:
    """`20 of 25 design points mostly vanish, 5 mostly explode`; of each, where several cells are told of."""
    (number, kind), *others = counts
    total = sum(count for count, _ in counts)
    points = f"design point{'s' if total > 1 else ''}{' of each' if several else ''}"
    first = f"all {number} {points}" if not others and number > 1 else f"{number} of {total} {points}"
    return ", ".join([f"{first} {DOES[kind]}", *(f"{count} {DOES[other]}" for count, other in others)])


def telling(rows: pl.DataFrame, points: pl.DataFrame, most: int = MOST_ROWS) -> pl.DataFrame:
    """At most so many of the rows, in their order: all where they are few, else those where what networks do changes.

    Changes are looked for between neighbours, which differ in one factor alone, and each cell has its turn, at its
    widest networks first. rows: `rnnmc.report.text.main_rows` of `points`.
    """
    if rows.height <= most:
        return rows
    factors = ["width", *(name for name in varying_factors(points) if name in rows.columns)]
    changes = [list(_changes(own, factors)) for own in rows.with_row_index("place").partition_by("cell")]
    turns = [pair for pair in itertools.chain.from_iterable(itertools.zip_longest(*changes)) if pair is not None]
    chosen: set[int] = set()
    for pair in turns[: max(FEW_CHANGES, len(changes))]:
        if len(chosen | set(pair)) <= most:
            chosen |= set(pair)
    if not chosen:  # every cell does the same everywhere
        return rows.unique("cell", keep="last", maintain_order=True).head(most)
    return rows[sorted(chosen)]


def _changes(rows: pl.DataFrame, factors: list[str]) -> Iterator[tuple[int, int]]:
    """Places of neighbours of one cell that do not do the same, the widest first."""
    pairs = itertools.pairwise(rows.iter_rows(named=True))
    found = [
        (one, other)
        for one, other in pairs
        if sum(one[name] != other[name] for name in factors) == 1 and class_of(one) != class_of(other)
    ]
    for one, other in sorted(found, key=lambda pair: -pair[0]["width"]):
        yield one["place"], other["place"]


def telling_events(rows: pl.DataFrame, most: int = MOST_ROWS) -> pl.DataFrame:
    """At most so many rare events, in their order: all where they are few, else of those that differ in the horizon
    alone the one at the longest whose probability nothing speaks against.

    rows: `rnnmc.report.terminal.rare_rows`.
    """
    if rows.height <= most:
        return rows
    known = rows.filter(pl.col("reached") & (pl.col("doubt") == "")).sort("horizon", maintain_order=True)
    return known.unique(["event", "cell", "width", "setting"], keep="last", maintain_order=True).head(most)
