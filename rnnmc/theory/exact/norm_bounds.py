"""What no sample may break: a chain of tanh or ReLU grows no faster than the norm of its weights."""

from __future__ import annotations

import math

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import cannot_overflow, haar_gain
from rnnmc.theory.law import Law, Prediction


class NormBounds(Law):
    """Exact where sigma_max(U) is known: U = gain Q. For Gaussian weights sigma_max is 2 g only at large width."""

    name = "norm_bounds"
    exact = True
    formula = "||P_T||_2 <= prod sigma_max(J_t) <= sigma_max(U)^T; U = gain Q: l_T <= T log gain"
    source = "Pascanu, Mikolov, Bengio 2013; docs/physics.md section 5"

    def applies(self, point: DesignPoint) -> bool:
        if point.cell not in ("tanh", "relu"):
            return False
        gain = haar_gain(point, "hidden")
        return gain is not None and (point.cell == "tanh" or cannot_overflow(point, math.log(gain), 0.0))

    def predict(self, point: DesignPoint) -> Prediction:
        rate = math.log(haar_gain(point, "hidden") or 1.0)
        slack = 1e-12 if point.dtype == "float64" else 1e-5  # rounding of one step, relative
        return Prediction(
            explode_at_most=lambda level, horizon: float(horizon * (rate + slack * point.width) > level),
        )


LAW = NormBounds()
