"""The ReLU chain with fresh Gaussian weights at every step."""

from __future__ import annotations

import math

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import cannot_overflow, cannot_underflow, field_variances, gaussian_gain, no_bias
from rnnmc.theory.law import Law, Prediction
from rnnmc.theory.sums import ChiSteps


class ReLUUntied(Law):
    """Which units are alive is independent of how long their rows' products are, since (u, w) and -(u, w) are alike.

    Needs a state or field that is not zero, without which every unit is dead, and no bias, which would break the
    symmetry. So do input weights: drawn once, they let the same units live at many steps. Moments and growth are those
    of the living.
    """

    name = "relu_untied"
    exact = True
    formula = "fixed vector: l_T = sum log(g^2/n chi2_K) / 2, K ~ Bin(n, 1/2); dead with probability 2^-n a step"
    source = "Hanin and Nica 2018; docs/physics.md section 5"

    def applies(self, point: DesignPoint) -> bool:
        if point.cell != "relu" or point.weights != "untied" or not no_bias(point, "hidden"):
            return False
        gain = gaussian_gain(point, "hidden")
        fields = field_variances(point)
        if gain is None or fields is None or not (point.state_std > 0 or fields["hidden"] > 0):
            return False
        mean, variance = ChiSteps(point.width, gain, halved=True).step
        deviation = math.sqrt(variance)
        return cannot_overflow(point, mean, deviation) and cannot_underflow(point, mean, deviation)

    def predict(self, point: DesignPoint) -> Prediction:
        law = ChiSteps(point.width, gaussian_gain(point, "hidden") or 0.0, halved=True)
        mean, _ = law.step
        measures = ("log_vector", "log_spectral", "log_rms")[: 3 if point.width == 1 else 1]
        return Prediction(
            growth_rate=mean,
            onset_gain=law.gain * math.exp(-mean),
            log_norm=dict.fromkeys(measures, law),
        )


LAW = ReLUUntied()
