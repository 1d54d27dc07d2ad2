"""Tests that pass on nothing are found, and those that do not are left alone."""

import ast
from pathlib import Path

import filled
import numpy as np
import pytest

EMPTY = [
    "for x in nothing:\n        assert x",
    "for x in nothing:\n        print(x)",
    "for x in [1, 2]:\n        for y in nothing:\n            assert y",
    "for x, y in zip(nothing, nothing, strict=True):\n        assert x == y",
    "assert all(x for x in nothing)",
    "assert not any(x for x in nothing)",
    "assert not [x for x in nothing if x > 3]",
    "assert something and all([x for x in nothing])",
    "assert (array[array > 9] > 0).all()",
    "assert not array[array > 9].any()",
    "assert np.array_equal(array[array > 9], array[array > 9])",
    "assert np.allclose(array[array > 9], 0)",
    "np.testing.assert_allclose(array[array > 9], 0)",
    "def helps():\n        for x in nothing:\n            np.testing.assert_equal(x, 1)\n    helps()",
]
FILLED = [
    "for x in something:\n        assert x",
    "for x in something:\n        for y in [x] if x > 1 else []:\n            assert y",  # once is enough
    "for x in nothing:  # may be empty\n        assert x",
    "assert all(x for x in something)",
    "assert not [x for x in something if x > 3]",
    "assert not nothing",
    "assert (array > 0).all(axis=0)",
    "np.testing.assert_allclose(array, 1)",
    "sum(x for x in nothing)",
]


def ran(body: str) -> list[str]:
    """A test of this body, run to its end as pytest would import it: the places where it saw nothing."""
    source = f"def test_it(nothing, something, array):\n    {body}\n"
    tree = ast.parse(source)
    filled.instrument(tree, source.encode(), Path("test_made_up.py"))
    names = {"np": np}
    exec(compile(tree, "test_made_up.py", "exec"), names)
    outside, places = dict(filled.ELEMENTS), []
    try:
        filled.ELEMENTS.clear()
        names["test_it"]([], [1, 2], np.ones(3))
        places = filled.empty()
    finally:
        filled.ELEMENTS.clear()
        filled.ELEMENTS.update(outside)
    return places


@pytest.mark.parametrize("body", EMPTY)
def test_what_passes_on_nothing_is_told_with_its_place(body):
    (place,) = ran(body)
    line = next(i for i, line in enumerate(body.splitlines(), 2) if "nothing" in line or "> 9" in line)
    assert place.startswith(f"test_made_up.py:{line}: ")


@pytest.mark.parametrize("body", FILLED)
def test_what_saw_something_or_may_be_empty_is_left_alone(body):
    assert ran(body) == []


def test_pytest_imports_the_tests_themselves_like_this(request):
    before = len(filled.ELEMENTS)
    assert all(one for one in (request, filled))
    assert len(filled.ELEMENTS) == before + 1
