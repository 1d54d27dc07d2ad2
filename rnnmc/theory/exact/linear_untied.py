"""Products of independent Gaussian matrices."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import psi

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import cannot_overflow, chain_of_weights, gaussian_gain
from rnnmc.theory.law import Law, Measure, Prediction
from rnnmc.theory.spectrum import Spectrum
from rnnmc.theory.sums import ChiSteps


def exponents(n: int, gain: float) -> np.ndarray:
    """(n,) Lyapunov exponents in falling order, nats a step (Newman 1986)."""
    i = np.arange(1, n + 1)
    return math.log(gain) + (math.log(2 / n) + psi((n - i + 1) / 2)) / 2


class LinearUntied(Law):
    """Every exponent, and the law of one fixed vector; at n = 1 that is the law of the norm."""

    name = "linear_untied"
    exact = True
    formula = "lambda_i = log g + (log(2/n) + psi((n-i+1)/2)) / 2; fixed vector: l_T = T log g + sum log(chi2_n/n) / 2"
    source = "Newman 1986; docs/physics.md section 5"

    def applies(self, point: DesignPoint) -> bool:
        matrix = chain_of_weights(point)
        gain = gaussian_gain(point, matrix) if matrix and point.weights == "untied" else None
        if gain is None:
            return False
        mean, variance = ChiSteps(point.width, gain).step
        return cannot_overflow(point, mean, math.sqrt(variance))

    def predict(self, point: DesignPoint) -> Prediction:
        n, gain = point.width, gaussian_gain(point, chain_of_weights(point) or "") or 0.0
        law, found = ChiSteps(n, gain), exponents(n, gain)
        measures: tuple[Measure, ...] = ("log_vector", "log_spectral", "log_rms")[: 3 if n == 1 else 1]
        return Prediction(
            growth_rate=float(found[0]),
            onset_gain=gain * math.exp(-float(found[0])),
            spectrum=Spectrum((np.arange(n) + 0.5) / n, found, listed=True),
            log_norm=dict.fromkeys(measures, law),
        )


LAW = LinearUntied()
