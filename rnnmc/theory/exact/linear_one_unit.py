"""One linear unit with the same weight at every step."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erf, erfc, polygamma, psi

from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.initialisers.uniform import Uniform
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import chain_of_weights, law_of, stays_zero, unmodified
from rnnmc.theory.law import Law, Prediction
from rnnmc.theory.sums import Power


def absolute_normal(scale: float) -> Power:
    """T log|u|, u ~ N(0, scale^2)."""
    return Power(
        lambda x: float(erf(x / scale / math.sqrt(2))),
        lambda x: float(erfc(x / scale / math.sqrt(2))),
        math.log(scale) + (math.log(2) + float(psi(0.5))) / 2,
        float(polygamma(1, 0.5)) / 4,
    )


def absolute_uniform(limit: float) -> Power:
    """T log|u|, u ~ U(-limit, limit)."""
    return Power(
        lambda x: float(np.clip(x / limit, 0, 1)),
        lambda x: float(np.clip(1 - x / limit, 0, 1)),
        math.log(limit) - 1,
        1.0,
    )


class LinearOneUnit(Law):
    """P(vanish) = P(|u| < vanish^(1/T)); the state stays zero, so that it cannot overflow."""

    name = "linear_one_unit"
    exact = True
    formula = "n = 1: l_T = T log|u|"
    source = "docs/physics.md section 5"

    def applies(self, point: DesignPoint) -> bool:
        matrix = chain_of_weights(point)
        if matrix is None or not stays_zero(point) or point.weights != "tied":
            return False
        law = law_of(point, "recurrent", matrix)
        simple = isinstance(law, Gaussian) or (isinstance(law, Uniform) and law.terms == 1)
        return point.width == 1 and simple and unmodified(law)

    def predict(self, point: DesignPoint) -> Prediction:
        law = law_of(point, "recurrent", chain_of_weights(point) or "")
        if isinstance(law, Gaussian):
            norm = absolute_normal(law.gain)
        elif isinstance(law, Uniform):
            norm = absolute_uniform(law.limit if law.limit is not None else (law.gain or 0.0) * math.sqrt(3))
        else:
            raise TypeError(f"{law} has no law here; ask applies first")
        measures = ("log_spectral", "log_rms", "log_vector")
        return Prediction(growth_rate=norm.mean, log_norm=dict.fromkeys(measures, norm))


LAW = LinearOneUnit()
