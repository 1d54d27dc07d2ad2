"""Populations estimate exact tails without bias, and do not know of what is none of their business."""

import math

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import chi2, spearmanr

from rnnmc.engine.splitting.population import KEEP, MOVES_A_STATE, NotRare, _rank_correlation, plan_of, run_population


def felt(x):
    """How large the weight is, either sign."""
    return np.abs(x["weights"][:, 0])


def squares(x):
    """The squared length of the weights."""
    return np.square(x["weights"]).sum(1)


ONE = {"weights": 1, "drive": 2}
CASES = {
    "one number, either sign": (felt, ONE, lambda p: -ndtri(p / 2)),
    "a sum of two roles": (
        lambda x: x["weights"].sum(1) / 4 + x["drive"].sum(1) / 4,
        {"weights": 8, "drive": 8},
        lambda p: -ndtri(p),
    ),
    "a length": (squares, {"weights": 4}, lambda p: chi2.isf(p, 4)),
    "in whole numbers": (lambda x: np.floor(squares(x)), {"weights": 2}, lambda p: math.ceil(-2 * math.log(p))),
    "half of them dead": (lambda x: np.where(x["drive"][:, 0] > 0, felt(x), -np.inf), ONE, lambda p: -ndtri(p)),
}
POPULATIONS = 60


def estimates(case: str, p: float, particles: int = 300) -> tuple[np.ndarray, float]:
    """(populations, thresholds) estimates over the truth at the event, and the truth."""
    score, sizes, at = CASES[case]
    plan = plan_of(score, sizes, particles, at(p), 1e-20, np.random.default_rng(1))
    every = [run_population(score, sizes, particles, plan, np.random.default_rng([2, i])) for i in range(POPULATIONS)]
    truth = math.exp(-at(p) / 2) if case == "in whole numbers" else p
    return np.exp([one.log_probability[-1] for one in every]) / truth, truth


@pytest.mark.parametrize("case", CASES)
def test_the_mean_of_populations_is_the_exact_tail(case):
    for p in (1e-2, 1e-5):
        ratio, _ = estimates(case, p)
        error = max(ratio.std() / math.sqrt(POPULATIONS), 0.04)
        assert abs(ratio.mean() - 1) < 5.2 * error
        assert error < 0.4


def test_ties_counted_as_passed_would_be_seen():
    """The planted mistake: P(score >= level) where P(score > level) is asked for, of a score in whole numbers."""
    ratio, truth = estimates("in whole numbers", 1e-2)
    strict = truth * math.exp(-0.5)
    assert abs(ratio.mean() * truth / strict - 1) > 0.3


def test_a_curve_falls_and_passes_through_every_level():
    score, sizes, at = CASES["a length"]
    plan = plan_of(score, sizes, 2000, at(1e-6), 1e-20, np.random.default_rng(1))
    found = run_population(score, sizes, 2000, plan, np.random.default_rng(2))
    assert set(plan.levels) <= set(plan.thresholds)
    assert plan.reached
    assert (np.diff(found.log_probability) <= 0).all()
    assert np.abs(found.log_probability - chi2.logsf(plan.thresholds, 4)).max() < 1.0
    assert found.evaluations < MOVES_A_STATE * 2000 * len(plan.levels)
    assert 0.1 < np.nanmin(found.acceptance) < np.nanmax(found.acceptance) < 0.6


def test_as_many_chains_of_the_same_length_go_on_at_every_level_however_many_are_above_it():
    """Without which the estimate has a bias of order 1 / particles from the third level on."""
    score, sizes, at = CASES["a length"]
    particles, firsts = 100, round(100 * KEEP)
    plan = plan_of(score, sizes, particles, at(1e-4), 1e-20, np.random.default_rng(1))
    every = [run_population(score, sizes, particles, plan, np.random.default_rng(i)) for i in range(20)]
    each = particles + MOVES_A_STATE * (particles - firsts) * (len(plan.levels) - 1)
    assert {one.evaluations for one in every if np.isfinite(one.log_probability[-1])} == {each}
    assert len({one.log_probability[0] for one in every}) > 5


