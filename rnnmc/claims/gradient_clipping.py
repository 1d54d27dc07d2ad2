"""A15: whether clipping the gradient copes with one that explodes."""

from __future__ import annotations

from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Share

LAG = 10  # steps
FINITE = Part(
    "finite",
    "there is something to clip: the gradient of a loss on the last state is a number in single precision in all but "
    "one network of twenty",
    "P(norm of the parameter gradient is beyond the largest number of float32)",
    "below",
    0.05,
)
HEEDS = Part(
    "heeds",
    f"clipped, it still heeds the last {LAG} steps, though one scale for all lags lets the largest outweigh the others",
    f"P(the part of the lags up to {LAG} is below the vanishing threshold, as a share of the whole)",
    "below",
    0.5,
)


class GradientClipping(Claim):
    """Every point on which `gradient` looked."""

    name = "A15"
    states = "Gradient clipping copes with a gradient that explodes."
    parts = (FINITE, HEEDS)

    def questions(self, evidence):
        for point in evidence.observed("gradient"):
            where = point.where("cell", *FACTORS, horizon=point.last)
            for row in evidence.rows("gradient", point, loss="last", quantity="log_total", lag=0):
                share = Share(row["beyond_count"], row["replicates"])
                yield Question(FINITE, where, share, (f"{row['place']}, beyond_count",))
            for row in evidence.rows("gradient", point, loss="last", quantity="share_here", lag=LAG):
                if not row.get("unknown_count"):  # a share of nothing, or of what has overflowed, decides nothing
                    share = Share(row["negligible_count"], row["replicates"])
                    yield Question(HEEDS, where, share, (f"{row['place']}, p_negligible",))


CLAIM = GradientClipping()
