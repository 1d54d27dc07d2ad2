"""Laws of weights that cells of papers begin with: what they promise exactly, and their distributions.

Each statistical assertion is a Kolmogorov-Smirnov test at level 1e-9, of which there are fewer than twenty, with fixed
seeds: the file raises a false alarm with probability below 1e-7.
"""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from rnnmc.common.errors import UsageError
from rnnmc.initialisers.unitary_product import _reflected
from rnnmc.study.initialisation import read_role
from rnnmc.study.point import DesignPoint

ALPHA = 1e-9


def draw(said, shape, signs=(1,), seed=11):
    return read_role(said, "recurrent")["every"].draw(np.random.default_rng(seed), shape, signs)


def follows(sample, law):
    return stats.kstest(np.ravel(sample), law).pvalue > ALPHA


def test_between_is_uniform_on_its_interval_and_starts_at_zero_where_nothing_is_said():
    assert follows(draw({"between": {"low": -1.0, "high": 3.0}}, (200, 4, 5)), stats.uniform(-1, 4).cdf)
    assert follows(draw({"between": 2.0}, (200, 4, 5)), stats.uniform(0, 2).cdf)
    assert not follows(draw({"uniform": {"limit": 2.0}}, (200, 4, 5)), stats.uniform(0, 2).cdf)  # planted


def test_a_ramp_goes_from_its_first_value_to_its_last_in_every_gate_and_network():
    ramp = draw({"ramp": {"first": 5.0, "last": -7.0, "power": 0.3}}, (3, 2, 10), (1, 1))
    wanted = [5 - 12 * (i / 4) ** 0.3 for i in range(5)]
    np.testing.assert_allclose(ramp, np.broadcast_to([*wanted, *wanted], (3, 2, 10)), rtol=1e-14)
    assert draw({"ramp": 2.0}, (1, 1, 1)) == 0.0  # one unit is the first


def test_a_part_of_the_units_of_every_gate_has_the_value_and_the_others_have_none():
    part = draw({"part": {"value": 2.0, "first": 0.25, "last": 0.5}}, (3, 1, 14), (1, 1))
    wanted = [0, 2, 2, 0, 0, 0, 0]  # of 7 units, from floor(1.75) on and below floor(3.5)
    np.testing.assert_array_equal(part, np.broadcast_to([*wanted, *wanted], (3, 1, 14)))
    assert (draw({"part": 3.0}, (1, 1, 5)) == 3.0).all()


def test_behind_a_softplus_steps_are_uniform_in_the_logarithm():
    step = np.logaddexp(0, draw({"softplus": {"low": 0.001, "high": 0.1}}, (400, 1, 16)))
    assert follows(np.log10(step), stats.uniform(-3, 2).cdf)
    assert 0.001 * (1 - 1e-9) < step.min() < step.max() < 0.1 * (1 + 1e-9)
    np.testing.assert_allclose(draw({"softplus": {"low": 800.0, "high": 800.0}}, (1, 1, 1)), 800)  # without overflow


