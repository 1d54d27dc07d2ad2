"""A8: how large the states of a GRU and of an LSTM become."""

from __future__ import annotations

import math

from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Gap, Share, log_of

GRUS = ("gru", "gru_tied", "gru_reset_after", "gru_output_gated", "minimal_rnn", "min_gru")
BOUNDED = Part("bounded", "no state of a GRU is ever above 1", "P(largest |h| up to T is above 1)", "below", 0.01)
ABOVE = Part("above", "the cell state of an LSTM leaves [-1, 1]", "P(largest |c| up to T is above 1)", "above", 0.5)
DIVERGES = Part(
    "diverges",
    "the cell state of an LSTM goes on growing: from T/10 to T its running maximum doubles, as a sum would triple it",
    "log of the mean of the largest |c| up to T, less the same up to T/10",
    "above",
    math.log(2),
)


class BoundedStates(Claim):
    """Every GRU and LSTM on which `extremes` looked."""

    name = "A8"
    states = "|h| stays at most 1 in a GRU, while c of an LSTM may diverge."
    parts = (BOUNDED, ABOVE, DIVERGES)

    def questions(self, evidence):
        for point in evidence.observed("extremes", cells=(*GRUS, "lstm")):
            part, state = (ABOVE, "c") if point.cell == "lstm" else (BOUNDED, "h")
            where = point.where("cell", *FACTORS, horizon=point.last)
            for row in evidence.rows("extremes", point, horizon=point.last, part=state):
                share = Share(row["above_count"], row["replicates"])
                yield Question(part, where, share, (f"{row['place']}, p_above",))
            if part is ABOVE and point.last // 10 in point.horizons:
                ends = [
                    row | {"found": log_of(row["mean"], row["error"], row["replicates"])}
                    for horizon in (point.last, point.last // 10)
                    for row in evidence.rows("extremes", point, horizon=horizon, part=state)
                    if row["mean"] and row["error"] is not None
                ]
                if len(ends) == 2:
                    growth = Gap(ends[0]["found"], ends[1]["found"])
                    yield Question(DIVERGES, where, growth, tuple(f"{row['place']}, mean" for row in ends))


CLAIM = BoundedStates()
