"""The minimal GRU: a diagonal chain whose entries are sums of independent steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, ndtr

from rnnmc.common.arrays import Floats
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import constant, field_variances
from rnnmc.theory.law import Law, LogNorm, Measure, Prediction
from rnnmc.theory.quadrature import nodes, normal_mean
from rnnmc.theory.sums import lattice


@dataclass(frozen=True)
class LogKept:
    """P(log(1 - z) < x), z = sg(bias + deviation N(0, 1)): hashable, so that convolutions of it are kept."""

    bias: float
    deviation: float

    def __call__(self, x: Floats) -> Floats:
        below = np.minimum(x, -1e-300)
        threshold = -below + np.log(-np.expm1(below))  # log(e^-x - 1) = -x + log(1 - e^x)
        return np.where(x < 0, ndtr((self.bias - threshold) / self.deviation), 1.0)

    def moments(self) -> tuple[float, float]:
        """(mean, variance) of one step, nats and nats^2."""
        first = normal_mean(lambda a: log_expit(-a), self.deviation, self.bias)
        return first, normal_mean(lambda a: (log_expit(-a) - first) ** 2, self.deviation, self.bias)


@dataclass(frozen=True)
class LargestEntry(LogNorm):
    """The largest of `entries` independent sums of T steps: the spectral norm of a diagonal P_T, or one entry of it.

    output: (bias, deviation) of the pre-activation of a gate r that shows the memory in the last step, which adds
    log(1 + r^2)/2. offset: is added too, nats.
    """

    step: LogKept
    entries: int
    output: tuple[float, float] | None = None
    offset: float = 0.0

    def _last(self) -> tuple[Floats, Floats]:
        """(what the last step adds, probability), each (k,)."""
        if self.output is None:
            return np.array([self.offset]), np.ones(1)
        bias, deviation = self.output
        z, weight = nodes(deviation) if deviation > 0 else (np.zeros(1), np.ones(1))
        return self.offset + np.log1p(expit(bias + deviation * z) ** 2) / 2, weight

    def _entry_below(self, level: float, horizon: int) -> float:
        added, weight = self._last()
        if horizon == 1:
            return float(weight @ self.step(level - added))
        mean, variance = self.step.moments()
        reach = 9 * self.step.deviation + abs(self.step.bias) + abs(mean) + 1
        edges, below = lattice(self.step, mean, math.sqrt(variance), reach, horizon)
        return float(weight @ np.interp(level - added, edges, below, 0.0, 1.0))

    def below(self, level: float, horizon: int) -> float:
        return min(1.0, self._entry_below(level, horizon)) ** self.entries

    def above(self, level: float, horizon: int) -> float:
        return 0.0 if self.output is None and level >= self.offset else 1 - self.below(level, horizon)

    def moments(self, horizon: int) -> tuple[float, float] | None:
        (mean, variance), (added, weight) = self.step.moments(), self._last()
        last = float(weight @ added)
        return (
            (horizon * mean + last, horizon * variance + float(weight @ (added - last) ** 2))
            if self.entries == 1
            else None
        )


class MinGRULaw(Law):
    """With a field every gate of every unit has its own normal at every step.

    Then the n log-entries are independent sums of T iid steps, and the spectral norm is the largest: P = F^n. At
    n = 1 it is the RMS norm too. White input through weights is another law: it is the same for all units.
    """

    name = "min_gru"
    exact = True
    formula = "log-entry = sum log(1-z_t), z = sg(b + s N); P(spectral < x) = F(x)^n"
    source = "Feng et al. 2024; docs/physics.md section 5"

    def applies(self, point: DesignPoint) -> bool:
        fields = field_variances(point) if point.cell == "min_gru" else None
        return fields is not None and fields["update"] > 0 and constant(point, "update") is not None

    def predict(self, point: DesignPoint) -> Prediction:
        fields = field_variances(point) or {}
        step = LogKept(constant(point, "update") or 0.0, math.sqrt(fields["update"]))
        mean, _ = step.moments()
        entry, norm = LargestEntry(step, 1), LargestEntry(step, point.width)
        laws: dict[Measure, LogNorm] = {"log_entry": entry, "log_vector": entry, "log_spectral": norm}
        if point.width == 1:
            laws["log_rms"] = entry
        return Prediction(growth_rate=mean, log_norm=laws)


LAW = MinGRULaw()
