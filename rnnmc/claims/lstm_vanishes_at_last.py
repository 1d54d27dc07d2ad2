"""A7: whether over thousands of steps even an LSTM vanishes."""

from __future__ import annotations

from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.stays_near_one import LONG, powers_of_ten

VANISHES = Part("vanishes", "most LSTMs have vanished", "P(vanish at T)", "above", 0.5)


class LstmVanishesAtLast(Claim):
    """Every LSTM with tied weights, at every stored power of ten from `LONG` steps on."""

    name = "A7"
    states = "Over thousands to tens of thousands of steps even an LSTM vanishes."
    parts = (VANISHES,)

    def questions(self, evidence):
        for point in evidence.points("lstm"):
            for horizon in powers_of_ten(point.horizons):
                if point.row["weights"] == "tied" and horizon >= LONG:
                    share, place = evidence.share(point, "vanish_at", horizon)
                    yield Question(VANISHES, point.where(*FACTORS, horizon=horizon), share, (place,))


CLAIM = LstmVanishesAtLast()
