"""A4: whether cutting recurrent weights to [-1, 1] keeps a gradient from exploding."""

from __future__ import annotations

from rnnmc.claims.claim import FACTORS, Claim, Part, Question

ENTRIES = Part(
    "entries",
    "with entries cut to [-1, 1] fewer than one network of a hundred explodes",
    "P(explode at T)",
    "below",
    0.01,
)
RADIUS = Part(
    "radius",
    "scaled to spectral radius 1 fewer than one network of a hundred explodes",
    "P(explode at T)",
    "below",
    0.01,
)


class Clipping(Claim):
    """Every point whose recurrent weights are cut to 1 or scaled to a spectral radius of 1."""

    name = "A4"
    states = "Clipping U to [-1, 1] keeps the gradient from exploding."
    parts = (ENTRIES, RADIUS)

    def questions(self, evidence):
        for point in evidence.points():
            law = point.law("recurrent")
            for part, modifier in ((ENTRIES, "clip"), (RADIUS, "spectral_radius")):
                if law.get(modifier) == 1:
                    share, place = evidence.share(point, "explode_at")
                    yield Question(part, point.where("cell", *FACTORS, horizon=point.last), share, (place,))


CLAIM = Clipping()
