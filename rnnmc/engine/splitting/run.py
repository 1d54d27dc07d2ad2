"""A design point and the number of a population become a table: pure, on one thread, the same bits at every call."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pyarrow as pa

from rnnmc.common.errors import UsageError
from rnnmc.engine.draws import stream
from rnnmc.engine.splitting.columns import POPULATIONS
from rnnmc.engine.splitting.coordinates import ByKey
from rnnmc.engine.splitting.population import NotRare, Plan, PopulationFound, Score, fresh, plan_of, run_population
from rnnmc.engine.splitting.score import Scorer
from rnnmc.numerics.threads import one_thread
from rnnmc.study.point import DesignPoint
from rnnmc.study.rare import Splitting

LOOKED_AT = 100  # replicates, of which one must not have the event, else all of a population are looked at
MOST_BYTES = 2 << 30  # of the coordinates of a population, of which three are in memory at a time


def population_table(point: DesignPoint, number: int) -> pa.Table:
    """What population `number` of this point finds: one row for each threshold, rising by score. Columns: POPULATIONS.

    level: number of the level, null at thresholds between levels. score: that is reached, nats; threshold: on the norm,
    that it belongs to. log_probability: of reaching it, nats. acceptance, alike, ancestors, family: see
    `rnnmc.engine.splitting.population.PopulationFound`. reached: whether the last level is the event. Raises UsageError
    for a point that cannot be split, or whose event is certain or out of reach for all.
    """
    with one_thread():
        score, plan = _planned(ByKey.of(point))
        particles = _splitting(point).particles
        found = run_population(score, score.sizes, particles, plan, generator(point, number))
    return as_table(point, number, plan, found)


def plan(point: DesignPoint) -> Plan:
    """Levels and steps of this point, found by one adaptive run of as many particles; raises as `population_table`."""
    with one_thread():
        return _planned(ByKey.of(point))[1]


def generator(point: DesignPoint, number: int) -> np.random.Generator:
    """Of all that is random in one population; -1 is the run that finds levels and steps."""
    return stream(point.key, number, 0, "splitting", point.dtype)


def hold_rare(point: DesignPoint) -> None:
    """Raise UsageError where no population of this point could be run, as `population_table` does, in a moment."""
    with one_thread():
        score = _scored(ByKey.of(point))
        scores = score(fresh(score.sizes, LOOKED_AT, np.random.default_rng(0)))
        if scores.min() >= point.rare_event.level or scores.max() == -np.inf:
            _planned(ByKey.of(point))


@lru_cache(16)  # the populations of a point that one process runs share them
def _planned(named: ByKey) -> tuple[Scorer, Plan]:
    point, score = named.point, _scored(named)
    splitting, event = _splitting(point), point.rare_event
    rng = generator(point, -1)
    try:
        found = plan_of(score, score.sizes, splitting.particles, event.level, splitting.smallest, rng, event.asked)
    except NotRare as error:
        raise UsageError(f"{event.told}: {error}") from None
    return score, found


@lru_cache(16)
def _scored(named: ByKey) -> Scorer:
    point = named.point
    particles = _splitting(point).particles
    score = Scorer(point, point.rare_event)
    needed = particles * sum(score.sizes.values()) * (4 if point.dtype == "float32" else 8)
    if needed > MOST_BYTES:
        most, numbers = int(particles * MOST_BYTES / needed), sum(score.sizes.values())
        raise UsageError(f"particles: {particles} of {numbers} random numbers each are too many; give at most {most}")
    _hold_repeated(point, score, score.sizes)
    return score


def _splitting(point: DesignPoint) -> Splitting:
    if point.splitting is None:
        raise UsageError(f"{point.label}: has plain replicates; give it splitting")
    return point.splitting


def _hold_repeated(point: DesignPoint, score: Score, sizes: Mapping[str, int]) -> None:
    """Raise UsageError where the same draws give another score: a cell draws random numbers of its own."""
    if not sizes:
        raise UsageError("nothing of this point is random, so that no event is rare; measure it plainly")
    rng = np.random.default_rng(0)
    some = {role: rng.standard_normal((8, size)) for role, size in sizes.items()}
    first, again = (score({role: z.copy() for role, z in some.items()}) for _ in range(2))
    if not np.array_equal(first, again, equal_nan=True):
        raise UsageError(
            f"cell: {point.cell} gives another norm for the same weights and inputs; rare events need one that does not"
        )


def as_table(point: DesignPoint, number: int, plan: Plan, found: PopulationFound) -> pa.Table:
    """Population `number` of this point, run along this plan, as `population_table` has it."""
    event, rows = point.rare_event, len(plan.thresholds)
    at = np.searchsorted(plan.thresholds, plan.levels)
    columns: dict[str, pa.Array] = {
        "point": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [point.key]),
        "threshold": pa.array(event.threshold(plan.thresholds)),
        "score": pa.array(plan.thresholds),
        "log_probability": pa.array(found.log_probability),
        "level": _at(np.arange(len(at)), at, rows),
        "step": _at(np.append(plan.steps, np.nan), at, rows),
    }
    for name in ("acceptance", "alike", "ancestors", "family"):
        columns[name] = _at(getattr(found, name), at, rows)
    same = {"block": number, "replicate": number, "horizon": event.horizons[-1], "reached": plan.reached}
    same |= {"particles": _splitting(point).particles, "evaluations": found.evaluations}
    return pa.table(
        [
            columns[one.name].cast(one.type) if one.name in columns else pa.array([same.get(one.name)] * rows, one.type)
            for one in POPULATIONS
        ],
        schema=POPULATIONS,
    )


def _at(values: np.ndarray, at: np.ndarray, rows: int) -> pa.Array:
    """These values at some rows, null at the others and where a value is NaN."""
    whole = np.full(rows, np.nan)
    whole[at] = values
    return pa.array(whole, mask=np.isnan(whole))
