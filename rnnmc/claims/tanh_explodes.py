"""A3: whether a tanh network can explode at all."""

from __future__ import annotations

from rnnmc.claims.claim import FACTORS, Claim, Part, Question

EXPLODES = Part(
    "explodes", "tanh explodes in more than one network of a hundred", "P(explode at T)", "above", 0.01, "some"
)


class TanhExplodes(Claim):
    """Every tanh network."""

    name = "A3"
    states = "tanh still explodes with some probability."
    parts = (EXPLODES,)

    def questions(self, evidence):
        for point in evidence.points("tanh"):
            share, place = evidence.share(point, "explode_at")
            yield Question(EXPLODES, point.where(*FACTORS, horizon=point.last), share, (place,))


CLAIM = TanhExplodes()
