"""Draws as a function of standard normal numbers: the same law, one row a replicate, and nothing else asked."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from rnnmc.numerics.coordinates import FromNormals, NotOfNormals, recorded

COUNT = 4000
ASKED = {
    "standard_normal": lambda rng, count: rng.standard_normal((count, 2)),
    "normal": lambda rng, count: rng.normal(1.0, 3.0, (2, count)),
    "uniform": lambda rng, count: rng.uniform(-1, 2, (2, count, 3)),
    "random": lambda rng, count: rng.random((count, 2)),
    "integers": lambda rng, count: rng.integers(3, size=(count, 2)),
    "integers of a range": lambda rng, count: rng.integers(-2, 2, size=count, endpoint=True),
}


def from_normals(ask, count: int) -> np.ndarray:
    calls = recorded(lambda n, rngs: ask(rngs("any"), n))["any"]
    size = sum(one.size for one in calls)
    return ask(FromNormals(np.random.default_rng(5).standard_normal((count, size)), calls), count)


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_what_is_made_of_coordinates_has_the_law_of_the_generator(ask):
    drawn, told = ask(np.random.default_rng(6), COUNT), from_normals(ask, COUNT)
    assert told.shape == drawn.shape
    assert ks_2samp(drawn.ravel(), told.ravel()).pvalue > 1e-7


def test_the_lower_tail_of_a_uniform_number_keeps_its_digits():
    told = FromNormals(np.array([[-30.0]]), recorded(lambda n, rngs: rngs("any").random(n))["any"])
    assert told.random(1)[0] == pytest.approx(4.906713927148e-198, rel=1e-10)


@pytest.mark.parametrize(
    "ask",
    [
        lambda rng, count: rng.standard_normal(3),
        lambda rng, count: [rng.standard_normal(2) for _ in range(count)],
        lambda rng, count: rng.standard_normal((count, count)),
        lambda rng, count: rng.standard_normal(2 * count),
    ],
    ids=["shared by all", "one at a time", "on two axes", "side by side"],
)
def test_draws_that_no_row_belongs_to_are_refused(ask):
    with pytest.raises(NotOfNormals, match="the same for every replicate"):
        from_normals(ask, 5)


@pytest.mark.parametrize("method", ["choice", "permutation", "exponential", "bytes"])
def test_a_method_that_normal_numbers_do_not_say_is_refused_by_name(method):
    with pytest.raises(NotOfNormals, match=f"draws by `{method}`"):
        from_normals(lambda rng, count: getattr(rng, method)(count), 5)


def test_what_is_drawn_may_be_changed_in_place():
    given = np.ones((3, 2))
    told = FromNormals(given, recorded(lambda n, rngs: rngs("any").standard_normal((n, 2)))["any"])
    told.standard_normal((3, 2))[:] = 0.0
    assert (given == 1).all()
