"""Which of several candidates keeps its replicates stable most often: a race that drops what is clearly worse.

Successive elimination: all candidates that are left get the same number of replicates, then the intervals of all are
looked at, and one whose upper bound lies below the best lower bound is out. As the intervals are confidence sequences,
they hold at every look together, and as each pays its share of the level (Bonferroni), they hold for all candidates
together. So with at least the stated level nothing that is best is ever dropped, and every two whose intervals do not
meet are in the right order; two whose intervals meet are not told apart. Source: Even-Dar, Mannor and Mansour, Journal
of Machine Learning Research 7 (2006) 1079; Robbins, Annals of Mathematical Statistics 41 (1970) 1397.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnmc.common.arrays import Flags, Floats
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.stopping import INTERVAL, Whole

LEVEL = 0.95

Turn = tuple[int, int]  # candidate, and how many more replicates of it are wanted
Draw = Callable[[Sequence[Turn]], Sequence[int]]  # how many of each turn's replicates were stable


@dataclass(frozen=True)
class Standing:
    """How the candidates of a race stand. All arrays are (candidates,).

    stable, replicates: how many were stable, of how many. low, high: of the probability, at all looks and for all
    candidates together. left: not clearly worse than the best.
    """

    stable: Whole
    replicates: Whole
    low: Floats
    high: Floats
    left: Flags

    @property
    def share(self) -> Floats:
        """Estimates of the probability; NaN where there is no replicate."""
        return np.where(self.replicates > 0, self.stable / np.maximum(self.replicates, 1), np.nan)

    def told_apart(self, one: int, other: int) -> bool:
        """Whether the intervals of two candidates do not meet."""
        return bool(self.high[one] < self.low[other] or self.high[other] < self.low[one])


def standing(stable: Whole, replicates: Whole, family: int, level: float = LEVEL) -> Standing:
    """How candidates with these counts stand, where `family` candidates share what may be missed.

    stable, replicates: (candidates,). family: how many candidates there are or will be, those to come included, even
    if which these are is decided by what was seen: their own replicates are new. level: of all intervals together.
    """
    low, high = binomial_interval(stable, replicates, 1 - (1 - level) / family, INTERVAL)
    return Standing(stable, replicates, low, high, high >= low.max())


def race(
    draw: Draw, costs: Floats, first: int, most: int, budget: float, family: int | None = None, level: float = LEVEL
) -> Standing:
    """Give all that are left as many replicates, drop what is clearly worse, and double, until nothing more is allowed.

    costs: (candidates,) of one replicate, in any unit. first: replicates of each before the first look, which are given
    whatever they cost. most: replicates of one candidate at last. budget: a look that would take the sum of costs
    beyond it is not begun, and the race ends; so it does when each that is left has `most`. family, level: as of
    `standing`. What is drawn rests on counts and costs alone, never on time.
    """
    number = len(costs)
    stable, replicates = np.zeros(number, np.int64), np.zeros(number, np.int64)
    now = standing(stable, replicates, family or number, level)
    each, spent = min(first, most), 0.0
    while True:
        turns = [(int(one), each - int(replicates[one])) for one in np.flatnonzero(now.left)]
        spent += sum(costs[one] * more for one, more in turns)
        for (one, more), seen in zip(turns, draw(turns), strict=True):
            stable[one] += seen
            replicates[one] += more
        now = standing(stable.copy(), replicates.copy(), family or number, level)
        after = min(2 * each, most)
        if after == each or spent + (after - each) * costs[now.left].sum() > budget:
            return now
        each = after


def order(now: Standing, besides: Floats) -> NDArray[np.int64]:
    """(candidates,): from the best estimate down; of equal ones the one with the smaller `besides` first."""
    return np.lexsort((besides, -now.share))
