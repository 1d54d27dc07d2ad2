"""What every law offers: whether it holds for a design point, and what it predicts there.

Log-norms are natural logarithms (nats), growth rates nats a step, horizons steps. What a prediction may be about:
`log_spectral` and `log_rms`, as in the samples; `log_vector`, log ||P_T e_1||, e_1 the first direction of the state
(where weights are Gaussian, any vector that was fixed before anything was drawn has the same law); `log_memory`, the
spectral norm of the block of P_T from the last part of the state to itself (c to c); `log_entry`, the logarithm of one
diagonal entry of a P_T that is diagonal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

from rnnmc.study.point import DesignPoint
from rnnmc.study.study import Thresholds
from rnnmc.theory.spectrum import Spectrum

Known = TypeVar("Known")
Measure = Literal["log_spectral", "log_rms", "log_vector", "log_memory", "log_entry"]
Event = Literal["vanish", "stable", "explode", "dead"]


class LogNorm:
    """The law of l_T at every horizon T, over replicates."""

    def below(self, level: float, horizon: int) -> float | None:
        """P(l_T < level), level in nats, the dead (l_T = -inf) included; None where it is not known."""
        raise NotImplementedError

    def above(self, level: float, horizon: int) -> float | None:
        """P(l_T > level), level in nats; None where it is not known."""
        raise NotImplementedError

    def moments(self, horizon: int) -> tuple[float, float] | None:
        """(mean, variance) of l_T among the replicates that are not dead, in nats and nats^2; None if not known."""
        return None

    def dead(self, horizon: int) -> float:
        """P(l_T = -inf)."""
        return 0.0

    def values(self, horizon: int) -> tuple[float, ...]:
        """The finite values of l_T in rising order, nats, where they are few; empty where l_T is continuous."""
        return ()


@dataclass(frozen=True)
class Prediction:
    """What a law says about one design point; None where it says nothing.

    growth_rate: top Lyapunov exponent, lim l_T / T, the mean over replicates among the living, in nats a step.
    growth_error: standard error of growth_rate where it comes from sampling, nats a step; 0 where from quadrature.
    onset_gain: the gain g at which growth_rate would be zero, with everything else as in the point.
    onset_error: standard error of onset_gain where it comes from sampling; 0 where from quadrature.
    spectrum: all Lyapunov exponents.
    log_norm: measure -> law of l_T.
    explode_at_most: (level in nats, horizon) -> an upper bound of P(l_T > level), spectral norm.
    """

    growth_rate: float | None = None
    growth_error: float = 0.0
    onset_gain: float | None = None
    onset_error: float = 0.0
    spectrum: Spectrum | None = None
    log_norm: Mapping[Measure, LogNorm] = field(default_factory=dict)
    explode_at_most: Callable[[float, int], float] | None = None

    def probability(
        self, event: Event, horizon: int, thresholds: Thresholds, measure: Measure = "log_spectral"
    ) -> float | None:
        """Probability of the event at (not by) this horizon; None unless the law of this measure is known.

        As in `rnnmc.statistics.point`: vanished is l_T < log(vanish), the dead included; exploded l_T > log(explode).
        """
        law = self.log_norm.get(measure)
        if law is None:
            return None
        if event == "dead":
            return law.dead(horizon)
        vanish = law.below(math.log(thresholds.vanish), horizon)
        explode = law.above(math.log(thresholds.explode), horizon)
        if vanish is None or explode is None:
            return None
        return {"vanish": vanish, "explode": explode, "stable": max(0.0, 1 - vanish - explode)}[event]

    def moments(self, horizon: int, measure: Measure = "log_spectral") -> tuple[float, float] | None:
        """(mean, variance) of l_T among the living, in nats and nats^2; None unless known for this measure."""
        law = self.log_norm.get(measure)
        return None if law is None else law.moments(horizon)


class Law:
    """A law of the chain. Subclass it, set the attributes, write `applies` and `predict`; the instance is `LAW`.

    exact: whether it holds for every width and horizon (up to rounding), or only in the limit of large width.
    applies: True only where every assumption of the law is met. predict: meaningful only there.
    layered: whether it holds of layers above each other too; `applies` is asked of none of them otherwise.
    examples: design points where it holds, as a study file would say them, for `rnnmc check law`, which tries many
    points of every cell beside.
    """

    name: ClassVar[str]
    exact: ClassVar[bool]
    formula: ClassVar[str]
    source: ClassVar[str]
    layered: ClassVar[bool] = False
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ()

    def applies(self, point: DesignPoint) -> bool:
        """Whether this design point meets every assumption of the law."""
        raise NotImplementedError

    def predict(self, point: DesignPoint) -> Prediction:
        """What the law says about this design point."""
        raise NotImplementedError

    @property
    def validity(self) -> str:
        """For people: exact for every width, or large width."""
        return "exact for every width" if self.exact else "large width"

    def __repr__(self) -> str:
        return f"<law {self.name} ({self.validity}): {self.formula}>"


def required(known: Known | None) -> Known:
    """What `applies` has found to be known. Raises ValueError where it is not."""
    if known is None:
        raise ValueError("the law does not apply; ask applies first")
    return known
