"""A2: whether ReLU explodes more readily than tanh, whose derivative is bounded in U."""

from __future__ import annotations

import numpy as np

from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Exact, Gap

FURTHEST = 1e6  # the largest |U| at which the derivatives of one unit are evaluated
BOUNDED = Part(
    "bounded",
    "the derivative of one unit, over all recurrent weights, is bounded for tanh",
    "sup over U of |U| (1 - tanh(U h)^2) |h|, |U| |h| up to a million",
    "below",
    1,
)
UNBOUNDED = Part(
    "unbounded",
    "the derivative of one unit, over all recurrent weights, is not bounded for ReLU",
    "sup over U of |U| 1[U h > 0] |h|, |U| |h| up to a million",
    "above",
    1,
)
MORE = Part(
    "more", "ReLU explodes more often than tanh", "P(explode at T) of relu less that of tanh, else equal", "above", 0.01
)


class ReluAgainstTanh(Claim):
    """The derivatives of a unit by their formulas; then every design point that both cells have."""

    name = "A2"
    states = "tanh bounds the derivative in U and ReLU does not, so ReLU explodes more readily."
    parts = (BOUNDED, UNBOUNDED, MORE)

    def questions(self, evidence):
        pairs = list(evidence.pairs("relu", "tanh"))
        if pairs:
            y = np.geomspace(1e-6, FURTHEST, 2_000_001)  # U h; what matters depends on nothing else
            with np.errstate(over="ignore"):
                tanh, relu = float((y / np.cosh(y) ** 2).max()), float(y.max())
            yield Question(BOUNDED, {"cell": "tanh", "width": 1}, Exact(tanh), ("formula",))
            yield Question(UNBOUNDED, {"cell": "relu", "width": 1}, Exact(relu), ("formula",))
        for relu, tanh in pairs:
            (more, place), (less, other) = (evidence.share(one, "explode_at") for one in (relu, tanh))
            yield Question(MORE, relu.where(*FACTORS, horizon=relu.last), Gap(more, less), (place, other))


CLAIM = ReluAgainstTanh()
