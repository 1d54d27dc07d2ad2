"""What is said of measured rates beside predicted ones is so."""

from __future__ import annotations

import polars as pl
import pytest
from scipy.stats import norm, t

from rnnmc.statistics.analyses import analyses
from rnnmc.statistics.made_up import varied

AGAINST_THEORY = analyses()["against-theory"]
CHANGED = ("growth_rate", "growth_rate_error", "growth_systematic", "growth_rate_freedom", "theory_growth_rate")


def of_one(theory_error=0.0, **numbers):
    """The row of one design point whose last horizon has these numbers."""
    points, statistics = varied()
    points = points.head(1)
    numbers = numbers | {"theory_growth_rate_error": theory_error, "theory_growth_exact": False}
    own = statistics.filter(pl.col("point").cast(pl.String) == points["point"][0])
    rows = own.with_columns(pl.lit(value).alias(name) for name, value in numbers.items())
    return AGAINST_THEORY.table(points, rows).row(0, named=True)


def test_a_score_is_the_tail_of_student_s_law_and_that_of_the_law_s_own_error():
    numbers = {"growth_rate": 0.1, "growth_rate_error": 0.01, "growth_systematic": 0.0, "growth_rate_freedom": 5.0}
    row = of_one(**numbers, theory_growth_rate=0.06)
    assert row["difference"] == pytest.approx(0.04)
    assert row["times_width"] == pytest.approx(0.04 * row["width"])
    assert row["score"] == pytest.approx(norm.isf(t.sf(4, 5)))
    assert of_one(0.03, **numbers, theory_growth_rate=0.06)["score"] < 1.3


@pytest.mark.parametrize(
    ("systematic", "theory", "score"),
    [(-0.05, 0.07, 0), (-0.05, 0.03, 2), (-0.05, 0.12, -2), (0.05, 0.07, 3), (0.05, 0.12, 0)],
)
def test_what_lies_between_the_two_estimators_is_no_disagreement(systematic, theory, score):
    numbers = {"growth_rate": 0.1, "growth_rate_error": 0.01, "growth_rate_freedom": 1e9}
    row = of_one(**numbers, growth_systematic=systematic, theory_growth_rate=theory)
    assert row["score"] == pytest.approx(score, abs=1e-5)


def test_the_furthest_apart_come_first_and_exact_laws_are_left_to_the_oracles():
    points, statistics = varied()
    table = AGAINST_THEORY.table(points, statistics)
    assert table["score"].abs().drop_nulls().is_sorted(descending=True)
    exact = statistics.with_columns(pl.lit(True).alias("theory_growth_exact"))
    assert AGAINST_THEORY.table(points, exact).is_empty()
    assert f"Of {table.height} design points" in AGAINST_THEORY.found(table)[0]
