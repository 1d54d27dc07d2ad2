"""A6: whether an LSTM explodes rarely, and vanishes unless its forget gates are near 1."""

from __future__ import annotations

from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Gap
from rnnmc.claims.forget_bias import with_and_without

RARELY = Part("rarely", "fewer than one LSTM of a hundred explodes", "P(explode at T)", "below", 0.01)
DEPENDS = Part(
    "depends",
    "with the larger forget bias far fewer networks have vanished",
    "P(vanish at T) without the bias less that with it",
    "above",
    0.1,
)


class LstmExplodesRarely(Claim):
    """Every LSTM; and every one with a forget bias against the same without."""

    name = "A6"
    states = "An LSTM explodes rarely; whether it vanishes depends on how near f is to 1."
    parts = (RARELY, DEPENDS)

    def questions(self, evidence):
        for point in evidence.points("lstm"):
            share, place = evidence.share(point, "explode_at")
            yield Question(RARELY, point.where(*FACTORS, horizon=point.last), share, (place,))
        for biased, plain, horizon in with_and_without(evidence):
            (less, place), (more, other) = (evidence.share(one, "vanish_at", horizon) for one in (biased, plain))
            yield Question(DEPENDS, biased.where(*FACTORS, horizon=horizon), Gap(more, less), (other, place))


CLAIM = LstmExplodesRarely()
