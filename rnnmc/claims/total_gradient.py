"""A14: whether the whole gradient is rarely zero even where the chain vanishes."""

from __future__ import annotations

from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Share

RARELY = Part(
    "rarely",
    "the whole gradient of a loss on the last state has vanished in fewer than one network of twenty",
    "P(norm of the parameter gradient is below the vanishing threshold)",
    "below",
    0.05,
)
VANISHED = Part(
    "vanished",
    "the chain has vanished in most networks whose whole gradient was looked at",
    "P(vanish at T)",
    "above",
    0.5,
)


class TotalGradient(Claim):
    """Every point on which `gradient` looked."""

    name = "A14"
    states = "The total gradient is rarely zero even when the chain vanishes."
    parts = (RARELY, VANISHED)

    def questions(self, evidence):
        for point in evidence.observed("gradient"):
            where = point.where("cell", *FACTORS, horizon=point.last)
            for row in evidence.rows("gradient", point, loss="last", quantity="log_total", lag=0):
                share = Share(row["negligible_count"], row["replicates"])
                yield Question(RARELY, where, share, (f"{row['place']}, p_negligible",))
                chain, place = evidence.share(point, "vanish_at")
                yield Question(VANISHED, where, chain, (place,))


CLAIM = TotalGradient()
