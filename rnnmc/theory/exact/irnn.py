"""The IRNN: a ReLU network that starts from the identity, without bias or input."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import binom

from rnnmc.initialisers.identity import Identity
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, law_of, no_bias, unmodified
from rnnmc.theory.law import Law, LogNorm, Measure, Prediction


@dataclass(frozen=True)
class Survivors(LogNorm):
    """l_T = log(K/n)/2 (rms) or 0 (spectral, K > 0), K ~ Bin(n, 1/2) units whose first state is positive."""

    n: int
    rms: bool

    def _level(self, live: int) -> float:
        return 0.5 * math.log(live / self.n) if live and self.rms else 0.0 if live else -math.inf

    def below(self, level: float, horizon: int) -> float:
        return sum(float(binom.pmf(k, self.n, 0.5)) for k in range(self.n + 1) if self._level(k) < level)

    def above(self, level: float, horizon: int) -> float:
        return sum(float(binom.pmf(k, self.n, 0.5)) for k in range(self.n + 1) if self._level(k) > level)

    def moments(self, horizon: int) -> tuple[float, float]:
        weights = [float(binom.pmf(k, self.n, 0.5)) / (1 - 0.5**self.n) for k in range(1, self.n + 1)]
        levels = [self._level(k) for k in range(1, self.n + 1)]
        mean = math.fsum(w * x for w, x in zip(weights, levels, strict=True))
        return mean, math.fsum(w * (x - mean) ** 2 for w, x in zip(weights, levels, strict=True))

    def dead(self, horizon: int) -> float:
        return 0.5**self.n

    def values(self, horizon: int) -> tuple[float, ...]:
        return tuple(sorted({self._level(k) for k in range(1, self.n + 1)}))


class IRNN(Law):
    """Every unit keeps its state, if positive, for ever, and is dead otherwise."""

    name = "irnn"
    exact = True
    formula = "U = I, b = 0, no input: l_T = 0 (spectral), log(K/n)/2 (rms), K ~ Bin(n, 1/2), dead if K = 0"
    source = "Le, Jaitly, Hinton 2015; docs/physics.md section 5"

    def applies(self, point: DesignPoint) -> bool:
        if point.cell != "relu" or not autonomous(point) or point.state_std == 0:
            return False
        law = law_of(point, "recurrent", "hidden")
        one = isinstance(law, Identity) and law.factor == 1 and unmodified(law)
        return one and not law.stacked and no_bias(point, "hidden")

    def predict(self, point: DesignPoint) -> Prediction:
        laws: dict[Measure, LogNorm] = {}
        laws["log_spectral"], laws["log_rms"] = Survivors(point.width, rms=False), Survivors(point.width, rms=True)
        return Prediction(growth_rate=0.0, log_norm=laws)


LAW = IRNN()
