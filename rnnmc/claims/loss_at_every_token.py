"""A13: whether vanishing matters when every step has a loss of its own."""

from __future__ import annotations

from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Share

LAG = 100  # steps
ARRIVES = Part(
    "arrives",
    "with a loss at every step the parameters receive a gradient in all but one network of twenty",
    "P(norm of the parameter gradient is below the vanishing threshold)",
    "below",
    0.05,
)
REACHES = Part(
    "reaches",
    f"with a loss at every step the gradient still comes from more than {LAG} steps back",
    f"P(the part from further back than {LAG} steps is below the vanishing threshold, as a share of the whole)",
    "below",
    0.5,
)


class LossAtEveryToken(Claim):
    """Every point on which `gradient` looked."""

    name = "A13"
    states = "With a loss at every token vanishing hardly matters."
    source = "the author's reply under kexue.fm/archives/7888; docs/physics.md section 7"
    parts = (ARRIVES, REACHES)

    def questions(self, evidence):
        for point in evidence.observed("gradient"):
            where = point.where("cell", *FACTORS, horizon=point.last)
            for row in evidence.rows("gradient", point, loss="every", quantity="log_total", lag=0):
                share = Share(row["negligible_count"], row["replicates"])
                yield Question(ARRIVES, where, share, (f"{row['place']}, p_negligible",))
            for row in evidence.rows("gradient", point, loss="every", quantity="share_further", lag=LAG):
                if not row.get("unknown_count"):  # a share of nothing, or of what has overflowed, decides nothing
                    share = Share(row["negligible_count"], row["replicates"])
                    yield Question(REACHES, where, share, (f"{row['place']}, p_negligible",))


CLAIM = LossAtEveryToken()
