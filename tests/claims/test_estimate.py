"""Intervals of what claims are decided on: they miss no more often than they say, of skewed data too."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from rnnmc.claims import WRONG
from rnnmc.claims.estimate import Exact, Gap, Median, Share, Spread, is_empty
from rnnmc.statistics.medians import SURE, median_interval

LAWS = {
    "exponential": (lambda rng, shape: rng.exponential(size=shape), np.log(2)),
    "lognormal": (lambda rng, shape: rng.lognormal(0, 2, size=shape), 1.0),
    "cauchy": (lambda rng, shape: rng.standard_cauchy(size=shape), 0.0),
    "nearly all alike": (lambda rng, shape: rng.binomial(1, 0.3, size=shape).astype(float), 0.0),
}
QUESTIONS = 1100  # of config/article.yaml, among which WRONG is shared


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("number", [30, 300])
def test_the_interval_of_a_median_misses_no_more_often_than_its_risk_whatever_is_drawn(law: str, number: int):
    """4,000 draws at a risk of 2 %: no more misses than a binomial with it has, but for 1e-6."""
    draw, median = LAWS[law]
    rng, risk, times = np.random.default_rng(7), 0.02, 4000
    values = draw(rng, (times, number))
    bounds = np.array([median_interval(row, risk)[1:] for row in values])
    missed = ((bounds[:, 0] > median) | (bounds[:, 1] < median)).sum()
    assert missed <= binom.isf(1e-6, times, risk)
    if law == "exponential":  # planted: bounds that are one rank in, and so at thrice the risk for thirty replicates
        inner = np.array([median_interval(row, 4 * risk)[1:] for row in values])
        assert ((inner[:, 0] > median) | (inner[:, 1] < median)).sum() > binom.isf(1e-6, times, risk)


@pytest.mark.parametrize("number", [28, 60, 150, 300, 600, 1500, 1600, 2000, 3000, 6000])
def test_the_ranks_of_a_median_are_the_innermost_that_the_risk_allows(number: int):
    """Exactly, for the numbers of replicates that the article has: how many lie below is binomial with 1/2."""
    _, low, high = median_interval(np.arange(number, dtype=float))
    below = int(low)  # values below the lower bound; it misses where fewer than below + 1 lie under the median
    assert low + high == number - 1
    assert 2 * binom.cdf(below, number, 0.5) <= SURE < 2 * binom.cdf(below + 1, number, 0.5)


def test_too_few_replicates_say_nothing_of_a_median():
    assert median_interval(np.arange(27.0))[1:] == (-np.inf, np.inf)
    assert median_interval(np.array([2.0, np.inf, 1.0]))[0] == 2.0
    assert Median(0.5, 0.4, 0.6, 300).interval(SURE / 2) == (-np.inf, np.inf)
    assert Median(0.5, 0.4, 0.6, 300).interval(WRONG / QUESTIONS) == (0.4, 0.6)


def test_every_question_can_spare_the_risk_at_which_medians_are_known():
    """A gap halves the risk of a question; ten times as many questions as the article has can still be asked."""
    assert WRONG / (10 * QUESTIONS) / 2 > SURE


@pytest.mark.parametrize("number", [150, 300, 600, 1600, 3000])
@pytest.mark.parametrize("bound", [0.01, 0.05, 0.5])
def test_a_share_on_its_bound_is_decided_as_rarely_as_its_part_of_the_risk_says(number: int, bound: float):
    """Exactly, and for any law of what was measured: of each replicate only the side counts on which it lies."""
    counts = np.arange(number + 1)
    risk = WRONG / QUESTIONS
    likely = counts[binom.pmf(counts, number, bound) > 1e-16]
    bounds = np.array([Share(int(count), number).interval(risk) for count in likely])
    missed = (bounds[:, 0] > bound) | (bounds[:, 1] < bound)
    assert binom.pmf(likely[missed], number, bound).sum() <= risk


@pytest.mark.slow
def test_a_normal_interval_of_a_mean_would_miss_forty_times_as_often_as_it_says():
    """What decided 238 questions before. 4e5 times 300 replicates of exponential data: 0.35 misses should be."""
    rng, risk, times = np.random.default_rng(3), 8.7e-7, 400_000
    missed = 0
    for _ in range(20):
        values = rng.standard_exponential((times // 20, 300), dtype=np.float32)
        error = values.std(axis=1, ddof=1) / np.sqrt(300)
        missed += int((np.abs(values.mean(axis=1) - 1) > norm.isf(risk / 2) * error).sum())
    assert missed > binom.isf(1e-6, times, risk)
    assert 4 <= missed <= 35  # 3.7e-5 makes 15


@pytest.mark.parametrize(
    ("estimate", "wanted"),
    [
        (Gap(Share(0, 4000), Share(0, 4000)), True),
        (Gap(Share(4000, 4000), Share(4000, 4000)), True),
        (Gap(Share(0, 100), Share(0, 100)), None),
        (Gap(Share(0, 4000), Share(0, 100)), None),
        (Gap(Share(0, 4000), Share(4000, 4000)), False),
        (Gap(Share(0, 4000), Share(400, 4000)), False),
        (Gap(Share(4000, 4000), Share(3600, 4000)), False),
        (Gap(Spread((Share(0, 9000), Share(0, 9000))), Spread((Share(0, 9000), Share(0, 9000)))), True),
        (Gap(Spread((Share(0, 9000), Share(5000, 9000))), Spread((Share(0, 9000), Share(0, 9000)))), False),
        (Share(0, 4000), False),
        (Exact(0.0), False),
        (Gap(Exact(0.0), Exact(0.0)), False),
        (Gap(Median(0.0, -1.0, 1.0, 300), Median(0.0, -1.0, 1.0, 300)), False),
        (Gap(Median(0.0, 0.0, 0.001, 300, True), Median(0.0, 0.0, 0.0, 300, True)), True),
        (Gap(Median(0.0, 0.0, 0.02, 300, True), Median(0.0, 0.0, 0.0, 300, True)), None),
    ],
)
def test_a_comparison_is_empty_where_all_probabilities_surely_lie_at_one_end(estimate, wanted):
    assert is_empty(estimate, 1e-6) is wanted


def test_a_spread_covers_the_true_one_and_is_certain_of_none_where_all_are_alike():
    """2,000 times at a risk of 5 %: no more misses than that allows, but for 1e-6."""
    rng, truth = np.random.default_rng(5), np.array([0.1, 0.3, 0.8])
    counts = rng.binomial(60, truth, size=(2000, 3))
    found = [Spread(tuple(Share(int(count), 60) for count in row)).interval(0.05) for row in counts]
    held = sum(low <= 0.7 <= high for low, high in found)
    assert 0 < 2000 - held <= binom.isf(1e-6, 2000, 0.05)
    assert Spread(tuple(Share(30, 60) for _ in range(4))).interval(0.05)[0] == 0
