"""A7: whether over thousands of steps even an LSTM vanishes."""

from __future__ import annotations

from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.stays_near_one import powers_of_ten

THOUSANDS = 2000  # steps, from which there are several thousand

VANISHES = Part("vanishes", "most LSTMs have vanished", "P(vanish at T)", "above", 0.5)


class LstmVanishesAtLast(Claim):
    """Every LSTM with tied weights, at the first stored horizon from `THOUSANDS` on and every power of ten beyond."""

    name = "A7"
    states = "Over thousands to tens of thousands of steps even an LSTM vanishes."
    parts = (VANISHES,)

    def questions(self, evidence):
        for point in evidence.points("lstm"):
            late = [horizon for horizon in point.horizons if horizon >= THOUSANDS]
            for horizon in sorted({*late[:1], *powers_of_ten(late)}) if point.row["weights"] == "tied" else ():
                share, place = evidence.share(point, "vanish_at", horizon)
                yield Question(VANISHES, point.where(*FACTORS, horizon=horizon), share, (place,))


CLAIM = LstmVanishesAtLast()
