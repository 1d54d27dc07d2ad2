"""What a study will cost before it runs: rows, bytes, and time.

Time is measured: the kinds of point that the cost model finds dearest run a few steps each, as many as a moment allows,
and what they took is kept for the next time. Of the others the model says how they compare, and the measured ones of
their kernel how fast this machine is. What counts is the time of the processor, not that of the clock; where others
take the processor away, nothing is timed, and the model stands in for what is not known from before.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rnnmc.common.errors import RunError
from rnnmc.common.granted import own_cpus
from rnnmc.common.sources import digest_of_rnnmc
from rnnmc.engine.block import BYTES_A_ROW, Partition, block_seconds, chains_of, run_trial
from rnnmc.engine.choice import FEW_ROWS, plain_kernel, step_seconds
from rnnmc.numerics import trusted
from rnnmc.numerics.compiler import compiler
from rnnmc.observables.observable import Observable
from rnnmc.store.plan import POINTS_PARQUET
from rnnmc.store.proofs import SEAL, Damaged, read_sealed, sha256, write_sealed
from rnnmc.store.stored_point import StoredPoint
from rnnmc.store.timeline import TIMELINE

FEWEST_TRIALS, MOST_TRIALS = 3, 24  # kinds of point that are run
ALL_TRIALS, LOOKING_TRIALS = 0.3, 1.0  # timed seconds after which none is begun, and none that looks on
TRIAL_SECONDS = 0.02  # nominal, of one trial run
SWEPT_SECONDS = 0.06  # the same of a few directions, of which some replicates take twice what others do
WELL_KNOWN = 0.5  # of the work that is forecast, by kinds that were run, from which no others are
FEWEST_STEPS, MOST_STEPS = 16, 512  # of the longer of two trial runs
LOOKED_AT, LOOKED_AT_BRIEFLY = (8, 32), (2, 6)  # steps of two trial runs of an observable, and of those of a dear one
MOST_LOOK_SECONDS = 0.1  # of the first, from which it is dear
LOOK_SECONDS = 0.05  # of the processor, to find whether it is to be had
BUSY = 0.7  # of a core, below which it is not
FORECAST = "logs/forecast.json"  # below the folder of a study
TRIALS = "trials"  # of what is kept for this user
MOST_TRIAL_SECONDS, MOST_TRIAL_BYTES = 1.0, 1e9  # nominal, of a trial: what would take more goes by the model alone

Kind = tuple[object, ...]


@dataclass(frozen=True)
class Cost:
    """Of one planned point. blocks: of replicates. rows: of samples. size: bytes on disk. seconds: on one core.

    observables: name -> seconds on one core that looking at it adds; part of `seconds`. tried: whether a point of its
    kind was run, so that the time is measured.
    """

    blocks: int
    rows: int
    size: float
    seconds: float
    observables: dict[str, float]
    tried: bool


@dataclass(frozen=True)
class _Trial:
    """Seconds of one step, of one logged horizon, and of looking with each observable, all of one tile."""

    step: float
    horizon: float
    looking: dict[str, float]

    def seconds(self, stored: StoredPoint) -> tuple[float, dict[str, float]]:
        """(of the chain, of each observable) for all replicates of a point of this kind."""
        tiles, last = -(-stored.replicates * chains_of(stored.design) // stored.cut.tile), stored.horizons[-1]
        looking = {one.name: tiles * self.looking[one.name] * last**one.steps_power for one in stored.observables}
        return tiles * (self.step * last + self.horizon * len(stored.horizons)), looking


@dataclass
class Clock:
    """Seconds that trial runs have taken, of the processor and of the wall. busy: too few for the times to be true."""

    processor: float = 0.0
    wall: float = 0.0
    busy: bool = False

    def timed(self, work: Callable[[], object]) -> float:
        """Seconds of the processor that the work takes."""
        wall, begin = time.perf_counter(), time.process_time()
        work()
        taken = time.process_time() - begin
        self.processor, self.wall = self.processor + taken, self.wall + time.perf_counter() - wall
        return taken

    @property
    def share(self) -> float:
        """Of a core that was to be had: less than one where the machine is busy."""
        return min(1.0, self.processor / self.wall) if self.wall else 1.0


def costs(points: Sequence[StoredPoint], clock: Clock | None = None, tries: bool = True) -> list[Cost]:
    """The cost of each planned point; points that differ only in their laws are one kind. clock: of the trial runs.

    tries: whether there are any; else times are those that are kept, and of the rest the model's.
    """
    clock = clock or Clock()
    if tries:
        clock.timed(_wait_for_the_processor)
        clock.busy = clock.share < BUSY
    nominal = [block_seconds(stored.design, stored.replicates, stored.cut) for stored in points]
    kinds = [_kind(stored) for stored in points]
    weight: dict[Kind, float] = {}
    for kind, seconds in zip(kinds, nominal, strict=True):
        weight[kind] = weight.get(kind, 0.0) + seconds
    one_of = dict(zip(kinds, points, strict=True))
    trials = {kind: trial for kind, stored in one_of.items() if (trial := _known(_name(stored))) is not None}
    for looking, limit in ((False, ALL_TRIALS), (True, LOOKING_TRIALS)):
        some = {kind: stored for kind, stored in one_of.items() if bool(stored.observables) == looking}
        if tries and not clock.busy and not _well_known(some, set(trials), weight):
            dearest = _each_first(sorted(some, key=lambda kind: -weight[kind]), some)
            trials |= _tried([one_of[kind] for kind in dearest if kind not in trials], limit, clock)
    found = [trials[kind].seconds(one) if kind in trials else None for kind, one in zip(kinds, points, strict=True)]
    every = zip(points, found, nominal, strict=True)
    known = [(stored.cut.kernel, *one, seconds) for stored, one, seconds in every if one]
    ratios: dict[str, list[float]] = {}
    for kernel, chain, _, seconds in known:
        ratios.setdefault(kernel, []).append(chain / seconds)
    slower = {kernel: statistics.median(some) for kernel, some in ratios.items()}
    usual = statistics.median([ratio for some in ratios.values() for ratio in some] or [1.0])

    def by_model(stored: StoredPoint, seconds: float) -> tuple[float, dict[str, float]]:
        """Of a point that was not tried: as those that were."""
        names = [one.name for one in stored.observables]
        alike = {name: [seen[name] / model for _, _, seen, model in known if name in seen] for name in names}
        looking = {name: seconds * statistics.median(some) for name, some in alike.items() if some}
        return slower.get(stored.cut.kernel, usual) * seconds, looking

    return [
        _cost(stored, *(one or by_model(stored, seconds)), one is not None)
        for stored, one, seconds in zip(points, found, nominal, strict=True)
    ]


def by_the_clock(cost: Sequence[Cost], cpus: int) -> float:
    """Seconds on so many cores: no block is shared among them."""
    return max(sum(one.seconds for one in cost) / cpus, max(one.seconds / one.blocks for one in cost))


def leave_forecast(directory: Path, points: Sequence[StoredPoint]) -> None:
    """Leave what a study is forecast to take before it is sampled, with no trial run; once for what is planned there.

    What cannot be written is left out: it decides nothing.
    """
    planned, known = sha256((directory / POINTS_PARQUET).read_bytes()), forecast_of(directory)
    if known.get("of") == planned or (not known and (directory / TIMELINE).exists()):
        return  # where blocks are there already it would be no forecast
    cost, cpus = costs(points, tries=False), own_cpus()
    said = {"of": planned, "core_seconds": sum(one.seconds for one in cost), "cpus": cpus}
    said |= {"seconds": by_the_clock(cost, cpus), "tried": any(one.tried for one in cost)}
    said |= {"at_most": any(one.until is not None for one in points)}
    with suppress(RunError):
        write_sealed(directory / FORECAST, said)


def forecast_of(directory: Path) -> dict[str, Any]:
    """What `leave_forecast` has left: core_seconds, seconds on so many cpus, whether any kind of point was tried, and
    whether these are most that it can take; nothing where nothing is left, or it is not as it was written.
    """
    with suppress(Damaged):
        said = read_sealed(directory / FORECAST)
        return said if SEAL in said else {}
    return {}


def _well_known(one_of: dict[Kind, StoredPoint], known: set[Kind], weight: dict[Kind, float]) -> bool:
    """Whether no further kind needs to be run: one of each way is known, and WELL_KNOWN of the work in all."""
    ways = {_way(one_of[kind]) for kind in one_of.keys() & known}
    share = sum(weight[kind] for kind in one_of.keys() & known)
    return ways == {*map(_way, one_of.values())} and share >= WELL_KNOWN * sum(weight[kind] for kind in one_of)


def _tried(dearest: list[StoredPoint], limit: float, clock: Clock) -> dict[Kind, _Trial]:
    """What runs of these take, in their order, as many as the limit allows; it is kept for this user."""
    found: dict[Kind, _Trial] = {}
    begin = clock.processor
    for stored in dearest:
        late = clock.processor - begin > limit or len(found) >= MOST_TRIALS
        if (len(found) < FEWEST_TRIALS or not late) and _can_be_tried(stored):
            trial = found[_kind(stored)] = _trial(stored, clock)
            with suppress(OSError):
                trusted.keep(TRIALS, _name(stored), json.dumps(asdict(trial)).encode())
    return found


def _way(stored: StoredPoint) -> tuple[str, ...]:
    """Kernel and observables: the model says how points of one kernel compare, less well how kernels do, and of
    observables nothing.
    """
    return (stored.cut.kernel, *(one.name for one in stored.observables))


def _each_first(kinds: list[Kind], one_of: dict[Kind, StoredPoint]) -> list[Kind]:
    """The same kinds, one of each way before all others."""
    first = set({_way(one_of[kind]): kind for kind in reversed(kinds)}.values())
    return sorted(kinds, key=lambda kind: kind not in first)


def _wait_for_the_processor() -> None:
    begin = time.process_time()
    while time.process_time() - begin < LOOK_SECONDS:
        pass


def _name(stored: StoredPoint) -> str:
    """Of the file that keeps what a trial of a point of this kind took: of all that this depends on."""
    own = sorted(one.digest for one in stored.design.sources().values())
    seen = [one.identity() for one in stored.observables]
    said = [*map(str, _kind(replace(stored, observables=()))), seen, own, digest_of_rnnmc(), version("torch")]
    machine = [platform.node(), platform.machine(), os.cpu_count(), *(compiler() or ())]
    return f"{hashlib.sha256(json.dumps([said, machine], default=str).encode()).hexdigest()[:32]}.json"


def _known(name: str) -> _Trial | None:
    """What was kept under this name."""
    with suppress(OSError, ValueError, TypeError):
        path = trusted.found(TRIALS, name)
        return _Trial(**json.loads(trusted.content(path))) if path else None
    return None


def _can_be_tried(stored: StoredPoint) -> bool:
    """Whether a trial of this point takes a moment, and memory that every machine has."""
    point, cut = stored.design, _some(stored)
    steps = 3 * (LOOKED_AT[1] if stored.observables else FEWEST_STEPS)
    a_matrix = point.width * (1 if point.cell_object.diagonal else point.width)
    size = 8.0 * cut.tile * (len(point.cell_object.recurrent) * a_matrix + point.state_size * point.width)
    seconds = steps * block_seconds(point, cut.tile, cut) / chains_of(point) / point.horizons[-1]
    if cut.kernel in FEW_ROWS:
        seconds = 2 * block_seconds(point, cut.tile, cut)
        if any(one.whole_chain for one in stored.observables):
            seconds += steps * cut.tile * step_seconds(point, plain_kernel(point))
        else:  # no more than some rows of it are carried
            size -= 8.0 * cut.tile * point.state_size * point.width
    return seconds <= MOST_TRIAL_SECONDS and size <= MOST_TRIAL_BYTES


def _kind(stored: StoredPoint) -> Kind:
    point = stored.design
    drawn = (point.weights, point.dtype, point.drive.name, point.drive.dimension, point.drive.period)
    few = point.horizons if stored.cut.kernel in FEW_ROWS else ()
    made_of = (point.cell, point.width, point.layers, point.residual, point.nested.group)
    return (*made_of, *drawn, few, stored.observables, stored.cut.tile, stored.cut.kernel)


def _cost(stored: StoredPoint, chain: float, looking: dict[str, float], tried: bool) -> Cost:
    seen = [(len(next(iter(one.index(stored.design).values()))), one.bytes_a_row) for one in stored.observables]
    a_replicate = [(len(stored.horizons), BYTES_A_ROW), *seen]
    rows = stored.replicates * sum(number for number, _ in a_replicate)
    size = stored.replicates * sum(number * each for number, each in a_replicate)
    return Cost(len(stored.blocks()), rows, size, chain + sum(looking.values()), looking, tried)


def _trial(stored: StoredPoint, clock: Clock) -> _Trial:
    """Timed after a first run that is not counted."""
    point, cut = stored.design, stored.cut
    looking = {one.name: _extra(stored, one, clock) for one in stored.observables}
    if cut.kernel in FEW_ROWS:
        return _Trial(_few_directions(stored, clock) / point.horizons[-1], 0.0, looking)
    a_step = block_seconds(point, cut.tile, cut) / chains_of(point) / point.horizons[-1]
    long = min(max(FEWEST_STEPS, int(TRIAL_SECONDS / a_step)), MOST_STEPS)
    short = long // 4
    ladder = (*range(short, long, max(1, long // 16)), long)

    def seconds(*to: int) -> float:
        return clock.timed(lambda: run_trial(point, cut, to))

    run_trial(point, cut, (long,))
    brief, whole, logged = seconds(short), seconds(long), seconds(*ladder)
    return _Trial(max((whole - brief) / (long - short), 1e-9), max((logged - whole) / (len(ladder) - 1), 0.0), looking)


def _few_directions(stored: StoredPoint, clock: Clock) -> float:
    """Seconds of one tile at the point's own horizons: a few directions say little of short products, as they are sums
    of many; so the chain is not cut short, but the tile.
    """
    point, some = stored.design, _some(stored)
    run_trial(point, replace(some, tile=point.nested.group), point.horizons)
    return clock.timed(lambda: run_trial(point, some, point.horizons)) * stored.cut.tile / some.tile


def _some(stored: StoredPoint) -> Partition:
    """Of a tile as many replicates as fit a trial; of those whose rows share their calls all."""
    cut, group = stored.cut, stored.design.nested.group
    if cut.kernel not in FEW_ROWS:
        return cut
    seconds = TRIAL_SECONDS if stored.observables else SWEPT_SECONDS
    fit = int(seconds / block_seconds(stored.design, group, cut))
    return replace(cut, tile=min(cut.tile, max(1, fit) * group))


def _extra(stored: StoredPoint, observable: Observable, clock: Clock) -> float:
    """Seconds that the observable adds to one tile, a step to the power at which it grows."""
    some = _some(stored)
    timed, times = observable.shorter(some.tile)
    times *= stored.cut.tile / some.tile

    def seconds(steps: int, *looking: Observable) -> float:
        return clock.timed(lambda: run_trial(stored.design, some, (steps,), looking))

    seconds(LOOKED_AT_BRIEFLY[0], timed)  # not counted, as the first of all
    short, long = LOOKED_AT if seconds(LOOKED_AT_BRIEFLY[0], timed) < MOST_LOOK_SECONDS else LOOKED_AT_BRIEFLY
    power = observable.steps_power
    added = [seconds(steps, timed) - seconds(steps) for steps in ((short, long) if power else (short,))]
    grown = (added[1] - added[0]) / (long**power - short**power) if power else added[0]
    return max(grown, 0.0) * times
