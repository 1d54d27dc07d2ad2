"""A10: whether the output-gated GRU keeps what makes an LSTM friendly."""

from __future__ import annotations

from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Gap

AS_LSTM = Part(
    "as lstm",
    "the output-gated GRU stays between the thresholds about as often as an LSTM",
    "P(stable by T) of gru_output_gated less that of lstm, else equal",
    "above",
    -0.05,
)
THAN_GRU = Part(
    "than gru",
    "the output-gated GRU stays between the thresholds more often than a GRU",
    "P(stable by T) of gru_output_gated less that of gru, else equal",
    "above",
    0.01,
)
RARELY = Part("rarely", "fewer than one output-gated GRU of a hundred explodes", "P(explode at T)", "below", 0.01)


class OutputGated(Claim):
    """Every design point that the output-gated GRU shares with the LSTM or the GRU."""

    name = "A10"
    states = "The output-gated variant of the GRU keeps the LSTM's friendliness."
    parts = (AS_LSTM, THAN_GRU, RARELY)

    def questions(self, evidence):
        for part, cell in ((AS_LSTM, "lstm"), (THAN_GRU, "gru")):
            for ours, theirs in evidence.pairs("gru_output_gated", cell):
                (more, place), (less, other) = (evidence.share(one, "stable_by") for one in (ours, theirs))
                yield Question(part, ours.where(*FACTORS, horizon=ours.last), Gap(more, less), (place, other))
        for point in evidence.points("gru_output_gated"):
            share, place = evidence.share(point, "explode_at")
            yield Question(RARELY, point.where(*FACTORS, horizon=point.last), share, (place,))


CLAIM = OutputGated()
