"""Chains that go down from a replicate give the tail that is known, and tell of a region that was missed."""

import math

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import chi2, norm

from rnnmc.engine.splitting import descent
from rnnmc.engine.splitting.descent import descended, settled
from rnnmc.engine.splitting.population import ByRole, Plan, Score, plan_of

RARE = 1e-9
HALF_SPACE = {"weights": 8, "drive": 8}
FOUR = {"weights": 4}


def mean(x: ByRole) -> np.ndarray:
    """Standard normal, of two roles."""
    return (x["weights"].sum(1) + x["drive"].sum(1)) / 4


def squares(x: ByRole) -> np.ndarray:
    """The squared length of the weights."""
    return np.square(x["weights"]).sum(1)


def down(score: Score, top: ByRole, plan: Plan, seed: int, p: float = RARE) -> float:
    """Log of P(last level | first level) by one descent."""
    rng = np.random.default_rng(seed)
    now = settled(score, top, plan.levels[-1], p, rng)
    assert now is not None
    return float(descended(score, now, plan, rng).sum())


@pytest.mark.parametrize(
    ("score", "sizes", "top", "at", "log_tail"),
    [
        (mean, HALF_SPACE, {"weights": np.full((1, 8), 5.0), "drive": np.full((1, 8), 1.0)}, -ndtri(RARE), norm.logsf),
        (squares, FOUR, {"weights": np.full((1, 4), 5.0)}, chi2.isf(RARE, 4), lambda at: chi2.logsf(at, 4)),
    ],
)
def test_chains_down_from_one_replicate_give_the_exact_tail(score, sizes, top, at, log_tail):
    """One descent is off by some 0.2 nats; the mean of eight is off by 0.5 in fewer than one run of a million."""
    plan = plan_of(score, sizes, 500, at, 1e-12, np.random.default_rng(1))
    assert plan.reached
    known = float(log_tail(plan.levels[-1]) - log_tail(plan.levels[0]))
    found = [down(score, top, plan, seed) for seed in range(8)]
    assert np.mean(found) == pytest.approx(known, abs=0.5)


def test_a_region_that_no_population_has_reached_is_seen_from_a_replicate_in_it():
    """The planted mistake: levels and shares of one region alone, where the score has another that is as likely."""

    def known(x: ByRole) -> np.ndarray:
        return x["weights"][:, 0]

    def whole(x: ByRole) -> np.ndarray:
        return np.maximum(known(x), 3 * (x["weights"][:, 1] - 3.2))

    plan = plan_of(known, FOUR, 500, 6.0, 1e-12, np.random.default_rng(1))
    of_known = float(norm.logsf(plan.levels[-1]) - norm.logsf(plan.levels[0]))
    here, there = (np.array([[6.5, 0.0, 0.0, 0.0]]), np.array([[0.0, 5.5, 0.0, 0.0]]))
    assert down(whole, {"weights": there}, plan, 1) > of_known + math.log(4)
    assert down(known, {"weights": here}, plan, 1) == pytest.approx(of_known, abs=1.2)


def test_a_corner_that_chains_do_not_get_away_from_is_none_to_go_down_from(monkeypatch):
    monkeypatch.setattr(descent, "MOST_MOVES", 2000)

    def thin(x: ByRole) -> np.ndarray:
        far = np.abs(x["weights"][:, 0] - 30)
        return np.where(far < 1e-6, 10.0, x["weights"][:, 1])

    assert settled(thin, {"weights": np.array([[30.0, 0, 0, 0]])}, 4.0, 3e-5, np.random.default_rng(1)) is None
    assert settled(thin, {"weights": np.array([[0, 30.0, 0, 0]])}, 4.0, 3e-5, np.random.default_rng(1)) is not None
