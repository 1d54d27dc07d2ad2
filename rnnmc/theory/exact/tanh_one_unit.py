"""One tanh unit: it can never explode in the long run."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.integrate import quad
from scipy.special import erf

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, gaussian_gain, no_bias
from rnnmc.theory.law import Law, Prediction

GONE = 40.0  # deviations beyond which a normal law has no density


def fixed_point_rate(a: float) -> float:
    """log(|u| (1 - h*^2)) at the fixed point whose pre-activation is a = |u| h* > 0, so that |u| = a / tanh a."""
    return math.log(a / math.tanh(a)) - 2 * (a + math.log1p(math.exp(-2 * a)) - math.log(2))


def mean_rate(gain: float) -> float:
    """E over u ~ N(0, gain^2) of the long-run growth rate: log|u| below 1, the rate of the fixed point above."""

    def density(v: float) -> float:
        return math.sqrt(2 / math.pi) * math.exp(-(v**2) / 2)  # of |u| / gain

    def above(a: float) -> float:
        fading = math.exp(-2 * a)
        slope = 1 / math.tanh(a) - 4 * a * fading / (1 - fading) ** 2  # d|u| / da
        return fixed_point_rate(a) * density(a / math.tanh(a) / gain) / gain * slope

    one = min(1 / gain, GONE)  # of |u| / gain where |u| is 1
    edges = [0.0, *(edge for edge in (1.0, 8.0) if edge < one), one]
    below = math.log(gain) * float(erf(one / math.sqrt(2)))
    below += math.fsum(quad(lambda v: math.log(v) * density(v), *ends)[0] for ends in itertools.pairwise(edges))
    if 1 / gain > GONE:
        return below
    edges = [1e-9, *np.geomspace(0.1, 1 + GONE * gain, 60)]
    return below + math.fsum(quad(above, *ends, epsabs=1e-13)[0] for ends in itertools.pairwise(edges))


class TanhOneUnit(Law):
    """Without input the iterates are odd and concave above zero, so |P_T| <= |h_T| / |h_0| < 1 / |h_0|."""

    name = "tanh_one_unit"
    exact = True
    formula = "|u| < 1: lambda = log|u|; |u| > 1: log(|u|(1-h*^2)) < 0; P(l_T > x) <= P(|h_0| < e^-x)"
    source = "docs/physics.md section 5"

    def applies(self, point: DesignPoint) -> bool:
        if point.cell != "tanh" or point.width != 1 or point.weights != "tied":
            return False
        if gaussian_gain(point, "hidden") is None or not autonomous(point):
            return False
        return point.state_std > 0 and no_bias(point, "hidden")

    def predict(self, point: DesignPoint) -> Prediction:
        start = math.log(point.state_std)
        return Prediction(
            growth_rate=mean_rate(gaussian_gain(point, "hidden") or 0.0),
            explode_at_most=lambda level, horizon: float(erf(math.exp(min(-level - start, 700.0)) / math.sqrt(2))),
        )


LAW = TanhOneUnit()
