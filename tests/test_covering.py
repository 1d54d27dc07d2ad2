"""Intervals hold exact truths as often as they say; with a mistake planted they do not. The whole table: make validate.

All cases together fail by chance less than once in a million runs, where an interval covers just as it says.
"""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import stdtrit
from scipy.stats import chi2

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import covering  # noqa: E402

from rnnmc.statistics import rates  # noqa: E402
from rnnmc.statistics.analyses.finite_width import fit  # noqa: E402

RISK = 1e-6 / (len(covering.CASES) + 1)
# whose studies take longest
FEW = {covering.exponents, covering.lifetimes, covering.rings, covering.limits, covering.onsets}


@pytest.mark.parametrize(("width", "gain"), [(16, 3.6053), (64, 3.4983), (256, 3.4726)])
def test_gated_cells_at_rest_with_fresh_weights_turn_at_the_exact_gains(width, gain):
    assert covering.gated_onset(width) == pytest.approx(gain, abs=5e-5)


def test_the_exact_truths_are_those_of_plain_draws():
    random = np.random.default_rng(4)
    image = 0.5 * np.eye(4)[0] + 0.8 / math.sqrt(4) * random.normal(size=(400_000, 4))  # of a unit vector, gain 3.2
    logs = np.log((image**2).sum(axis=1)) / 2
    assert abs(logs.mean() - covering.gated_rate(4, 3.2)) < 5 * logs.std() / math.sqrt(len(logs))
    walk = random.normal(size=(200_000, 10)).cumsum(axis=1)
    share = (walk > 0).all(axis=1).mean()
    assert abs(share - covering.alive(10)) < 5 * math.sqrt(covering.alive(10) / len(walk))
    # 4 / (pi 0.01^2) - 1/4 = 12,732.1 by Stirling's series: the first whole step behind it
    assert next(t for t in range(10_000, 20_000) if 2 * covering.alive(t) <= 0.01) == 12_733
    assert next(t for t in range(1, 20) if 2 * covering.alive(t) <= 0.5) == 5


@pytest.mark.slow
@pytest.mark.parametrize("case", covering.CASES, ids=lambda case: f"{case.of}, {case.what}")
def test_the_intervals_of_a_case_hold_as_often_as_they_say(case):
    studies = 25 if getattr(case.make, "func", case.make) in FEW else 100
    holds, _ = case.make(studies)
    least, most = covering.allowed(studies, case.at_least, RISK)
    assert len(holds) == studies
    assert least <= holds.sum() <= most


@pytest.mark.slow
def test_students_interval_of_six_replicates_holds_and_a_normal_one_in_its_place_does_not(monkeypatch):
    studies = 1500
    least, most = covering.allowed(studies, False, RISK)
    holds, normal = covering.rates(studies, 6)
    assert least <= holds.sum() <= most
    assert normal.sum() < least
    monkeypatch.setattr(rates, "student_half", lambda error, freedom, level: stdtrit(np.inf, (1 + level) / 2) * error)
    planted, _ = covering.rates(studies, 6)
    assert planted.sum() == normal.sum()


def test_the_line_from_where_it_first_fits_would_not_hold_the_limit(monkeypatch):
    def first_that_fits(width, rate, error, freedom, level):
        for start in range(len(width) - 2):
            found = fit(width, rate, error, freedom, start, 1)
            if chi2.sf(found.squares, found.left) >= 0.01:
                break
        half = covering.Z * math.sqrt(found.variance[0])
        limit = found.coefficients[0]
        return {"limit": limit, "limit_error": half, "limit_low": limit - half, "limit_high": limit + half}

    name, studies = "1/n + 2/n^2, 16 to 1,024 units", 150
    least, _ = covering.allowed(studies, True, RISK)
    assert covering.curved_limits(studies, name)[0].sum() >= least
    monkeypatch.setattr(covering, "averaged", first_that_fits)
    assert covering.curved_limits(studies, name)[0].sum() < least


def test_the_table_says_no_where_too_few_hold_and_the_page_shows_the_table():
    half = covering.Case("rate", "a coin", "rates", True, lambda studies: (np.arange(studies) % 2 == 0, np.array([])))
    (row,) = covering.sheet(100, [half]).rows
    assert row[4:7] == ["0.500", "0.910 to 1.000", "NO"]
    page = (ROOT / "docs/validation.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- intervals -->\n(.*?)\n<!-- end of intervals -->", page, re.DOTALL)
    assert shown is not None
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown[1].splitlines()[2:]]
    assert [(line[0], line[1]) for line in lines] == [(case.of, case.what) for case in covering.CASES]
    assert all(int(line[3]) >= 200 for line in lines)
    assert [line[6] for line in lines] == ["yes"] * len(lines)
