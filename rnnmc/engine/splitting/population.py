"""Subset simulation: how probable a high score of standard normal coordinates is, level by level.

One adaptive run finds levels, so that each holds a fourth of what the one before it holds, and sizes of steps
(`plan_of`). With both fixed a population estimates P(score >= level) as the product of its shares above one level among
those above the one before (`run_population`): of those that survive, as many at every level, each as likely as any
other, are the first states of chains that go on for as many states and keep the law of the coordinates above a level,
and all states of these count (Dau and Chopin 2022; Au and Beck 2001 let all survivors go on, for longer where they are
fewer, which leaves a bias). So the estimate has none, whatever the number of particles and however slow the chains. A
score that many share, such as that of the dead, is below a level or it is not: nothing more is asked of ties (Walter
2015 is about levels that adapt).

A move is preconditioned Crank-Nicolson, x' = sqrt(1 - b^2) x + b xi, and is taken where the score stays above the
level. The same b serves all roles. What a move changes the score by is in the mean square the sum of b_r^2 s_r^2 over
roles that the score feels by s_r, and how many moves are taken allows so much of it. Chains forget a role after 1 /
b_r^2 moves, which matters by its share of the score's variance: the sum of s_r^2 / b_r^2 is least where all b_r are
equal. (Steps such that of each role by itself as many moves are taken need up to four times the chains.) A state is
kept after every MOVES_A_STATE moves: with one, chains forget where they began more slowly than levels rise, and the few
populations that got further make the mean (at 1e-12, eight units of an LRU, the relative variance at equal cost is then
14 times larger). Scores are of any kind; levels likewise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnmc.common.arrays import Floats

ByRole = dict[str, np.ndarray]  # role -> (replicates, coordinates)
Score = Callable[[ByRole], Floats]
Moves = Generator[ByRole, Floats, float]  # yields proposals, is sent their scores, returns the share that were taken
PopulationRun = Generator[ByRole, Floats, "PopulationFound"]

KEEP = 0.25  # of the particles above the next level
TAKEN = 0.2  # of the moves that is wanted
MOVES_A_STATE = 5  # of a chain from one state that is kept to the next
BETWEEN = 2  # thresholds for a curve between one level and the next
MOST_LEVELS = 400


class NotRare(ValueError):
    """Every replicate has the event, or none can be nearer to it than another: the rest of a sentence."""


@dataclass(frozen=True)
class Plan:
    """What a population is run with. K levels, rising, the last that of the event unless it was too rare.

    levels: (K,) scores. steps: (K - 1,) b of the moves above each level but the last. thresholds: rising scores at
    which the probability is estimated, the levels among them. reached: whether the last level is the event's.
    """

    levels: Floats
    steps: Floats
    thresholds: Floats
    reached: bool


@dataclass(frozen=True)
class PopulationFound:
    """What one population has found.

    log_probability: (thresholds,) of P(score >= threshold), nats; -inf where none was there.
    acceptance: (K,) share of the moves above each level that were taken; NaN at the last, above which none are made.
    alike: (K,) correlation of the first and the last score of the chains above each level, NaN at the last.
    ancestors: (K,) 1 / the sum of squares of the shares of the initial particles in those above each level; the
    relative variance of the estimate is about its inverse, less that of the number of particles. family: (K,) the
    largest such share.
    evaluations: scores that were computed.
    """

    log_probability: Floats
    acceptance: Floats
    alike: Floats
    ancestors: Floats
    family: Floats
    evaluations: int


def fresh(sizes: Mapping[str, int], count: int, rng: np.random.Generator) -> ByRole:
    """Coordinates of so many independent replicates."""
    return {role: np.asarray(rng.standard_normal((count, size))) for role, size in sizes.items()}


def moved(x: ByRole, b: float, rng: np.random.Generator) -> ByRole:
    """One proposal for each replicate."""
    return {role: math.sqrt(1 - b * b) * now + b * rng.standard_normal(now.shape) for role, now in x.items()}


@dataclass
class Particles:
    """Replicates with their scores and the number of the initial particle that each goes back to."""

    x: ByRole
    scores: Floats
    ancestor: NDArray[np.int64]

    @classmethod
    def first(cls, x: ByRole, score: Score) -> Particles:
        """Replicates with these coordinates, of which none goes back to another."""
        scores = score(x)
        return cls(x, scores, np.arange(len(scores)))

    def of(self, some: Any) -> Particles:
        """A copy of some of them."""
        x = {role: z[some].copy() for role, z in self.x.items()}
        return Particles(x, self.scores[some].copy(), self.ancestor[some].copy())

    @classmethod
    def joined(cls, parts: list[Particles]) -> Particles:
        """One after the other."""
        x = {role: np.concatenate([one.x[role] for one in parts]) for role in parts[0].x}
        return cls(x, np.concatenate([one.scores for one in parts]), np.concatenate([one.ancestor for one in parts]))

    def moves(self, count: int, level: float, step: float, rng: np.random.Generator) -> Moves:
        """Move the first so many, as far as they stay above the level."""
        proposed = moved({role: now[:count] for role, now in self.x.items()}, step, rng)
        found = yield proposed
        taken = found >= level
        for role, now in self.x.items():
            now[:count][taken] = proposed[role][taken]
        self.scores[:count][taken] = found[taken]
        return float(taken.mean())


def scored(run: Generator[ByRole, Floats, Any], score: Score) -> Any:
    """What a run returns that yields coordinates and is sent their scores."""
    try:
        asked = next(run)
        while True:
            asked = run.send(score(asked))
    except StopIteration as end:
        return end.value


def plan_of(
    score: Score,
    sizes: Mapping[str, int],
    particles: int,
    wanted: float,
    smallest: float,
    rng: np.random.Generator,
    asked: Sequence[float] = (),
) -> Plan:
    """Levels up to the score `wanted`, or as far as a probability of about `smallest` or the scores go, by one adaptive
    run. asked: scores on the way that are to be thresholds. Raises NotRare where every replicate scores as much as is
    wanted, or all score the same.
    """
    now = Particles.first(fresh(sizes, particles, rng), score)
    if now.scores.min() >= wanted:
        raise NotRare(f"all of {particles} replicates have it; ask for an event that is rarer")
    if now.scores.max() == now.scores.min():
        raise NotRare(
            f"none of {particles} replicates is nearer to it than another (all are dead, all overflow, or all have one "
            "norm), so that no population can climb; give other weights or fewer steps, or count plain replicates"
        )
    levels: list[float] = []
    thresholds: list[float] = []
    steps: list[float] = []
    step, log_left = 1.0, 0.0
    while True:
        level = _next_level(now.scores, levels[-1] if levels else -math.inf)
        if level is None:  # nothing scores more
            reached, steps = False, steps[:-1]
            break
        reached = level >= wanted
        level = min(level, wanted)
        last = levels[-1] if levels else now.scores.min()
        thresholds += [*_between(now.scores, level), *(one for one in asked if last < one < level)]
        levels.append(level)
        log_left += math.log(np.mean(now.scores >= level))
        if reached or log_left < math.log(smallest) or len(levels) == MOST_LEVELS:
            break
        now, step = _adapted(now.of(now.scores >= level), level, score, step, particles, rng)
        steps.append(step)
    return Plan(np.array(levels), np.array(steps), np.unique([*thresholds, *levels]), reached)


def _next_level(scores: Floats, last: float) -> float | None:
    """A score that KEEP of these reach, halfway to the next smaller one, or the least above `last`; None above all."""
    ordered = np.sort(scores)
    at = ordered[len(ordered) - max(1, round(KEEP * len(ordered)))]
    if at > last:
        below = ordered[ordered < at]
        halfway = (at + below[-1]) / 2 if len(below) and np.isfinite(below[-1]) and np.isfinite(at) else at
        return float(halfway) if last < halfway <= at else float(at)
    above = ordered[ordered > last]
    return float(above[0]) if len(above) else None


def _between(scores: Floats, level: float) -> list[float]:
    """Thresholds below this level, evenly by their share."""
    shares = np.mean(scores >= level) ** (np.arange(1, BETWEEN) / BETWEEN)
    found = np.quantile(scores, 1 - shares, method="higher")
    return [float(one) for one in found if np.isfinite(one) and one < level]


def _adapted(
    chains: Particles, level: float, score: Score, step: float, particles: int, rng: np.random.Generator
) -> tuple[Particles, float]:
    """(particles, step) after chains have gone on with a step that adapts, by a rule that was fixed before, such that
    TAKEN of the moves are taken.
    """
    parts, count = [chains.of(slice(None))], len(chains.scores)
    for number in range(MOVES_A_STATE * max(1, -(-particles // count) - 1)):
        taken = scored(chains.moves(count, level, step, rng), score)
        step = min(1.0, step * math.exp(2.0 / (1 + number) ** 0.5 * (taken - TAKEN)))
        if number % MOVES_A_STATE == MOVES_A_STATE - 1:
            parts.append(chains.of(slice(None)))
    whole = Particles.joined(parts)
    return whole.of(rng.permutation(len(whole.scores))[:particles]), step


def run_population(
    score: Score, sizes: Mapping[str, int], particles: int, plan: Plan, rng: np.random.Generator
) -> PopulationFound:
    """One population of so many particles along a plan; it depends on the generator and on nothing else."""
    return scored(population(sizes, particles, plan, rng), score)


def population(sizes: Mapping[str, int], particles: int, plan: Plan, rng: np.random.Generator) -> PopulationRun:
    """The same for whom it pays to score several populations together: yields coordinates, is sent their scores."""
    x, firsts = fresh(sizes, particles, rng), max(1, round(KEEP * particles))
    now, evaluations = Particles(x, (yield x), np.arange(particles)), particles
    log_probability = np.full(len(plan.thresholds), -np.inf)
    acceptance, alike, ancestors, family = seen = np.full((4, len(plan.levels)), np.nan)
    log_above, last = 0.0, -math.inf
    for k, level in enumerate(plan.levels):
        here = (plan.thresholds > last) & (plan.thresholds <= level)
        counts = particles - np.searchsorted(np.sort(now.scores), plan.thresholds[here])
        with np.errstate(divide="ignore"):
            log_probability[here] = log_above + np.log(counts / particles)
        keep = rng.permutation(np.flatnonzero(now.scores >= level))
        if not len(keep):
            break
        log_above, last = log_above + math.log(len(keep) / particles), level
        shares = np.bincount(now.ancestor[keep]) / len(keep)
        ancestors[k], family[k] = 1 / np.square(shares).sum(), shares.max()
        if k + 1 == len(plan.levels):
            break
        chains = now.of(np.resize(keep, firsts))  # some of them, or all about as often
        parts, taken, left = [chains.of(slice(None))], 0.0, particles - firsts
        while left:
            count = min(left, firsts)
            for _ in range(MOVES_A_STATE):
                taken += count * (yield from chains.moves(count, level, plan.steps[k], rng))
            parts.append(chains.of(slice(count)))
            left -= count
        evaluations += MOVES_A_STATE * (particles - firsts)
        acceptance[k] = taken / max(1, MOVES_A_STATE * (particles - firsts))
        alike[k] = _rank_correlation(parts[0].scores, chains.scores)
        now = Particles.joined(parts)
    return PopulationFound(log_probability, *seen, evaluations=evaluations)


def _rank_correlation(first: Floats, last: Floats) -> float:
    """Spearman's, ties at their mean rank; 1 where nothing has moved, 0 where all of either are the same."""
    if np.array_equal(first, last) or len(first) < 3:
        return 1.0
    one, other = (_mean_ranks(scores) - (len(scores) - 1) / 2 for scores in (first, last))
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size else 0.0


def _mean_ranks(scores: Floats) -> Floats:
    """From 0 on."""
    ordered = np.sort(scores)
    return (np.searchsorted(ordered, scores) + np.searchsorted(ordered, scores, "right") - 1) / 2
