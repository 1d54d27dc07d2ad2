"""Downwards: what chains that start at one replicate of a high score say of the shares between levels.

Populations climb, and stay in the regions that they have found at a low level. A replicate that something else has
found, such as a search, shows whether there is another. Copies of it move above the last level until they have
forgotten it (`settled`); then above the level before, and so on down, and at each the share of their states above the
next is counted (`descended`). Where all that is above a level hangs together these shares are those of the populations.
Where the replicate lies in a region that no population has reached, they are those of that region.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.stats import chi2

from rnnmc.common.arrays import Floats
from rnnmc.engine.splitting.population import MOVES_A_STATE, TAKEN, ByRole, Particles, Plan, Score, scored

CHAINS = 60
STATES = 200  # of each chain above a level, of which the first half is forgotten
AGAIN = 4  # times as many moves as led to a length that draws have are made
LEAST_MOVES, MOST_MOVES = 1_000, 20_000
LOOK_EVERY = 100  # moves
UNLIKELY = 1e-3  # of the replicates above the level fewer are as long as those that are not at home there


def settled(score: Score, top: ByRole, level: float, p: float, rng: np.random.Generator) -> Particles | None:
    """CHAINS copies of a replicate after they have moved above a level for long enough; None where they cannot.

    top: role -> (1, coordinates) of a replicate whose score is at least `level`. p: about P(score >= level). Of all
    replicates above the level at most a share of P(length) / p is as long as a given one; a search ends at one that is
    far longer. Copies move until they are not, and then AGAIN times as long: in a corner that only steps too small to
    be of use lead out of, MOST_MOVES are not enough.
    """
    now = Particles.first({role: np.repeat(z, CHAINS, axis=0) for role, z in top.items()}, score)
    longest = chi2.isf(UNLIKELY * p, sum(z.shape[1] for z in top.values()))
    step, number, enough, at_home = 0.1, 0, MOST_MOVES, False
    while number < enough:
        taken = scored(now.moves(CHAINS, level, step, rng), score)
        step, number = min(1.0, step * math.exp((taken - TAKEN) / 10)), number + 1
        if not at_home and number % LOOK_EVERY == 0 and _length(now.x) < longest:
            at_home, enough = True, max(LEAST_MOVES, AGAIN * number)
    return now if at_home else None


def descended(score: Score, now: Particles, plan: Plan, rng: np.random.Generator) -> Floats:
    """(K - 1,) log of the shares above each of the K levels but the first of the states above the level before.

    now: chains above the last level, of `settled`; they are moved.
    """
    found, count = np.empty(len(plan.levels) - 1), len(now.scores)
    for k in reversed(range(len(found))):
        shares = list(_shares(score, now, plan.levels[k], plan.levels[k + 1], plan.steps[k], rng))
        found[k] = math.log(max(np.mean(shares[STATES // 2 :]), 0.5 / count / STATES))
    return found


def _shares(
    score: Score, now: Particles, level: float, above: float, step: float, rng: np.random.Generator
) -> Iterator[float]:
    """Of each state of chains above a level the share that is above another."""
    for _ in range(STATES):
        for _ in range(MOVES_A_STATE):
            scored(now.moves(len(now.scores), level, step, rng), score)
        yield float((now.scores >= above).mean())


def _length(x: ByRole) -> float:
    """Squared, in the mean."""
    return float(sum(np.square(z, dtype=np.float64).sum(axis=1).mean() for z in x.values()))
