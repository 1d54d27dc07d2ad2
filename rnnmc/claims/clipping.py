"""A4: whether cutting recurrent weights to [-1, 1] keeps a gradient from exploding.

The proof is of one unit. Of n units it covers matrices with an operator norm of at most 1: cut singular values; cut
entries and a spectral radius of 1 are what may be taken for the same.
"""

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
SINGULAR_VALUES = Part(
    "norm",
    "with singular values cut to an operator norm of at most 1 fewer than one network of a hundred explodes",
    "P(explode at T)",
    "below",
    0.01,
)


class Clipping(Claim):
    """Every point whose recurrent weights or their singular values are cut to 1, or whose spectral radius is made 1."""

    name = "A4"
    states = "Clipping U to [-1, 1] keeps the gradient from exploding."
    parts = (ENTRIES, RADIUS, SINGULAR_VALUES)

    def questions(self, evidence):
        for point in evidence.points():
            law = point.law("recurrent")
            cut = law.get("contraction", {})
            said = law | {"norm": cut.get("norm") if isinstance(cut, dict) else 1}
            for part, limit in ((ENTRIES, "clip"), (RADIUS, "spectral_radius"), (SINGULAR_VALUES, "norm")):
                if said.get(limit) == 1:
                    share, place = evidence.share(point, "explode_at")
                    yield Question(part, point.where("cell", *FACTORS, horizon=point.last), share, (place,))


CLAIM = Clipping()
