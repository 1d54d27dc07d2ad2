"""Conditions in words against rules that are known."""

from __future__ import annotations

import itertools

import pytest

from rnnmc.claims.conditions import conditions

GRID = [
    {"cell": cell, "width": width, "init": init}
    for cell, width, init in itertools.product(("tanh", "relu", "lstm"), (1, 4, 16, 64), ("keras", "pytorch", "he"))
]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda one: one["width"] >= 16, "only with width at least 16"),
        (lambda one: one["width"] < 4, "only with width 1"),
        (lambda one: one["cell"] == "lstm", "only with lstm"),
        (lambda one: one["init"] != "he", 'except with "he"'),
        (lambda one: one["cell"] == "lstm" and one["width"] <= 4, "only with lstm and width at most 4"),
        (lambda one: not (one["init"] == "he" and one["width"] == 64), 'except with width 64 and "he"'),
        (lambda one: 4 <= one["width"] <= 16, "only with width 4 to 16"),
    ],
)
def test_a_rule_over_one_or_two_factors_is_found_without_exception(rule, said):
    assert conditions([(one, rule(one)) for one in GRID]) == (said, 0)


def test_answers_that_no_condition_explains_are_counted():
    answers = [(one, (one["width"] >= 16) != (i == 0)) for i, one in enumerate(GRID)]
    assert conditions(answers) == ("only with width at least 16", 1)


def test_answers_without_order_are_not_given_one():
    answers = [({"cell": "tanh", "width": 1}, True), ({"cell": "tanh", "width": 1}, False)]
    assert conditions(answers) == ("at 1 of 2, by no single factor", 1)


def test_a_factor_that_some_questions_do_not_have_is_named_too():
    answers = [({"path": path}, path is None) for path in (None, "c_path", "main_term")] * 2
    assert conditions(answers) == ("only with path none", 0)


def test_a_factor_that_is_not_said_of_every_question_is_refused_and_not_lost():
    with pytest.raises(ValueError, match="path is not said of every question"):
        conditions([({"width": 1}, True), ({"width": 2, "path": "c_path"}, False)])
