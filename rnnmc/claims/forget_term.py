"""A5: whether the forget gate alone decides what an LSTM's Jacobian does."""

from __future__ import annotations

import math

from rnnmc.chain.norms import SPECTRAL
from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Mean, Size
from rnnmc.observables.paths import C_PATH, MAIN_TERM
from rnnmc.observables.terms import MAIN

LARGEST = Part(
    "largest",
    "in most steps and units the forget term is the largest of the four",
    "share of (step, unit) pairs with the forget gate above every other term",
    "above",
    0.5,
)
MINOR = Part(
    "minor",
    "the other term is minor: typically below a tenth of the forget gate",
    "mean log ratio of the term to the forget gate, nats",
    "below",
    math.log(0.1),
)
SAME_RATE = Part(
    "rate",
    "the path gives the growth rate of the joint chain to 0.01 nats a step",
    "|growth rate of the path less that of the joint chain|, nats a step",
    "below",
    0.01,
)


class ForgetTerm(Claim):
    """Every LSTM on which `terms` or `paths` looked."""

    name = "A5"
    states = "In an LSTM the forget term dominates, and the three others are minor."
    parts = (LARGEST, MINOR, SAME_RATE)

    def questions(self, evidence):
        for point in evidence.observed("paths", "terms", cells=("lstm",)):
            where = point.where(*FACTORS, horizon=point.last)
            for row in evidence.rows("terms", point, horizon=point.last):
                main = row["term"] == MAIN
                part, name = (LARGEST, "share_largest") if main else (MINOR, "log_ratio")
                if row[name] is not None and row[f"{name}_error"] is not None:
                    told = where if main else where | {"term": row["term"]}
                    found = Mean(row[name], row[f"{name}_error"], row["replicates"])
                    yield Question(part, told, found, (f"{row['place']}, term={row['term']}, {name}",))
            for row in evidence.rows("paths", point, horizon=point.last, measure=SPECTRAL):
                if row["path"] in (MAIN_TERM, C_PATH) and row["less_joint_error"] is not None:
                    found = Size(Mean(row["less_joint"], row["less_joint_error"], row["replicates"]))
                    place = f"{row['place']}, path={row['path']}, less_joint"
                    yield Question(SAME_RATE, where | {"path": row["path"]}, found, (place,))


CLAIM = ForgetTerm()
