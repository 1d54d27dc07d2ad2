"""Gated cells without recurrent weights: the memory decays by its gate."""

from __future__ import annotations

import math

from scipy.special import log_expit

from rnnmc.study import DesignPoint
from rnnmc.theory.assumptions import autonomous, constant, stays_zero
from rnnmc.theory.law import Law, LogNorm, Measure, Prediction
from rnnmc.theory.sums import Certain

MEMORY = {  # cell -> (gate, +1 if its opening keeps the memory)
    "lstm": ("forget", 1),
    "gru": ("update", -1),
    "gru_tied": ("update", -1),
    "gru_reset_after": ("update", -1),
    "gru_output_gated": ("update", -1),
    "minimal_rnn": ("update", 1),
    "min_gru": ("update", -1),
}
OUTPUT = {"lstm": "output", "gru_output_gated": "output"}


class ZeroWeights(Law):
    """Exact for every width and horizon, tied or untied; the h-block of two-state cells comes on top in the joint norm.

    There dh_T = k dc_T, with k = o sech^2(c_T), known where c_T stays zero, or k = r: l_T = T log f + log(1 + k^2)/2.
    """

    name = "zero_weights"
    exact = True
    formula = "U = 0, constant gate biases, no input: P_T (its c-block) = sg(+-b)^T I"
    source = "physics.md section 5"

    def applies(self, point: DesignPoint) -> bool:
        if point.cell not in MEMORY or not autonomous(point):
            return False
        bare = all(constant(point, name, "recurrent") == 0 for name in point.cell_object.recurrent)
        return bare and constant(point, MEMORY[point.cell][0]) is not None

    def predict(self, point: DesignPoint) -> Prediction:
        gate, sign = MEMORY[point.cell]
        rate = float(log_expit(sign * (constant(point, gate) or 0.0)))
        laws: dict[Measure, LogNorm] = {"log_memory": Certain(rate)}
        if point.cell not in OUTPUT:
            laws |= {"log_spectral": Certain(rate), "log_rms": Certain(rate), "log_vector": Certain(rate)}
        elif (shown := self._shown(point)) is not None:
            joint = math.log1p(shown**2) / 2
            laws |= {"log_spectral": Certain(rate, joint), "log_rms": Certain(rate, joint - math.log(2) / 2)}
        return Prediction(growth_rate=rate, growth_deviation=0.0, log_norm=laws)

    @staticmethod
    def _shown(point: DesignPoint) -> float | None:
        """k, where it is the same in every unit and replicate."""
        bias = constant(point, OUTPUT[point.cell])
        if bias is None or (point.cell == "lstm" and not stays_zero(point)):
            return None
        return math.exp(float(log_expit(bias)))


LAW = ZeroWeights()
