"""Normal numbers in quantity: the law, tails and all, and the same with and without a compiler."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rnnmc.engine.draws import stream
from rnnmc.numerics import normal
from rnnmc.numerics.compiler import compiler

ALPHA = 1e-6  # false alarms of each test
MANY = 1 << 22


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return stream("key", 0, 0, "weights", "float32").standard_normal(MANY).astype(float)


def words(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 2**32, count, dtype=np.uint32)


@pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
@pytest.mark.parametrize("count", [2, 30, 32, 34, 100_000])
def test_compiled_numbers_are_numpys_to_rounding(count):
    edge = np.array([0, 2**32 - 1, 2**31, 1, 2**30, 2**30 - 1, 3 << 30, 2**29], np.uint32)
    some = np.concatenate([np.resize(edge, min(count, 16)), words(max(0, count - 16))])
    np.testing.assert_allclose(normal.normals(some), normal._normals(some), rtol=2e-6, atol=2e-7)


@pytest.mark.slow
def test_the_law_is_normal_from_the_middle_to_the_tails(drawn):
    assert stats.kstest(drawn, stats.norm.cdf).pvalue > ALPHA
    for bound in (1, 2, 3, 4, 4.5):
        beyond = (np.abs(drawn) > bound).sum()
        assert stats.binomtest(int(beyond), MANY, 2 * stats.norm.sf(bound)).pvalue > ALPHA
    assert 4.7 < np.abs(drawn).max() < 6.8


@pytest.mark.slow
def test_moments_are_those_of_a_normal_law(drawn):
    moments = {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}  # power -> (mean, variance) of x^power
    for power, (mean, variance) in moments.items():
        assert abs((drawn**power).mean() - mean) < 5 * np.sqrt(variance / MANY)


@pytest.mark.slow
def test_the_two_numbers_of_a_pair_are_independent(drawn):
    first, second = drawn[: MANY // 32 * 32].reshape(-1, 2, 16).transpose(1, 0, 2).reshape(2, -1)
    limit = 5 / np.sqrt(first.size)
    for one, other in ((first, second), (first**2, second**2), (np.abs(first), second), (first[:-1], first[1:])):
        assert abs(np.corrcoef(one, other)[0, 1]) < limit
    corners = np.histogram2d(first > 0, second > 0, bins=2)[0].ravel()
    assert stats.chisquare(corners).pvalue > ALPHA
    angle, radius = np.arctan2(second, first), np.hypot(first, second)
    assert stats.kstest(angle, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > ALPHA
    assert stats.kstest(radius**2 / 2, stats.expon.cdf).pvalue > ALPHA


@pytest.mark.slow
def test_a_planted_mistake_in_the_law_is_seen():
    """Sine for sine and cosine alike, as a wrong quadrant would give."""
    some = np.abs(stream("key", 0, 0, "weights", "float32").standard_normal(MANY))
    assert stats.kstest(some, stats.norm.cdf).pvalue < ALPHA
    assert stats.kstest(1.01 * stream("key", 0, 0, "weights", "float32").standard_normal(MANY), "norm").pvalue < ALPHA


def test_shapes_are_as_asked_and_one_call_draws_what_it_takes():
    rng = stream("key", 0, 0, "drive", "float32")
    assert rng.standard_normal((3, 4, 5)).shape == (3, 4, 5)
    assert rng.standard_normal(7).shape == (7,)
    assert isinstance(rng.standard_normal(), float)
    assert rng.standard_normal((0, 3)).shape == (0, 3)


def test_a_chain_in_float64_has_numpys_own_numbers():
    fine, coarse = (stream("key", 0, 0, "weights", dtype) for dtype in ("float64", "float32"))
    assert type(fine) is np.random.Generator
    numbers = fine.standard_normal(100)
    assert (numbers != numbers.astype(np.float32)).any()
    assert (coarse.standard_normal(100).dtype) == np.float32
