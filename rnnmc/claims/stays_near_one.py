"""A1: whether a norm stays near 1 for long."""

from __future__ import annotations

from rnnmc.claims.claim import FACTORS, Claim, Part, Question

LONG = 1000  # steps
STAYS = Part(
    "stays", "the norm is improbable to stay between the thresholds for so long", "P(stable by T)", "below", 0.1
)


class StaysNearOne(Claim):
    """For every cell with tied weights, at every stored power of ten from `LONG` on."""

    name = "A1"
    states = "A norm that stays near 1 for many steps is improbable."
    parts = (STAYS,)

    def questions(self, evidence):
        for point in evidence.points():
            for horizon in powers_of_ten(point.horizons):
                if point.row["weights"] == "tied" and horizon >= LONG:
                    share, place = evidence.share(point, "stable_by", horizon)
                    yield Question(STAYS, point.where("cell", *FACTORS, horizon=horizon), share, (place,))


def powers_of_ten(horizons: list[int]) -> list[int]:
    """Those of the horizons, in steps; the last one where there are none."""
    return [horizon for horizon in horizons if str(horizon).strip("0") == "1"] or horizons[-1:]


CLAIM = StaysNearOne()
