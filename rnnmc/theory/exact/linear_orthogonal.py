"""Products of orthogonal matrices: the drift test of the arithmetic."""

from __future__ import annotations

import math

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import chain_of_weights, haar_gain, stays_zero
from rnnmc.theory.law import Law, Prediction
from rnnmc.theory.sums import Certain


class LinearOrthogonal(Law):
    """l_T = T log(gain), with probability one, tied or untied."""

    name = "linear_orthogonal"
    exact = True
    formula = "U = gain Q, Q orthogonal: l_T = T log gain"
    source = "Saxe et al. 2014; docs/physics.md section 5"

    def applies(self, point: DesignPoint) -> bool:
        matrix = chain_of_weights(point)
        gain = haar_gain(point, matrix) if matrix else None
        return gain is not None and (gain <= 1 or stays_zero(point))

    def predict(self, point: DesignPoint) -> Prediction:
        norm = Certain(math.log(haar_gain(point, chain_of_weights(point) or "") or 1.0))
        measures = ("log_spectral", "log_rms", "log_vector")
        return Prediction(growth_rate=norm.rate, onset_gain=1.0, log_norm=dict.fromkeys(measures, norm))


LAW = LinearOrthogonal()