def test_a_power_of_the_logistic_function_of_a_decay_is_uniform():
    weights = draw({"logistic_power": {"low": 0.9, "high": 0.999}}, (400, 1, 16))
    assert follows(expit(weights) ** 8, stats.uniform(0.9, 0.099).cdf)
    assert not follows(expit(weights), stats.uniform(0.9, 0.099).cdf)  # planted: as the authors' code has it


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_rotations_turn_pairs_and_leave_the_length_of_every_vector(n):
    blocks = draw({"rotations": 1.5}, (300, n, 2 * n), (1, 1))
    for matrix in np.split(blocks, 2, axis=2):
        np.testing.assert_allclose(
            matrix @ matrix.transpose(0, 2, 1), np.broadcast_to(np.eye(n), (300, n, n)), atol=1e-14
        )
        np.testing.assert_allclose(np.linalg.det(matrix), 1)
        if n > 1:
            assert follows(np.arctan2(matrix[:, 0, 1], matrix[:, 0, 0]), stats.uniform(-1.5, 3).cdf)
        pair = np.arange(n) // 2
        assert (matrix[:, pair[:, None] != pair] == 0).sum() == 300 * (n * n - (pair[:, None] == pair).sum())


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_the_unitary_product_is_that_of_its_factors(n):
    """Multiplied out as matrices of the paper, from the same draws in the same order."""
    both = draw({"unitary_product": {}}, (4, n, 2 * n), (1, 1), seed=3)
    found = both[:, :, :n] + 1j * both[:, :, n:]
    np.testing.assert_allclose(
        found @ found.conj().transpose(0, 2, 1), np.broadcast_to(np.eye(n), found.shape), atol=1e-13
    )

    rng = np.random.default_rng(3)
    phases = np.exp(1j * rng.uniform(-np.pi, np.pi, (3, 4, n)))
    v = rng.uniform(-1, 1, (2, 4, n)) + 1j * rng.uniform(-1, 1, (2, 4, n))
    order = np.argsort(rng.uniform(size=(4, n)), axis=1)
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n) / np.sqrt(n)
    for r in range(4):
        d1, d2, d3 = (np.diag(phases[k, r]) for k in range(3))
        r1, r2 = (np.eye(n) - 2 * np.outer(v[k, r], v[k, r].conj()) / (np.abs(v[k, r]) ** 2).sum() for k in range(2))
        whole = d3 @ r2 @ fourier.conj().T @ d2 @ np.eye(n)[order[r]] @ r1 @ fourier @ d1
        np.testing.assert_allclose(found[r], whole.T, atol=1e-13)


def test_a_reflection_turns_its_normal_round_and_leaves_what_is_orthogonal_to_it():
    normal = np.array([[[1 + 1j, 2.0, 0]]])
    np.testing.assert_allclose(_reflected(normal, normal), -normal)
    beside = np.array([[[0, 0, 1j]]])
    np.testing.assert_allclose(_reflected(beside, normal), beside)


def test_modes_share_a_step_and_a_decay_and_differ_in_frequency():
    both = draw({"modes": {"low": 0.001, "high": 0.1}}, (3000, 1, 12), (1, 1))[:, 0]
    modulus, phase = both[:, :6], both[:, 6:]
    step = -2 * np.log(modulus[:, 0])
    assert follows(np.log10(step), stats.uniform(-3, 2).cdf)
    eigenvalue = np.exp(step[:, None] * (-0.5 + 1j * np.pi * np.arange(6)))
    np.testing.assert_allclose(modulus * np.exp(1j * phase), eigenvalue, rtol=1e-12)


@pytest.mark.parametrize(
    ("cell", "recurrent", "said"),
    [
        ("indrnn", {"between": {"low": 2.0, "high": 1.0}}, "has a low of 2 above its high of 1"),
        ("indrnn", {"softplus": {"low": 2.0, "high": 1.0}}, "has low above high"),
        ("indrnn", {"logistic_power": {"low": 0.99, "high": 0.9}}, "has low above high"),
        ("indrnn", {"logistic_power": 1.0}, "init.recurrent.logistic_power: 1.0 is not a possible"),
        ("tanh", {"part": {"value": 1.0, "first": 0.6, "last": 0.5}}, "has first 0.6 above last 0.5"),
        ("indrnn", {"ramp": {"last": 1.0, "power": 0.0}}, "init.recurrent.ramp.power: 0.0 is not a possible power"),
        ("tanh", {"rotations": 4.0}, "init.recurrent.rotations: 4.0 is not a possible"),
        ("tanh", {"unitary_product": 1.0}, "use it for all weights of unitary"),
        ("indrnn", {"modes": 0.1}, "use it for all recurrent weights of s4d"),
        ("s4d", {"modes": {"low": 0.2, "high": 0.1}}, "has low above high"),
    ],
)
def test_what_no_law_can_be_is_refused_in_one_sentence(cell, recurrent, said):
    with pytest.raises(UsageError, match=said):
        DesignPoint(cell=cell, width=3, init={"recurrent": recurrent})
