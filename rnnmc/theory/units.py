"""Units that are chains by themselves, each decided by one random number of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from rnnmc.common.arrays import Floats
from rnnmc.theory.law import LogNorm

POINTS = 8001  # of the grid over z, from -9 to 9: what lies beyond has a probability of 1e-19


@dataclass(frozen=True)
class Units(LogNorm):
    """The largest of `entries` independent values of level(z, T), z ~ N(0, 1): log-norm of a P_T that is diagonal.

    level: (z of shape (k,), T) -> l_T of a unit, (k,) in nats. It need not be monotone, but must be smooth at the scale
    of the grid, apart from points `breaks` where it is -inf.
    """

    level: Callable[[Floats, int], Floats]
    entries: int = 1
    breaks: tuple[float, ...] = ()

    def _grid(self) -> Floats:
        return np.unique(np.concatenate([np.linspace(-9, 9, POINTS), self.breaks]))

    def _unit_above(self, level: float, horizon: int) -> float:
        """P(level(z, T) > level) of one unit: where it changes sides is found by bisection."""
        z = self._grid()
        above = self.level(z, horizon) > level
        change = np.flatnonzero(above[1:] != above[:-1])
        left, right = z[change], z[change + 1]
        for _ in range(55):
            middle = (left + right) / 2
            stays = (self.level(middle, horizon) > level) == above[change]
            left, right = np.where(stays, middle, left), np.where(stays, right, middle)
        edges = np.concatenate([[-np.inf], left, [np.inf]])
        low, high = edges[:-1], edges[1:]
        mirrored = low > 0  # differences of small numbers, where ndtr itself is near one
        mass = np.where(mirrored, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
        return min(1.0, float(mass[int(not above[0]) :: 2].sum()))

    def below(self, level: float, horizon: int) -> float:
        above = self._unit_above(level, horizon)
        return math.exp(self.entries * math.log1p(-above)) if above < 1 else 0.0

    def above(self, level: float, horizon: int) -> float:
        above = self._unit_above(level, horizon)
        return -math.expm1(self.entries * math.log1p(-above)) if above < 1 else 1.0

    def values(self, horizon: int) -> tuple[float, ...]:
        levels = self.level(self._grid(), horizon)  # the random number may not matter yet, as in a first step
        return (float(levels[0]),) if np.ptp(levels) < 1e-12 * (1 + abs(levels[0])) else ()

    def moments(self, horizon: int) -> tuple[float, float] | None:
        """Error below 1e-5 of the deviation; None where there are breaks."""
        if self.breaks:
            return None
        z = self._grid()
        levels = self.level(z, horizon)
        order = np.argsort(levels, kind="stable")
        mass = np.exp(-(z[order] ** 2) / 2)
        below = np.concatenate([[0.0], np.cumsum(mass) / mass.sum()]) ** self.entries
        weight, levels = np.diff(below), levels[order]
        mean = float(weight @ levels)
        return mean, float(weight @ (levels - mean) ** 2)
