"""Which directions serve which horizons, what sweeping them takes, and how many replicates share a tile."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

from rnnmc.cells import cell as cell_of
from rnnmc.engine.compiled.symbols import Untraceable
from rnnmc.engine.compiled.trace import traced
from rnnmc.engine.swept.factors import factors_of
from rnnmc.study.point import DesignPoint

LEAST_DIRECTIONS = (
    4  # directions, and normal rows, to the last horizon; twice as many to the anchor before it, and so on
)
ANCHORS = 3.2  # from one to the next, at least
LARGEST_SHARE = 4  # of the state: more directions than a fourth of it are not worth their bound
FULL_SHARE = 0.3  # of the work of the sweeps, for the full product at short horizons
ROWS_SWEPT = 16  # to the last horizon, in all
STORE = 1 << 25  # bytes of what is kept of the steps of a tile
MOST_STORED, MOST_STORED_IF_NARROW = 1 << 28, 1 << 26  # of one replicate; a fifth of what a process takes anyway
MOST_TOGETHER = 32  # replicates of a tile
ROUNDED_TO = 32  # units, nominally, of what is kept: see EVEN_PANELS in step.h
MANY_HORIZONS = 8  # beyond them, one sweep of ever fewer columns takes less than sweeps for each of them (measured)
NARROW_FROM, ROWS_BESIDE = 13, 8  # steps from which columns become fewer, as one over the time; rows beside them


class Group(NamedTuple):
    """Horizons that are served by the directions of the last of them, so many, and of normal rows as many."""

    times: tuple[int, ...]
    directions: int


def narrows(horizons: tuple[int, ...]) -> bool:
    """Whether there are so many horizons that one sweep of ever fewer columns serves them all."""
    return len(horizons) > MANY_HORIZONS


def groups_of(horizons: tuple[int, ...], state_size: int) -> list[Group]:
    """The groups of a point, from the last horizons to shorter ones; before them the full product is taken."""
    found: list[Group] = []
    limit = FULL_SHARE * ROWS_SWEPT * horizons[-1] / state_size
    rest, directions = [horizon for horizon in horizons if horizon > limit], LEAST_DIRECTIONS
    while rest and directions * LARGEST_SHARE <= state_size:
        times = tuple(horizon for horizon in rest if horizon * ANCHORS > rest[-1])
        found.append(Group(times, directions))
        rest, directions = rest[: -len(times)], 2 * directions
    return found


def row_steps(horizons: tuple[int, ...], state_size: int) -> float:
    """How many directions are taken through how many steps, in all, where no replicate needs more.

    Of a narrowing sweep, as long as half the state soon says nothing of its own, as in cells of two parts.
    """
    if narrows(horizons):
        last = horizons[-1]
        shorter = NARROW_FROM * (1 + math.log(max(last, NARROW_FROM) / NARROW_FROM))
        return state_size * shorter / 2 + ROWS_BESIDE * last
    groups, total, before = groups_of(horizons, state_size), 0.0, 0
    for group in groups:
        anchor, again = group.times[-1], group.times[-2] if len(group.times) > 1 else 0
        total += 2 * (group.directions - before) * anchor + group.directions * (anchor + again)
        before = group.directions
    rest = [horizon for horizon in horizons if not groups or horizon < groups[-1].times[0]]
    return total + state_size * max(rest, default=0)


@cache
def kept_vectors(cell: str, layers: int = 1, residual: bool = False) -> int | None:
    """Vectors that are kept of each step for its sweeps; None where the cell has none."""
    try:
        return len(factors_of(traced(cell_of(cell, layers, residual))).vectors)
    except Untraceable:
        return None


def stored_bytes(point: DesignPoint) -> float | None:
    """What is kept of all steps of a replicate; None where the cell has no sweeps."""
    vectors = kept_vectors(point.cell, point.layers, point.residual)
    if vectors is None:
        return None
    size, across = 4 if point.dtype == "float32" else 8, -(-point.width // ROUNDED_TO) * ROUNDED_TO
    return float(max(1, vectors)) * size * across * point.horizons[-1]


def tile_of(point: DesignPoint) -> int:
    """Replicates that are swept together."""
    together = min(MOST_TOGETHER, int(STORE / (stored_bytes(point) or STORE)))
    return 1 << max(0, together.bit_length() - 1)
