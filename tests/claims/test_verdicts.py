"""The word for all questions of a part: what lacks power is undecided, and nothing is denied that more would not."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from rnnmc.claims import EMPTY, FAILS, HOLDS, ONLY_WHEN, UNDECIDED, decided, verdict_text, verdicts
from rnnmc.claims.claim import Claim, Evidence, Part, Question
from rnnmc.claims.estimate import Gap, Share
from rnnmc.report.findings import of_claims

RARELY = Part("rarely", "fewer than one of a hundred explodes", "P(explode)", "below", 0.01)
CAN = Part("can", "there are some that explode", "P(explode)", "above", 0.01, "some")


class Asking(Claim):
    """A claim with the questions that it is given."""

    name, states = "B1", "It is as it is."

    def __init__(self, questions: list[Question]):
        self.own = questions

    def questions(self, evidence):
        yield from self.own


def said(part: Part, *estimates: Any) -> dict[str, Any]:
    """The verdict on these estimates, at width 1, 2, 4, ..."""
    asked = [Question(part, {"width": 2**i}, estimate, ("formula",)) for i, estimate in enumerate(estimates)]
    nothing = Evidence(pl.DataFrame(), {})
    return verdicts(decided([Asking(asked)], nothing)).row(0, named=True)


NONE, ALL, FEW = Share(0, 4000), Share(4000, 4000), Share(1, 40)
FLOOR, CEILING, SEEN = Gap(NONE, NONE), Gap(ALL, ALL), Gap(Share(2000, 4000), NONE)


@pytest.mark.parametrize(
    ("part", "estimates", "verdict", "text"),
    [
        (RARELY, [NONE, NONE], HOLDS, "holds (2 questions)"),
        (RARELY, [ALL, ALL], FAILS, "fails (2 questions)"),
        (RARELY, [ALL], FAILS, "fails"),
        (RARELY, [FEW, FEW], UNDECIDED, "undecided (2 questions)"),
        (RARELY, [ALL, FEW], UNDECIDED, "undecided (1 of 2 questions fail)"),
        (RARELY, [NONE, FEW], UNDECIDED, "undecided (1 of 2 questions hold)"),
        (RARELY, [NONE, ALL], ONLY_WHEN, "holds only with width 1 (1 of 2 questions)"),
        (RARELY, [NONE, ALL, FEW], ONLY_WHEN, "holds only with width 1 (1 of 3 questions; 1 undecided)"),
        (
            RARELY,
            [NONE, ALL, FEW, FEW, FEW],
            ONLY_WHEN,
            "holds for some and fails for others (1 of 5 questions; 3 undecided)",
        ),
        (CAN, [NONE, ALL, FEW, FEW, FEW], HOLDS, "holds (1 of 5 questions; 3 undecided)"),
        (CAN, [ALL, NONE], HOLDS, "holds only with width 1 (1 of 2 questions)"),
        (CAN, [NONE, FEW], UNDECIDED, "undecided (1 of 2 questions fail)"),
        (CAN, [NONE, NONE], FAILS, "fails (2 questions)"),
        (CAN, [FLOOR, CEILING], EMPTY, "empty (2 questions, all at a floor or a ceiling)"),
        (CAN, [FLOOR], EMPTY, "empty (1 question, all at a floor or a ceiling)"),
        (CAN, [SEEN, FLOOR], HOLDS, "holds (1 question; 1 more empty)"),
        (RARELY, [FLOOR, SEEN], FAILS, "fails (1 question; 1 more empty)"),
        (RARELY, [FLOOR, Gap(FEW, FEW)], UNDECIDED, "undecided (1 question; 1 more empty)"),
    ],
)
def test_a_word_for_all_questions_needs_all_of_them_decided(part, estimates, verdict, text):
    found = said(part, *estimates)
    assert (found["verdict"], verdict_text(found)) == (verdict, text)


def test_a_verdict_of_an_earlier_release_that_knows_of_no_empty_questions_can_still_be_said():
    old = {"verdict": "fails", "when": None, "otherwise": 0, "holds": 0, "fails": 3, "undecided": 1}
    assert verdict_text(old) == "fails (3 of 4 questions fail)"
    table = pl.DataFrame([old | {"claim": "A1"}])
    assert of_claims(table).endswith("1 are open at this precision.")


def test_the_page_counts_what_is_empty_apart():
    table = pl.DataFrame([said(CAN, FLOOR, CEILING), said(RARELY, NONE, FEW), said(CAN, NONE)])
    assert of_claims(table) == (
        "Of the article's claims, 3 statements in all, 1 has nothing to be seen in (B1), 1 is undecided (B1) and 1 "
        "fails (B1). Of 3 questions 1 were answered as the claim has it, 1 the other way, and 1 are open at this "
        "precision. Another 2 compare what is at a floor or a ceiling, and decide nothing."
    )


def drawn(rng: np.random.Generator, truths: list[list[float]], replicates: int) -> list[dict[str, Any]]:
    """The verdicts on parts of these probabilities; a pair is a comparison of two."""
    rows = []
    for truth in truths:
        of = [[Share(int(rng.binomial(replicates, p)), replicates) for p in np.atleast_1d(one)] for one in truth]
        part = CAN if len(of[0]) == 2 else RARELY
        rows.append(said(part, *(Gap(*one) if len(one) == 2 else one[0] for one in of)))
    return rows


def test_a_tenth_of_the_replicates_denies_nothing_that_all_of_them_do_not():
    """Truths half a bound away from it: that an interval at 1e-3 misses one so far has a probability below 1e-9."""
    rng = np.random.default_rng(14)
    single, floor = (0.0, 0.004, 0.02, 0.05, 0.4), (0.0, 0.003, 0.2, 0.6, 0.997, 1.0)
    truths: list[Any] = [list(rng.choice(single, size=rng.integers(1, 5))) for _ in range(150)]
    truths += [[list(rng.choice(floor, size=2)) for _ in range(rng.integers(1, 4))] for _ in range(150)]
    few, many = drawn(rng, truths, 400), drawn(rng, truths, 40_000)
    denied = [(a["verdict"], b["verdict"]) for a, b in zip(few, many, strict=True) if a["verdict"] == FAILS]
    assert len(denied) > 10
    assert {after for _, after in denied} == {FAILS}
    # Planted: the rule of before, by which what is decided speaks for what is not.
    before = [b["verdict"] for a, b in zip(few, many, strict=True) if a["fails"] and not a["holds"]]
    assert sum(after != FAILS for after in before) > 10
