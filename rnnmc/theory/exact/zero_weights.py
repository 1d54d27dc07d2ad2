"""Gated cells without recurrent weights: the memory decays by its gate."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, log_expit

from rnnmc.cells.cell import Gating
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, constant, stays_zero
from rnnmc.theory.law import Law, LogNorm, Measure, Prediction, required
from rnnmc.theory.quadrature import sech2
from rnnmc.theory.sums import Certain


def uncoupled(point: DesignPoint) -> bool:
    """No recurrent weights at all."""
    return all(constant(point, name, "recurrent") == 0 for name in point.cell_object.recurrent)


def memory_gate(point: DesignPoint) -> tuple[str, int]:
    """(gate by which alone the memory decays without recurrent weights, +1 if its opening keeps the memory).

    Raises ValueError in a cell that does not say.
    """
    keep = required(point.cell_object.gating).keep
    return keep, point.cell_object.memory[keep]


class ZeroWeights(Law):
    """Exact for every width and horizon, tied or untied; the h-block of two-state cells comes on top in the joint norm.

    There dh_T = k dc_T, with k = r, or for the LSTM k = o sech^2(c_T), where c_T moves from c_0 = 0 as its constant
    gates let it: l_T = T log f + log(1 + k^2)/2. The last state counts and not the first: it knows the order of time.
    """

    name = "zero_weights"
    exact = True
    formula = "U = 0, constant gate biases, no input: P_T (its c-block) = sg(+-b)^T I, c_T = i g (1-f^T)/(1-f)"
    source = "docs/physics.md section 5"

    def applies(self, point: DesignPoint) -> bool:
        if point.cell_object.gating is None or not autonomous(point):
            return False
        return uncoupled(point) and constant(point, memory_gate(point)[0]) is not None

    def predict(self, point: DesignPoint) -> Prediction:
        gate, sign = memory_gate(point)
        rate = float(log_expit(sign * (constant(point, gate) or 0.0)))
        laws: dict[Measure, LogNorm] = {"log_memory": Certain(rate)}
        gating = required(point.cell_object.gating)
        if len(point.cell_object.parts) == 1:
            laws |= {"log_spectral": Certain(rate), "log_rms": Certain(rate), "log_vector": Certain(rate)}
        elif (ahead := self._ahead(point, gating)) is not None:
            opening = float(expit(constant(point, gating.show) or 0.0))

            def joint(horizon: int) -> float:
                step = min(rate, -1e-300)  # a gate that is open to the last bit
                c = ahead * math.expm1(horizon * step) / math.expm1(step)
                return math.log1p((opening * float(sech2(np.array(c)))) ** 2) / 2

            laws["log_spectral"] = Certain(rate, joint)
            laws["log_rms"] = Certain(rate, lambda horizon: joint(horizon) - math.log(2) / 2)
        return Prediction(growth_rate=rate, log_norm=laws)

    @staticmethod
    def _ahead(point: DesignPoint, gating: Gating) -> float | None:
        """i g, by which the cell state moves ahead in a step; None where that, or the output gate, is not constant.

        Zero where it does not matter, as the output shows c itself.
        """
        if constant(point, gating.show) is None:
            return None
        if not gating.squashed or stays_zero(point):
            return 0.0
        admit, candidate = constant(point, gating.admit), constant(point, "candidate")
        if admit is None or candidate is None or point.state_std > 0:
            return None
        return float(expit(admit)) * math.tanh(candidate)


LAW = ZeroWeights()
