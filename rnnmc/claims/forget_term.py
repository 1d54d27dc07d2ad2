"""A5: whether the forget gate alone decides what an LSTM's Jacobian does."""

from __future__ import annotations

from rnnmc.chain.norms import SPECTRAL
from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Share
from rnnmc.observables.paths import C_PATH, MAIN_TERM
from rnnmc.observables.terms import MAIN
from rnnmc.statistics.summaries.one_step import SQUEEZE
from rnnmc.statistics.summaries.paths import CLOSE
from rnnmc.statistics.summaries.terms import MINOR

LARGEST = Part(
    "largest",
    "in most networks the forget term is the largest of the four, in most of their steps and units",
    "P(the forget gate is above every other term in more than half of a network's (step, unit) pairs)",
    "above",
    0.5,
)
OTHER = Part(
    "minor",
    "the other term is minor: in most networks typically below a tenth of the forget gate",
    f"P(a network's mean log ratio of the term to the forget gate is below log {MINOR:g})",
    "above",
    0.5,
)
SAME_RATE = Part(
    "rate",
    f"in most networks the path gives the growth rate of the joint chain to {CLOSE:g} nats a step",
    f"P(|growth rate along the path less that of the joint chain| is below {CLOSE:g} nats a step)",
    "above",
    0.5,
)
SQUEEZED = Part(
    "squeezed",
    f"the memory in the forget term is squeezed to at most {SQUEEZE:g}, however large it is",
    f"P(|c| sech^2 c is ever above {SQUEEZE:g} in any unit)",
    "below",
    0.05,
)


class ForgetTerm(Claim):
    """Every LSTM on which `terms`, `paths` or `one_step` looked."""

    name = "A5"
    states = "In an LSTM the forget term dominates, and the three others are minor."
    parts = (LARGEST, OTHER, SAME_RATE, SQUEEZED)

    def questions(self, evidence):
        for point in evidence.observed("paths", "terms", "one_step", cells=("lstm",)):
            where = point.where(*FACTORS, horizon=point.last)
            for row in evidence.rows("terms", point, horizon=point.last):
                main = row["term"] == MAIN
                part, name = (LARGEST, "dominant_count") if main else (OTHER, "minor_count")
                told = where if main else where | {"term": row["term"]}
                share = Share(row[name], row["replicates"])
                yield Question(part, told, share, (f"{row['place']}, term={row['term']}, {name}",))
            for row in evidence.rows("paths", point, horizon=point.last, measure=SPECTRAL):
                if row["path"] in (MAIN_TERM, C_PATH) and row["close_count"] is not None:
                    share = Share(row["close_count"], row["replicates"])
                    place = f"{row['place']}, path={row['path']}, close_count"
                    yield Question(SAME_RATE, where | {"path": row["path"]}, share, (place,))
            for row in evidence.rows("one_step", point, horizon=point.last):
                share = Share(row["squeezed_count"], row["replicates"])
                yield Question(SQUEEZED, where, share, (f"{row['place']}, squeezed_count",))


CLAIM = ForgetTerm()
