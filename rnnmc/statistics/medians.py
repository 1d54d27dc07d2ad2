"""A median with an interval that holds for any law and any number of replicates, by order statistics alone.

How many of R independent values lie below their median is binomial with probability 1/2, whatever they are drawn from
(Thompson, Annals of Mathematical Statistics 7 (1936) 122; ties make the interval miss less often, never more).
"""

from __future__ import annotations

import math

import numpy as np

from rnnmc.common.arrays import Floats

SURE = 1e-8  # probability that an interval misses: below what any question of a table of claims is ready to risk


def median_interval(values: Floats, risk: float = SURE) -> tuple[float, float, float]:
    """The median, and the bounds of an interval that misses the true one with a probability of at most `risk`.

    values: (replicates,), infinities included. The median is the smallest value that at least half do not exceed;
    bounds are infinite where there are too few replicates for the risk, 28 for `SURE`.
    """
    from scipy.stats import binom  # half a second to import, which few need

    ordered = np.sort(values)
    outside = int(binom.ppf(risk / 2, len(ordered), 0.5))  # P(fewer than so many below the median) <= risk / 2
    middle = float(ordered[-(-len(ordered) // 2) - 1])
    if outside < 1:
        return middle, -math.inf, math.inf
    return middle, float(ordered[outside - 1]), float(ordered[-outside])
