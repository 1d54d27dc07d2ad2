"""The identity with ReLU: random walks that must stay positive, against enumeration, mpmath and the engine.

Each share is tested at level 1e-9, about 90 of them, each mean at 6.1 standard errors, seeds fixed: a false alarm below
1e-6 for all together.
"""

import itertools
import math

import mpmath
import numpy as np
import pytest
from reference import chain_of, first_direction, measured
from scipy import stats

from rnnmc.study.point import DesignPoint
from rnnmc.study.study import Thresholds
from rnnmc.theory import predictions
from rnnmc.theory.exact.irnn import stays_positive

ALPHA, SIGMAS = 1e-9, 6.1


def irnn(width, drive, **more):
    init = {"recurrent": {"identity": 1.0}, "input": {"gaussian": 0.7}}
    return DesignPoint(**{"cell": "relu", "width": width, "init": init, "drive": drive, "horizons": (1, 3, 12)} | more)


def said(point):
    return {law.name: found for law, found in predictions(point)}["irnn"]


@pytest.mark.parametrize("steps", [1, 2, 5, 30, 1000, 12732, 10**6])
def test_a_walk_stays_positive_with_the_central_binomial_probability(steps):
    mpmath.mp.dps = 30
    wanted = mpmath.binomial(2 * steps, steps) / mpmath.mpf(4) ** steps
    assert stays_positive(steps) == pytest.approx(float(wanted), rel=1e-9)


def test_that_probability_is_the_same_whatever_the_steps_are():
    """Enumerated: all signs and orders of four sizes without ties; of any, the share is C(8,4)/4^4 = 35/128."""
    for sizes in ([1.0, 2.1, 4.3, 8.7], [1.0, 1.1, 1.23, 1.391], [0.01, 1.0, 100.0, 1e4]):
        walks = [
            np.cumsum(np.array(order) * signs)
            for order in itertools.permutations(sizes)
            for signs in itertools.product((-1, 1), repeat=4)
        ]
        assert np.mean([(walk > 0).all() for walk in walks]) == 35 / 128
    assert stays_positive(4) == pytest.approx(35 / 128, rel=1e-14)
    assert stays_positive(2) == pytest.approx(1 / 4 + math.asin(2**-0.5) / (2 * math.pi), rel=1e-14)  # an orthant


def test_ninety_nine_of_a_hundred_wide_networks_are_dead_by_step_12732():
    """2 C(2t, t)/4^t = 1 % whatever the input's scale."""
    found = said(irnn(10**4, "white", horizons=(12_700, 12_732, 12_800)))
    assert found.log_norm["log_spectral"].dead(12_732) == pytest.approx(0.99, abs=1e-6)
    assert found.log_norm["log_spectral"].dead(12_700) < 0.99 - 1e-6


POINTS = {
    "white, one unit": irnn(1, "white"),
    "white": irnn(4, "white"),
    "white, wider, other laws of w": irnn(
        16, "white", init={"recurrent": {"identity": 1.0}, "input": {"uniform": 2.0}}, dtype="float64"
    ),
    "field": irnn(3, "field"),
    "field, wider": irnn(16, "field", horizons=(2, 60)),
    "one unit of three inputs": irnn(1, {"white": 3}),
    "three inputs": irnn(4, {"white": 3}),
    "no input": irnn(3, "none", state_std=1.0),
}


@pytest.mark.parametrize("name", POINTS)
def test_every_measure_is_the_engine_s_and_so_are_shares_of_the_dead(name):
    point, count, seen = POINTS[name], 4000, 0
    found = said(point)
    spectral, rms, _ = measured(point, count)
    with np.errstate(divide="ignore"):
        vector = np.stack([first_direction(moment) for moment in chain_of(point, count)], 1)
    for measure, logs in (("log_spectral", spectral), ("log_rms", rms), ("log_vector", vector)):
        law = found.log_norm.get(measure)
        for i, horizon in enumerate(point.horizons if law else ()):
            one, living = logs[:, i], logs[np.isfinite(logs[:, i]), i]
            level = 0.5 * math.log(0.6)
            for happened, probability in (
                (~np.isfinite(one), law.dead(horizon)),
                (one < level, law.below(level, horizon)),
                (one > level, law.above(level, horizon)),
            ):
                test = stats.binomtest(int(happened.sum()), count, min(1.0, probability))
                assert test.pvalue > ALPHA, (measure, horizon, probability)
                seen += 1
            mean, variance = law.moments(horizon)
            assert abs(living.mean() - mean) <= SIGMAS * (variance / len(living)) ** 0.5 + 1e-6
            assert set(np.round(living, 5)) <= set(np.round(law.values(horizon), 5))
    assert seen == len(found.log_norm) * len(point.horizons) * 3


def test_units_that_hear_one_number_die_together_and_those_in_a_field_do_not():
    """The mistake planted: each law is far outside what the other's networks do."""
    count, horizon = 4000, 12
    for drive, other in (("white", "field"), ("field", "white")):
        spectral, _, _ = measured(irnn(16, drive), count)
        dead = int((~np.isfinite(spectral[:, 2])).sum())
        own, wrong = (said(irnn(16, d)).log_norm["log_spectral"].dead(horizon) for d in (drive, other))
        assert stats.binomtest(dead, count, own).pvalue > ALPHA
        assert stats.binomtest(dead, count, wrong).pvalue < ALPHA


def test_with_several_inputs_only_one_unit_is_known_and_with_bias_or_state_nothing():
    assert set(said(irnn(4, {"white": 3})).log_norm) == {"log_vector"}
    assert set(said(irnn(4, "white")).log_norm) == {"log_vector", "log_spectral", "log_rms"}
    one = {"recurrent": {"identity": 1.0}, "input": {"gaussian": 0.7}}
    for more in (
        {"state_std": 1.0}, {"drive": "ar1"}, {"drive": "constant"}, {"cell": "tanh"},
        {"init": one | {"input": {"constant": 1.0}}}, {"init": one | {"bias": {"constant": 0.1}}},
        {"init": one | {"recurrent": {"identity": 0.9}}}, {"init": one | {"input": {"gaussian": 0.7, "clip": 0.1}}},
        {"init": one | {"recurrent": {"orthogonal": 1.0}}},
    ):  # fmt: skip
        point = DesignPoint(**{"cell": "relu", "width": 4, "init": one, "drive": "white"} | more)
        assert "irnn" not in {law.name for law, _ in predictions(point)}


def test_probabilities_of_events_add_up_and_the_norm_never_exceeds_one():
    for point in POINTS.values():
        found, horizon = said(point), point.horizons[-1]
        for measure in found.log_norm:
            events = [
                found.probability(event, horizon, Thresholds(vanish=0.5, explode=1.5), measure)
                for event in ("vanish", "stable", "explode")
            ]
            assert math.fsum(events) == pytest.approx(1, abs=1e-12)
            assert events[2] == 0
