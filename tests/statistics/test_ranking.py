"""A race drops what is clearly worse, and its ranking holds at its level, however often one looks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from rnnmc.statistics import ranking
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.ranking import order, race, standing

FIELDS = (  # probabilities of the candidates of a tournament
    (0.5,) * 8,
    (0.9, 0.85, 0.8, 0.6, 0.3, 0.1, 0.02, 0.0),
    (1.0, 1.0, 0.99, 0.97, 0.95, 0.5, 0.1, 0.0),
)
TOURNAMENTS, LOOKS = 100, 8  # with the one before the first replicate
MOST_MISSES = binom.ppf(1 - 1e-6, TOURNAMENTS, 0.05)


def tournament(p, rng, first=16, most=1024):
    """A race among candidates with these probabilities; also every pair of bounds that it looked at."""
    looks = []
    truth = np.array(p)

    def bounds(*args):
        looks.append(original(*args))
        return looks[-1]

    original = ranking.standing
    ranking.standing = bounds
    try:
        end = race(lambda turns: rng.binomial([more for _, more in turns], truth[[one for one, _ in turns]]),
                   np.ones(len(p)), first, most, 1e9)  # fmt: skip
    finally:
        ranking.standing = original
    return end, looks


def misses(p, rng):
    """(whether any interval missed at any look, whether a best one was dropped or two were ranked the wrong way)."""
    end, looks = tournament(p, rng)
    truth = np.array(p)
    missed = any(((look.low > truth) | (look.high < truth)).any() for look in looks)
    wrong = not end.left[truth == truth.max()].all()
    for one in range(len(p)):
        for other in range(len(p)):
            wrong |= truth[one] >= truth[other] and end.high[one] < end.low[other]
    return missed, wrong


@pytest.mark.slow
@pytest.mark.parametrize("p", FIELDS)
def test_no_more_tournaments_go_wrong_than_the_level_allows(p):
    rng = np.random.default_rng(1)
    seen = np.array([misses(p, rng) for _ in range(TOURNAMENTS)]).sum(axis=0)
    assert seen[0] <= MOST_MISSES
    assert seen[1] <= seen[0]


@pytest.mark.slow
def test_a_fixed_number_interval_looked_at_repeatedly_breaks_the_level(monkeypatch):
    """The planted mistake: Wilson's 95 % interval of each candidate by itself."""
    monkeypatch.setattr(ranking, "binomial_interval", lambda count, total, *_: binomial_interval(count, total))
    rng = np.random.default_rng(2)
    missed, wrong = np.array([misses(FIELDS[0], rng) for _ in range(TOURNAMENTS)]).sum(axis=0)
    assert missed > MOST_MISSES
    assert wrong > MOST_MISSES


def test_what_is_clearly_worse_gets_no_more_replicates_and_what_is_left_gets_the_same():
    end, looks = tournament(FIELDS[1], np.random.default_rng(3))
    assert end.left.tolist() == [True] * 2 + [False] * 6
    assert len(set(end.replicates[end.left])) == 1
    assert (end.replicates[-2:] < end.replicates[0] // 8).all()
    assert len(looks) == LOOKS
    assert end.told_apart(0, 5)
    assert not end.told_apart(0, 1)


def test_the_race_stays_within_its_budget_and_rests_on_counts_alone():
    asked = []

    def draw(turns):
        asked.append(list(turns))
        return [more // 2 for _, more in turns]

    end = race(draw, np.array([1.0, 2.0, 1.0]), 16, 1024, 600.0)
    assert end.replicates.tolist() == [128] * 3  # 512 of 600; another 128 each would cost 512 more
    assert asked == [[(one, more) for one in range(3)] for more in (16, 16, 32, 64)]
    assert race(draw, np.array([1.0]), 16, 24, 1.0).replicates.tolist() == [16]  # the first look costs what it costs
    assert race(draw, np.array([1.0]), 16, 24, 100.0).replicates.tolist() == [24]


def test_a_family_that_is_larger_has_wider_intervals():
    few, many = (standing(np.array([30, 10]), np.array([64, 64]), family) for family in (2, 40))
    assert (many.low < few.low).all()
    assert (many.high > few.high).all()
    low, high = binomial_interval(30, 64, 0.975, "confidence-sequence")
    assert (few.low[0], few.high[0]) == (low, high)


def test_equal_shares_are_ordered_by_what_is_said_besides():
    now = standing(np.array([3, 9, 0, 9]), np.array([10, 10, 10, 10]), 4)
    assert order(now, np.array([0.0, 5.0, 1.0, 2.0])).tolist() == [3, 1, 0, 2]
