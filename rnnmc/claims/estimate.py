"""Numbers that a claim is decided on, each with an interval for any risk that one wants to take.

`interval(risk)` is two-sided: it misses the truth with a probability of at most `risk`, half of it on each side; that
of means and logarithms of deviations holds for many replicates (central limit theorem), the others for any number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from scipy.special import ndtri

from rnnmc.statistics.intervals import binomial_interval

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


@dataclass(frozen=True)
class Mean:
    """A number with a standard error; `error` 0 where nothing is left to chance."""

    value: float
    error: float
    replicates: int

    def interval(self, risk: float) -> Interval:
        """Normal."""
        half = -float(ndtri(risk / 2)) * self.error
        return self.value - half, self.value + half


@dataclass(frozen=True)
class Size:
    """The absolute value of a number."""

    of: Estimate

    @property
    def value(self) -> float:
        """Of the estimate."""
        return abs(self.of.value)

    @property
    def replicates(self) -> int:
        """Those of the number."""
        return self.of.replicates

    def interval(self, risk: float) -> Interval:
        """All sizes that its interval allows."""
        low, high = self.of.interval(risk)
        return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))


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


def log_of(mean: float, error: float, replicates: int) -> Mean:
    """The logarithm of a positive mean, its error to first order."""
    return Mean(math.log(mean), error / mean, replicates)
