"""What a study will cost before it runs: rows, bytes, and time, by running a few steps of each kind of point."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rnnmc.block import blocks, observe_block, partition, run_block
from rnnmc.observables.observable import Observable
from rnnmc.study import DesignPoint, PlannedPoint

BYTES_A_ROW = 8.0  # measured on the default study, compressed
SHORT, LONG = 4, 16  # steps of the two trial runs
LOOKED_AT = 32  # steps of the trial run of an observable


@dataclass(frozen=True)
class Cost:
    """Of one planned point. blocks: of replicates. rows: of samples. size: bytes on disk. seconds: on one core.

    observables: name -> seconds on one core that looking at it adds; part of `seconds`.
    """

    blocks: int
    rows: int
    size: float
    seconds: float
    observables: dict[str, float]


def costs(points: Iterable[PlannedPoint]) -> list[Cost]:
    """The cost of each planned point; points that differ only in their laws are timed once."""
    known: dict[tuple[object, ...], tuple[float, float, dict[str, float]]] = {}
    result = []
    for planned in points:
        point = planned.point
        kind = (point.cell, point.width, point.weights, point.dtype, point.drive.name, point.drive.dimension)
        kind = (*kind, point.observables, partition(point).tile)
        if kind not in known:
            known[kind] = (*_trial(point), {one.name: _extra(point, one) for one in point.observables})
        a_step, a_horizon, extra = known[kind]
        cut = partition(point)
        tiles = -(-planned.replicates // cut.tile)
        last = point.horizons[-1]
        looking = {one.name: tiles * extra[one.name] * last**one.steps_power for one in point.observables}
        seconds = tiles * (a_step * last + a_horizon * len(point.horizons)) + sum(looking.values())
        seen = [(len(next(iter(one.index(point).values()))), one.bytes_a_row) for one in point.observables]
        a_replicate = [(len(point.horizons), BYTES_A_ROW), *seen]
        rows = planned.replicates * sum(number for number, _ in a_replicate)
        size = planned.replicates * sum(number * each for number, each in a_replicate)
        result.append(Cost(len(blocks(planned.replicates, cut.block)), rows, size, seconds, looking))
    return result


def _extra(point: DesignPoint, observable: Observable) -> float:
    """Seconds that the observable adds to one tile, a step to the power at which it grows."""
    times = {}
    for looking in ((), (observable,)):
        trial = point.model_copy(update={"horizons": (LOOKED_AT,), "observables": looking})
        count = min(partition(point).tile, partition(trial).block)
        times[looking] = min(_timed(lambda: observe_block(trial, 0, count)) for _ in range(2))  # noqa: B023
    return max(times[(observable,)] - times[()], 0.0) / LOOKED_AT**observable.steps_power


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _trial(point: DesignPoint) -> tuple[float, float]:
    """(seconds of one step, of one logged horizon) of one tile, after a first run that is not counted."""
    tile = partition(point).tile
    times = []
    for horizons in ((1,), (SHORT,), (LONG,), tuple(range(1, LONG + 1))):
        trial = point.model_copy(update={"horizons": horizons})
        times.append(_timed(lambda: run_block(trial, 0, min(tile, partition(trial).block))))  # noqa: B023
    _, short, long, logged = times
    return max((long - short) / (LONG - SHORT), 1e-9), max((logged - long) / (LONG - 1), 0.0)
