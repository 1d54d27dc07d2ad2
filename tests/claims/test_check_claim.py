"""Every claim keeps the contract of its kind, and one with a mistake does not."""

import dataclasses

import pytest

from rnnmc.claims import claims
from rnnmc.claims.claim import Question
from rnnmc.claims.tanh_explodes import EXPLODES, TanhExplodes
from rnnmc.run.checks.claim import check_claim


def failed(claim) -> set[str]:
    return {result.name for result in check_claim(claim) if not result.passed}


@pytest.mark.slow
@pytest.mark.parametrize("name", claims())
def test_a_claim_keeps_the_contract_of_its_kind(name):
    assert not failed(claims()[name])


class Planted(TanhExplodes):
    """A claim with one mistake."""

    def __init__(self, mistake: str):
        self.mistake = mistake
        part = {
            "decides": dataclasses.replace(EXPLODES, bound=-1.0),
            "parts": dataclasses.replace(EXPLODES, quantity=""),
        }.get(mistake, EXPLODES)
        self.parts = (part, part) if mistake == "twice" else (part,)  # pyright: ignore[reportAttributeAccessIssue]
        self.states = "No full stop" if mistake == "described" else "It explodes."  # pyright: ignore[reportAttributeAccessIssue]

    def questions(self, evidence):
        if self.mistake == "nothing":
            next(iter(evidence.points("tanh"))).where("width")
        for question in super().questions(evidence) if self.mistake != "asks" else ():
            where = {**question.where, **({"sede": 1} if self.mistake == "questions" else {})}
            yield Question(self.parts[0], where, question.estimate, question.rows)


@pytest.mark.slow
def test_the_one_that_mistakes_are_planted_in_is_right_without():
    assert not failed(Planted(""))


@pytest.mark.parametrize(
    ("mistake", "check"),
    [(check, check) for check in ("described", "parts", "nothing", "asks", "questions", "decides")]
    + [("twice", "parts")],
)
def test_a_mistake_is_found_by_the_check_of_its_name(mistake, check):
    assert check in failed(Planted(mistake))
