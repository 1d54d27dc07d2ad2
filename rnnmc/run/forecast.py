"""What a study will cost before it runs: rows, bytes, and time.

Time is measured: the kinds of point that the cost model finds dearest run a few steps each. Of the others the model
says how they compare, and the measured ones how fast this machine is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rnnmc.engine.block import BYTES_A_ROW, block_seconds, blocks, partition, run_trial
from rnnmc.observables.observable import Observable
from rnnmc.study.study import DesignPoint, PlannedPoint

MOST_TRIALS = 24  # kinds of point that are run
TRIAL_SECONDS = 0.05  # nominal, of one trial run
FEWEST_STEPS, MOST_STEPS = 16, 512  # of the longer of two trial runs
LOOKED_AT = 32  # steps of the trial run of an observable

Kind = tuple[object, ...]


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


@dataclass(frozen=True)
class _Trial:
    """Seconds of one step, of one logged horizon, and of looking with each observable, all of one tile."""

    step: float
    horizon: float
    looking: dict[str, float]

    def seconds(self, planned: PlannedPoint) -> tuple[float, dict[str, float]]:
        """(of the chain, of each observable) for all replicates of a point of this kind."""
        point, last = planned.point, planned.point.horizons[-1]
        tiles = -(-planned.replicates // partition(point).tile)
        looking = {one.name: tiles * self.looking[one.name] * last**one.steps_power for one in point.observables}
        return tiles * (self.step * last + self.horizon * len(point.horizons)), looking


def costs(points: Sequence[PlannedPoint]) -> list[Cost]:
    """The cost of each planned point; points that differ only in their laws are one kind."""
    nominal = [block_seconds(planned.point, planned.replicates) for planned in points]
    kinds = [_kind(planned.point) for planned in points]
    weight: dict[Kind, float] = {}
    for kind, seconds in zip(kinds, nominal, strict=True):
        weight[kind] = weight.get(kind, 0.0) + seconds
    run = {*sorted(weight, key=lambda kind: -weight[kind])[:MOST_TRIALS]}
    run |= {kind for kind, planned in zip(kinds, points, strict=True) if planned.point.observables}
    one_of = {kind: planned.point for kind, planned in zip(kinds, points, strict=True) if kind in run}
    trials = {kind: _trial(point) for kind, point in one_of.items()}
    found = [trials[kind].seconds(one) if kind in trials else None for kind, one in zip(kinds, points, strict=True)]
    slower = statistics.median([one[0] / seconds for one, seconds in zip(found, nominal, strict=True) if one])
    return [
        _cost(planned, *(one or (slower * seconds, {})))
        for planned, one, seconds in zip(points, found, nominal, strict=True)
    ]


def _kind(point: DesignPoint) -> Kind:
    drawn = (point.weights, point.dtype, point.drive.name, point.drive.dimension)
    cut = partition(point)
    return (point.cell, point.width, *drawn, point.observables, cut.tile, cut.kernel)


def _cost(planned: PlannedPoint, chain: float, looking: dict[str, float]) -> Cost:
    point = planned.point
    seen = [(len(next(iter(one.index(point).values()))), one.bytes_a_row) for one in point.observables]
    a_replicate = [(len(point.horizons), BYTES_A_ROW), *seen]
    rows = planned.replicates * sum(number for number, _ in a_replicate)
    size = planned.replicates * sum(number * each for number, each in a_replicate)
    cut = len(blocks(planned.replicates, partition(point).block))
    return Cost(cut, rows, size, chain + sum(looking.values()), looking)


def _trial(point: DesignPoint) -> _Trial:
    """Timed after a first run that is not counted."""
    a_step = block_seconds(point, partition(point).tile) / point.horizons[-1]
    long = min(max(FEWEST_STEPS, int(TRIAL_SECONDS / a_step)), MOST_STEPS)
    short = long // 4
    ladder = (*range(short, long, max(1, long // 16)), long)
    _, brief, whole, logged = (_timed(lambda: run_trial(point, to)) for to in ((long,), (short,), (long,), ladder))  # noqa: B023
    looking = {one.name: _extra(point, one) for one in point.observables}
    return _Trial(max((whole - brief) / (long - short), 1e-9), max((logged - whole) / (len(ladder) - 1), 0.0), looking)


def _extra(point: DesignPoint, observable: Observable) -> float:
    """Seconds that the observable adds to one tile, a step to the power at which it grows."""
    times = {}
    for looking in ((), (observable,)):
        times[looking] = min(_timed(lambda: run_trial(point, (LOOKED_AT,), looking)) for _ in range(2))  # noqa: B023
    return max(times[(observable,)] - times[()], 0.0) / LOOKED_AT**observable.steps_power


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
