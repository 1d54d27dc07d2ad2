"""Numbers that a claim is decided on, each with an interval for any risk that one wants to take.

`interval(risk)` is two-sided: it misses the truth with a probability of at most `risk`, for any law of what was
measured and any number of replicates: shares have the binomial interval, medians that of order statistics. No mean is
among them, for its interval rests on the central limit theorem, which is late in the tails: of 300 replicates of
exponential data a normal interval that should miss with a probability of 8.7e-7 misses with 3.7e-5.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.medians import SURE

FLOOR = 0.01  # probabilities all below it, or all above 1 less it, have nothing to tell them apart by

Interval = tuple[float, float]


class Estimate(Protocol):
    """A number that was measured. replicates: independent ones behind it, 0 where nothing was left to chance."""

    @property
    def value(self) -> float:
        """The estimate itself."""
        ...

    @property
    def replicates(self) -> int:
        """Of the smaller sample, where there are two."""
        ...

    def interval(self, risk: float) -> Interval:
        """Lower and upper bound."""
        ...

    def compared(self, risk: float) -> Iterator[Interval]:
        """The intervals of the probabilities that are held against each other, as `interval` takes them; or none."""
        ...


@dataclass(frozen=True)
class Exact:
    """A number that leaves nothing to chance."""

    value: float
    replicates: int = 0

    def interval(self, risk: float) -> Interval:
        """Of no length."""
        return self.value, self.value

    def compared(self, risk: float) -> Iterator[Interval]:
        """None."""
        yield from ()


@dataclass(frozen=True)
class Share:
    """A probability, from `count` events in `replicates`. Clopper and Pearson's interval."""

    count: int
    replicates: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.count / self.replicates

    def interval(self, risk: float) -> Interval:
        """Covers for every probability and number of replicates."""
        low, high = binomial_interval(self.count, self.replicates, 1 - risk, "clopper-pearson")
        return float(low), float(high)

    def compared(self, risk: float) -> Iterator[Interval]:
        """Its own, where it is part of a comparison."""
        yield self.interval(risk)


@dataclass(frozen=True)
class Median:
    """A median over networks, with the interval of `rnnmc.statistics.medians`; of_shares: of numbers in [0, 1]."""

    value: float
    low: float
    high: float
    replicates: int
    of_shares: bool = False

    def interval(self, risk: float) -> Interval:
        """That of the table, which is as sure as `SURE`; endless for who wants to be surer."""
        return (self.low, self.high) if risk >= SURE else (-math.inf, math.inf)

    def compared(self, risk: float) -> Iterator[Interval]:
        """Its own, where what it is the median of are shares; anything else has no floor."""
        if self.of_shares:
            yield self.interval(risk)


@dataclass(frozen=True)
class Gap:
    """One number less another of independent replicates; each interval takes half of the risk."""

    more: Estimate
    less: Estimate

    @property
    def value(self) -> float:
        """The difference."""
        return self.more.value - self.less.value

    @property
    def replicates(self) -> int:
        """Of the smaller sample."""
        return min(self.more.replicates, self.less.replicates)

    def interval(self, risk: float) -> Interval:
        """From the two intervals: never too narrow, whatever the two samples have in common."""
        (low, high), (lowest, highest) = self.more.interval(risk / 2), self.less.interval(risk / 2)
        return low - highest, high - lowest

    def compared(self, risk: float) -> Iterator[Interval]:
        """Those of both."""
        yield from self.more.compared(risk / 2)
        yield from self.less.compared(risk / 2)


@dataclass(frozen=True)
class Spread:
    """What the values of independent estimates range over: the largest less the smallest."""

    of: tuple[Estimate, ...]

    @property
    def value(self) -> float:
        """Of the estimates themselves, which is a little more than the truth where these are close together."""
        values = [one.value for one in self.of]
        return max(values) - min(values)

    @property
    def replicates(self) -> int:
        """Of the smallest sample."""
        return min(one.replicates for one in self.of)

    def interval(self, risk: float) -> Interval:
        """Each estimate takes its share of the risk."""
        lows, highs = zip(*(one.interval(risk / len(self.of)) for one in self.of), strict=True)
        return max(0.0, max(lows) - min(highs)), max(highs) - min(lows)

    def compared(self, risk: float) -> Iterator[Interval]:
        """Those of all."""
        for one in self.of:
            yield from one.compared(risk / len(self.of))


def is_empty(estimate: Estimate, risk: float) -> bool | None:
    """Whether there is nothing to compare: all probabilities lie at the floor, or all at the ceiling.

    False too for what compares no probabilities; None where the intervals leave it open. It costs no risk beyond that
    of `interval`: the intervals are the same.
    """
    found = list(estimate.compared(risk))
    if len(found) < 2:
        return False
    lows, highs = zip(*found, strict=True)
    if max(highs) < FLOOR or min(lows) > 1 - FLOOR:
        return True
    return False if max(lows) >= FLOOR and min(highs) <= 1 - FLOOR else None
