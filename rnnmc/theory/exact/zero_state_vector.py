"""One fixed vector in a cell with a memory at its zero state, with fresh Gaussian weights at every step."""

from __future__ import annotations

import math

from scipy.special import expit

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import chain_of_weights, constant, gaussian_gain
from rnnmc.theory.large_width.zero_state import rest_of
from rnnmc.theory.law import Law, LogNorm, Measure, Prediction, required
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
    source = "Newman 1986, in the same manner; docs/physics.md section 6"

    def applies(self, point: DesignPoint) -> bool:
        rest = rest_of(point) if point.weights == "untied" else None
        if rest is None or rest.b == 0 or chain_of_weights(point):  # of which `linear_untied` says more
            return False
        shown = len(point.cell_object.parts) == 1 or point.cell_object.gating is not None
        return shown and gaussian_gain(point, rest.matrix) is not None

    def predict(self, point: DesignPoint) -> Prediction:
        rest, cell = required(rest_of(point)), point.cell_object
        n, gain = point.width, gaussian_gain(point, rest.matrix) or 0.0
        steps = ChiSteps(n, rest.b * gain, centre=rest.a)
        laws: dict[Measure, LogNorm] = {"log_vector": steps}
        if len(cell.parts) == 2:
            output = float(expit(constant(point, required(cell.gating).show) or 0.0))
            first = ChiSteps(n, rest.b / output * gain)
            laws = {"log_vector": FirstAndRest(first, steps, math.log1p(output**2) / 2)}
        elif n == 1:
            laws |= {"log_spectral": steps, "log_rms": steps}
        return Prediction(growth_rate=steps.step[0], log_norm=laws)


LAW = ZeroStateVector()
