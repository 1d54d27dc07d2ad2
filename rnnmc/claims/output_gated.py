"""A10: whether the output-gated GRU keeps what makes an LSTM friendly."""

from __future__ import annotations

from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Gap

STABLE_AS_LSTM = Part(
    "stable as lstm",
    "the output-gated GRU stays between the thresholds about as often as an LSTM",
    "P(stable by T) of gru_output_gated less that of lstm, else equal",
    "above",
    -0.05,
)
RARE_AS_LSTM = Part(
    "rare as lstm",
    "the output-gated GRU explodes about as rarely as an LSTM",
    "P(explode at T) of gru_output_gated less that of lstm, else equal",
    "below",
    0.05,
)
STABLE_THAN_GRU = Part(
    "stabler than gru",
    "the output-gated GRU stays between the thresholds more often than a GRU",
    "P(stable by T) of gru_output_gated less that of gru, else equal",
    "above",
    0.01,
)
RARER_THAN_GRU = Part(
    "rarer than gru",
    "the output-gated GRU explodes more rarely than a GRU",
    "P(explode at T) of gru_output_gated less that of gru, else equal",
    "below",
    -0.01,
)
RARELY = Part("rarely", "fewer than one output-gated GRU of a hundred explodes", "P(explode at T)", "below", 0.01)
AGAINST = {
    "lstm": ((STABLE_AS_LSTM, "stable_by"), (RARE_AS_LSTM, "explode_at")),
    "gru": ((STABLE_THAN_GRU, "stable_by"), (RARER_THAN_GRU, "explode_at")),
}


class OutputGated(Claim):
    """Every design point that the output-gated GRU shares with the LSTM or the GRU."""

    name = "A10"
    states = "The output-gated variant of the GRU keeps the LSTM's friendliness."
    parts = (STABLE_AS_LSTM, RARE_AS_LSTM, STABLE_THAN_GRU, RARER_THAN_GRU, RARELY)

    def questions(self, evidence):
        for cell, parts in AGAINST.items():
            for ours, theirs in evidence.pairs("gru_output_gated", cell):
                for part, event in parts:
                    (more, place), (less, other) = (evidence.share(one, event) for one in (ours, theirs))
                    yield Question(part, ours.where(*FACTORS, horizon=ours.last), Gap(more, less), (place, other))
        for point in evidence.points("gru_output_gated"):
            share, place = evidence.share(point, "explode_at")
            yield Question(RARELY, point.where(*FACTORS, horizon=point.last), share, (place,))


CLAIM = OutputGated()
