"""One fixed vector in a gated cell at its zero state, with fresh Gaussian weights at every step."""

from __future__ import annotations

import math

from scipy.special import expit

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import constant, gaussian_gain, stays_zero
from rnnmc.theory.large_width.zero_state import GATES, slopes
from rnnmc.theory.law import Law, LogNorm, Measure, Prediction
from rnnmc.theory.sums import ChiSteps, FirstAndRest


class ZeroStateVector(Law):
    """J = a I + b U turns and stretches a vector by chi2 of n degrees of freedom that is not central.

    Of cells with two parts the vector starts in h: dc_1 = i U dh_0, dc_t = (f I + i o U) dc_(t-1) and dh_T = o dc_T.
    At n = 1 it is the law of the norms too, where there is one part.
    """

    name = "zero_state_vector"
    exact = True
    formula = (
        "J = a I + b U: l_T = sum log(b^2 g^2/n chi2_n(a^2 n/(b g)^2)) / 2; of two parts the first step is "
        "log(i g chi_n/sqrt n), and log(1 + o^2)/2 is added"
    )
    source = "Newman 1986, in the same manner; physics.md section 6"

    def applies(self, point: DesignPoint) -> bool:
        if point.cell not in GATES or point.weights != "untied" or not stays_zero(point):
            return False
        matrix, gates = GATES[point.cell]
        known = matrix == "candidate" and gaussian_gain(point, matrix) is not None
        return known and all(constant(point, gate) is not None for gate in gates)

    def predict(self, point: DesignPoint) -> Prediction:
        matrix, gates = GATES[point.cell]
        n, gain = point.width, gaussian_gain(point, matrix) or 0.0
        openings = [float(expit(constant(point, gate) or 0.0)) for gate in gates]
        a, b = slopes(point.cell, *openings)
        steps = ChiSteps(n, b * gain, centre=a)
        laws: dict[Measure, LogNorm] = {"log_vector": steps}
        if len(point.cell_object.parts) == 2:
            output = openings[-1]
            laws = {"log_vector": FirstAndRest(ChiSteps(n, b / output * gain), steps, math.log1p(output**2) / 2)}
        elif n == 1:
            laws |= {"log_spectral": steps, "log_rms": steps}
        return Prediction(growth_rate=steps.step[0], log_norm=laws)


LAW = ZeroStateVector()
