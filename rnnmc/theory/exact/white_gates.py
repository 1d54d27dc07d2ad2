"""Gated cells without recurrent weights and white input: the mean and variance of a memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln

from rnnmc.drives.white import White
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, constant, gaussian_gain
from rnnmc.theory.exact.min_gru import LogKept
from rnnmc.theory.exact.zero_weights import memory_gate, uncoupled
from rnnmc.theory.law import Law, LogNorm, Measure, Prediction

NODES = 60  # of Gauss and Legendre over the length of a unit's input weights


@dataclass(frozen=True)
class MixedSum(LogNorm):
    """Sum of T steps log f that are independent given the length of a unit's weights, s sqrt(chi2_m / m).

    bias, gain: of the gate's pre-activation with its sign, and s. inputs: m. Only moments are known.
    """

    bias: float
    gain: float
    inputs: int

    @cached_property
    def _of_step(self) -> tuple[float, float, float]:
        """(mean, mean variance given the weights, variance of the mean given the weights) of one step."""
        m = self.inputs
        low, high = max(0.0, math.sqrt(m) - 9), math.sqrt(m) + 9
        x, w = np.polynomial.legendre.leggauss(NODES)
        chi = low + (high - low) * (x + 1) / 2
        density = np.exp((m - 1) * np.log(chi) - chi**2 / 2 - gammaln(m / 2) - (m / 2 - 1) * math.log(2))
        weight = w / 2 * (high - low) * density
        mean, spread = np.array([LogKept(self.bias, self.gain * c / math.sqrt(m)).moments() for c in chi]).T
        total = float(weight @ mean)
        return total, float(weight @ spread), float(weight @ (mean - total) ** 2)

    def below(self, level: float, horizon: int) -> None:
        return None

    def above(self, level: float, horizon: int) -> None:
        return None

    def moments(self, horizon: int) -> tuple[float, float]:
        mean, within, between = self._of_step
        return horizon * mean, horizon * within + horizon**2 * between


class WhiteGates(Law):
    """x_t is the same for all units, which are therefore not independent: what is known is about one of them."""

    name = "white_gates"
    exact = True
    formula = "U = 0, white x_t: E log-entry = T E log sg(+-(b + s sqrt(chi2_m/m) N))"
    source = "docs/physics.md section 5, derived as that of min_gru"

    def applies(self, point: DesignPoint) -> bool:
        if point.cell_object.gating is None or not isinstance(point.drive, White) or not uncoupled(point):
            return False
        if autonomous(point):
            return False
        gate, _ = memory_gate(point)
        known = constant(point, gate) is not None and gaussian_gain(point, gate, "input") is not None
        return known and (point.width == 1 or len(point.cell_object.parts) == 1)

    def predict(self, point: DesignPoint) -> Prediction:
        gate, sign = memory_gate(point)
        bias, gain = -sign * (constant(point, gate) or 0.0), gaussian_gain(point, gate, "input") or 0.0
        one = MixedSum(bias, gain, point.drive.dimension)
        if point.width > 1:
            return Prediction(log_norm={"log_vector": one})
        measures: tuple[Measure, ...] = ("log_memory",)
        if len(point.cell_object.parts) == 1:
            measures = ("log_memory", "log_vector", "log_spectral", "log_rms")
        return Prediction(growth_rate=one.moments(1)[0], log_norm=dict.fromkeys(measures, one))


LAW = WhiteGates()
