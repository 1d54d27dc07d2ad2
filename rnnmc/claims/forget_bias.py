"""A12: whether a large forget bias at the start keeps gradients alive."""

from __future__ import annotations

from collections.abc import Iterator

from rnnmc.claims.claim import FACTORS, Claim, Evidence, Part, Question, Seen
from rnnmc.claims.estimate import Gap
from rnnmc.claims.stays_near_one import powers_of_ten

SHORTEST = 100  # steps
ALIVE = Part(
    "alive",
    "with the bias more networks have stayed between the thresholds than without",
    "P(stable by T) with the bias less that with forget bias 0, else equal",
    "above",
    0.01,
)


def with_and_without(evidence: Evidence) -> Iterator[tuple[Seen, Seen, int]]:
    """LSTMs with a forget bias above 0 or chrono, the same with forget bias 0, each power of ten from `SHORTEST` on.

    A preset that draws its biases about 0 has no forget bias.
    """
    points = evidence.points("lstm")
    plain = {point.without_bias: point for point in points if point.forget_bias == 0}
    for point in points:
        biased = (point.forget_bias or 0) > 0 or "chrono" in point.law("bias")
        if point.without_bias in plain and biased:
            for horizon in powers_of_ten(point.horizons):
                if horizon >= SHORTEST:
                    yield point, plain[point.without_bias], horizon


class ForgetBias(Claim):
    """Every LSTM with a forget bias or chrono against the same with forget bias 0."""

    name = "A12"
    states = "A large forget bias at the start keeps gradients alive."
    source = "a reader of kexue.fm/archives/7888; docs/physics.md section 7"
    parts = (ALIVE,)

    def questions(self, evidence):
        for biased, plain, horizon in with_and_without(evidence):
            (more, place), (less, other) = (evidence.share(one, "stable_by", horizon) for one in (biased, plain))
            yield Question(ALIVE, biased.where(*FACTORS, horizon=horizon), Gap(more, less), (place, other))


CLAIM = ForgetBias()