def test_steps_are_fresh_draws_where_the_score_is_hardly_felt_and_smaller_the_rarer_the_event():
    score, sizes, at = CASES["one number, either sign"]
    plan = plan_of(score, sizes, 2000, at(1e-6), 1e-20, np.random.default_rng(1))
    assert plan.steps.shape == (len(plan.levels) - 1,)
    assert plan.steps[0] > 0.9 > 0.6 > plan.steps[-1]


def test_a_threshold_that_is_asked_for_on_the_way_has_its_own_probability():
    score, sizes, at = CASES["one number, either sign"]
    asked = [-1.0, at(1e-2), at(3e-4), at(1e-9)]
    plan = plan_of(score, sizes, 300, at(1e-5), 1e-20, np.random.default_rng(1), asked)
    assert set(asked) & set(plan.thresholds) == {at(1e-2), at(3e-4)}, "all have the first, and none gets to the last"
    assert len(plan.levels) == len(plan_of(score, sizes, 300, at(1e-5), 1e-20, np.random.default_rng(1)).levels)
    every = [run_population(score, sizes, 300, plan, np.random.default_rng([2, i])) for i in range(POPULATIONS)]
    for p in (1e-2, 3e-4):
        of = np.searchsorted(plan.thresholds, at(p))
        ratio = np.exp([one.log_probability[of] for one in every]) / p
        assert abs(ratio.mean() - 1) < 5.2 * ratio.std() / math.sqrt(POPULATIONS)
        assert ratio.std() / math.sqrt(POPULATIONS) < 0.1


def test_a_population_gives_up_at_the_smallest_probability():
    score, sizes, _ = CASES["a length"]
    plan = plan_of(score, sizes, 300, 1e9, 1e-8, np.random.default_rng(1))
    assert not plan.reached
    assert 1e-10 < chi2.sf(plan.levels[-1], 4) < 1e-7


def test_an_event_that_is_certain_is_told_and_one_out_of_reach_found_as_far_as_scores_go():
    score = lambda x: np.minimum(felt(x), 1.0)  # noqa: E731
    with pytest.raises(NotRare, match="all of 300 replicates have it"):
        plan_of(score, {"weights": 1}, 300, -1.0, 1e-20, np.random.default_rng(1))
    for alike in (0.5, -np.inf):
        with pytest.raises(NotRare, match="none of 300 replicates is nearer to it than another"):
            plan_of(
                lambda x, alike=alike: np.full(300, alike), {"weights": 1}, 300, 1.0, 1e-20, np.random.default_rng(1)
            )
    plan = plan_of(score, {"weights": 1}, 300, 5.0, 1e-20, np.random.default_rng(1))
    assert not plan.reached
    assert plan.levels[-1] == 1.0
    found = run_population(score, {"weights": 1}, 300, plan, np.random.default_rng(2))
    assert math.exp(found.log_probability[-1]) == pytest.approx(
        math.erfc(math.sqrt(0.5)), abs=5 * math.sqrt(0.32 * 0.68 / 300)
    )


def test_scores_that_many_share_are_no_more_alike_for_it():
    """Spearman's, as SciPy has it; by position independent ends would be alike, at .6, where nine of ten tie."""
    rng = np.random.default_rng(5)
    first, last = (np.where(rng.random(1000) < 0.9, np.inf, rng.standard_normal(1000)) for _ in range(2))
    assert _rank_correlation(first, last) == pytest.approx(spearmanr(first, last).statistic)
    assert abs(_rank_correlation(first, last)) < 5.2 / math.sqrt(1000)
    assert _rank_correlation(first, first) == 1.0
    assert _rank_correlation(first, np.full(1000, np.inf)) == 0.0
