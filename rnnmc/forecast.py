"""What a study will cost before it runs: rows, bytes, and time, by running a few steps of each kind of point."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from rnnmc.block import blocks, partition, run_block
from rnnmc.study import DesignPoint, PlannedPoint

BYTES_A_ROW = 8.0  # measured on the default study, compressed
SHORT, LONG = 4, 16  # steps of the two trial runs


@dataclass(frozen=True)
class Cost:
    """Of one planned point. blocks: shards. rows: of samples. size: bytes on disk. seconds: on one core."""

    blocks: int
    rows: int
    size: float
    seconds: float


def costs(points: Iterable[PlannedPoint]) -> list[Cost]:
    """The cost of each planned point; points that differ only in their laws are timed once."""
    known: dict[tuple[object, ...], tuple[float, float]] = {}
    result = []
    for planned in points:
        point = planned.point
        kind = (point.cell, point.width, point.weights, point.dtype, point.drive.name, point.drive.dimension)
        if kind not in known:
            known[kind] = _trial(point)
        a_step, a_horizon = known[kind]
        cut = partition(point)
        tiles = -(-planned.replicates // cut.tile)
        seconds = tiles * (a_step * point.horizons[-1] + a_horizon * len(point.horizons))
        rows = planned.replicates * len(point.horizons)
        result.append(Cost(len(blocks(planned.replicates, cut.block)), rows, rows * BYTES_A_ROW, seconds))
    return result


def _trial(point: DesignPoint) -> tuple[float, float]:
    """(seconds of one step, of one logged horizon) of one tile, after a first run that is not counted."""
    tile = partition(point).tile
    times = []
    for horizons in ((1,), (SHORT,), (LONG,), tuple(range(1, LONG + 1))):
        trial = point.model_copy(update={"horizons": horizons})
        begin = time.perf_counter()
        run_block(trial, 0, min(tile, partition(trial).block))
        times.append(time.perf_counter() - begin)
    _, short, long, logged = times
    return max((long - short) / (LONG - SHORT), 1e-9), max((logged - long) / (LONG - 1), 0.0)
