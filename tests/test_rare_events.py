"""The truths beside which rare events are judged are those of theory, and the judge sees a wrong one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rnnmc.theory import predictions

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import rare_events


@pytest.mark.parametrize("case", rare_events.CASES, ids=lambda case: case.what)
def test_levels_have_the_probability_that_theory_finds_by_another_route(case):
    """By inverting characteristic functions and by convolution, which end near 1e-12."""
    measure = "log_vector" if case.norm == "log_tangent" else "log_spectral"
    for p in (1e-3, 1e-6):
        point = case.design(p, particles=100)
        said = [found for law, found in predictions(point) if law.exact and measure in (found.log_norm or {})]
        law = said[0].log_norm[measure]
        tail = law.above if case.event == "explode" else law.below
        assert tail(case.level(p), rare_events.STEPS) == pytest.approx(p, rel=1e-3)


def test_runs_hold_the_truth_and_not_twice_the_truth():
    case, runs, size = rare_events.CASES[1], 3, rare_events.FEW_POPULATIONS
    right = rare_events.row(case, 1e-3, runs, size)
    wrong = rare_events.row(case._replace(log_tail=lambda x: case.log_tail(x) - 1.5), 1e-3, runs, size)
    held = [float(row[rare_events.HELD]) for row in (right, wrong)]
    assert held[0] > held[1]
