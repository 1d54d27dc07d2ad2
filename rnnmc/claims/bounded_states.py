"""A8: how large the states of a GRU and of an LSTM become."""

from __future__ import annotations

from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Share

GRUS = ("gru", "gru_tied", "gru_reset_after", "gru_output_gated", "minimal_rnn")  # whose candidate is a tanh
BOUNDED = Part(
    "bounded",
    "from a state of zero no state of a GRU is ever above 1",
    "P(largest |h| up to T is above 1)",
    "below",
    0.01,
)
ELSEWHERE = Part(
    "elsewhere",
    "from any other initial state no state of a GRU is ever above 1 either",
    "P(largest |h| up to T, the initial one included, is above 1)",
    "below",
    0.01,
)
ABOVE = Part("above", "the cell state of an LSTM leaves [-1, 1]", "P(largest |c| up to T is above 1)", "above", 0.5)
DIVERGES = Part(
    "diverges",
    "there are LSTMs whose cell state goes on growing: in more than one of a hundred its running maximum doubles from "
    "T/10 to T",
    "P(largest |c| up to T is at least twice that up to T/10)",
    "above",
    0.01,
    "some",
)


class BoundedStates(Claim):
    """Every GRU and LSTM on which `extremes` looked."""

    name = "A8"
    states = "|h| stays at most 1 in a GRU, while c of an LSTM may diverge."
    parts = (BOUNDED, ELSEWHERE, ABOVE, DIVERGES)

    def questions(self, evidence):
        for point in evidence.observed("extremes", cells=(*GRUS, "lstm")):
            lstm, where = point.cell == "lstm", point.where("cell", *FACTORS, horizon=point.last)
            part = ABOVE if lstm else ELSEWHERE if point.row["state_std"] else BOUNDED
            for row in evidence.rows("extremes", point, horizon=point.last, part="c" if lstm else "h"):
                share = Share(row["above_count"], row["replicates"])
                yield Question(part, where, share, (f"{row['place']}, p_above",))
                if lstm and row["doubled_count"] is not None:
                    share = Share(row["doubled_count"], row["replicates"])
                    yield Question(DIVERGES, where, share, (f"{row['place']}, doubled_count",))


CLAIM = BoundedStates()
