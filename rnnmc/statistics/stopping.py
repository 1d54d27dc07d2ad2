"""When replicates are enough: decided on the blocks from the first on, so that neither timing nor workers have a say.

Confidence sequences hold at every number of replicates at once, so that one may look after each block and stop when
they are narrow, or when events enough are counted; intervals for a fixed number of replicates would then be too narrow.
docs/physics.md section 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnmc.chain.norms import SPECTRAL
from rnnmc.common.arrays import Flags, Floats
from rnnmc.statistics.growth import NORM, Estimator
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.point import SampleRectangle, events_of
from rnnmc.statistics.rates import slopes_of
from rnnmc.statistics.sequences import sequence_half, sequence_ranks
from rnnmc.study.replicates import MEAN_COLUMNS, PROBABILITIES, Until
from rnnmc.study.study import Thresholds

INTERVAL = "confidence-sequence"  # the kind that holds for a number of replicates chosen by looking
PERCENT = {"growth_median": 50}

Whole = NDArray[np.int64]
Deciding = Mapping[str, NDArray]  # column -> (replicates,) of what decides, in order


class Knowledge(NamedTuple):
    """What is known of a column at each of k numbers of replicates, (k,) each: NaN where it is not.

    low, high: of the 95 % confidence sequence. count: how many replicates have the event, of a share; NaN otherwise.
    """

    estimate: Floats
    low: Floats
    high: Floats
    count: Floats


def seen_of(samples: SampleRectangle, until: Until, thresholds: Thresholds, estimator: Estimator) -> dict[str, NDArray]:
    """What each of these replicates says of the columns that decide, at the last horizon: `Deciding`.

    estimator: of the growth rate, as in the statistics.
    """
    log_norm = samples.log_norms[SPECTRAL]
    found: dict[str, NDArray] = {}
    for column in until.columns:
        if column in ("growth_rate", "growth_median", "p_growing"):
            stored = not np.isnan(samples.tangent).any()
            of = log_norm if estimator.by == NORM or not stored else samples.tangent
            slopes = slopes_of(of, samples.horizons, len(samples.horizons) - 1)
            found[column] = slopes > 0 if column == "p_growing" else slopes
        elif column in PROBABILITIES:
            events = events_of(log_norm, thresholds.vanish, thresholds.explode, samples)
            found[column] = events[column.removeprefix("p_")][:, -1]
        else:
            found[column] = log_norm[:, -1].copy()
    return found


def together(parts: Sequence[Deciding]) -> dict[str, NDArray]:
    """What was seen of blocks that follow each other, in one."""
    return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}


def known(column: str, values: NDArray, replicates: Whole) -> Knowledge:
    """What the first so many of these replicates let one know of a column, for each of k rising numbers of them."""
    if column in PROBABILITIES:
        return share_known(np.concatenate([[0], np.cumsum(values)])[replicates], replicates)
    if column in MEAN_COLUMNS:
        return _mean_known(values, replicates)
    percent = PERCENT.get(column) or int(column.removeprefix("q"))
    return quantile_known(values[None], replicates, percent)


def share_known(count: Whole, replicates: Whole) -> Knowledge:
    """Of a probability, from how many of so many replicates have the event."""
    return Knowledge(count / replicates, *binomial_interval(count, replicates, kind=INTERVAL), count.astype(float))


def mean_known(mean: Floats, error: Floats, number: Floats) -> Knowledge:
    """Of a mean, from the mean of so many values and its standard error."""
    half = sequence_half(error, number)
    return Knowledge(mean, mean - half, mean + half, np.full(np.shape(half), np.nan))


def _mean_known(values: Floats, replicates: Whole) -> Knowledge:
    """Of those with finite values; nothing is known once one is infinity, for the fastest would be left out."""
    finite = np.isfinite(values)
    origin = values[finite][0] if finite.any() else 0.0  # the same however many there are
    away = np.where(finite, values, origin) - origin
    number, total, square = (np.cumsum(of)[replicates - 1] for of in (finite, away, away**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(square - total**2 / number, 0) / (number - 1)
        mean, error = origin + total / number, np.sqrt(variance / number)
    lost = np.logical_or.accumulate(np.isposinf(values))[replicates - 1] | (number < 2)
    return mean_known(np.where(lost, np.nan, mean), np.where(lost, np.nan, error), np.maximum(number, 2))


def quantile_known(values: Floats, replicates: Whole, percent: int) -> Knowledge:
    """Of a quantile of any law, from the values (runs, replicates) themselves; of one run (k,), of more (runs, k)."""
    ranks = sequence_ranks(replicates, percent / 100)
    found = np.empty((3, len(values), len(replicates)))
    for i, (number, low, high) in enumerate(zip(replicates, *ranks, strict=True)):
        wanted = np.array([-(-number * percent // 100), low, high])
        places = np.clip(wanted, 1, number) - 1
        ordered = np.partition(values[:, :number], np.unique(places), axis=1)[:, places]
        found[:, :, i] = np.where(wanted == 0, -np.inf, np.where(wanted > number, np.inf, ordered)).T
    estimate, below, above = found[:, 0] if len(values) == 1 else found
    return Knowledge(estimate, below, above, np.full(estimate.shape, np.nan))


def reached(until: Until, what: Knowledge) -> Floats:
    """How far one is with a column, in the unit of the goal: a half-width, a part of itself, a number of events."""
    if until.goal == "events":
        return what.count
    with np.errstate(divide="ignore", invalid="ignore"):
        if until.goal != "relative":
            return (what.high - what.low) / 2
        ends = [np.abs(what.estimate - end) / np.abs(end) for end in (what.low, what.high)]
        return np.where(what.low * what.high > 0, np.maximum(*ends), np.inf)


def has_reached(until: Until, seen: Deciding, replicates: Whole) -> Flags:
    """(k,): whether the first so many replicates are enough, by all the columns that decide."""
    so_far = [reached(until, known(column, seen[column], replicates)) for column in until.columns]
    met = [one >= until.value if until.goal == "events" else one <= until.value for one in so_far]
    return np.logical_and.reduce(met)


def replicates_enough(seen: Deciding, block: int, most: int, until: Until) -> int | None:
    """The smallest number of whole blocks, in replicates, that reaches the goal.

    None while the replicates that are there do not; `most` once those are all and do not. seen: of the contiguous
    blocks from the first on.
    """
    there = len(next(iter(seen.values())))
    counts = np.unique(np.minimum(np.arange(block, there + block, block), there))
    counts = counts[(counts % block == 0) | (counts == most)]
    enough = has_reached(until, seen, counts)
    if enough.any():
        return int(counts[np.argmax(enough)])
    return most if there >= most else None


def short_of(seen: Deciding, until: Until) -> str | None:
    """`P(explode) to +- 0.012`: what all these replicates have reached of the column that is furthest from its goal."""
    every = np.array([len(next(iter(seen.values())))])
    if has_reached(until, seen, every).all():
        return None
    so_far = {column: float(reached(until, known(column, seen[column], every))[0]) for column in until.columns}
    worst = (min if until.goal == "events" else max)(so_far, key=lambda column: so_far[column])
    return until.model_copy(update={"value": so_far[worst], "of": worst}).told().removeprefix("to ")
