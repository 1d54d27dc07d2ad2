"""The linear recurrent unit with eigenvalues on a ring."""

from __future__ import annotations

import math

from scipy.integrate import quad

from rnnmc.initialisers.ring import Ring
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, constant, law_of, unmodified
from rnnmc.theory.law import Law, LogNorm, Measure, Prediction
from rnnmc.theory.sums import Certain, Power


def largest_on_ring(n: int, outer: float, inner: float) -> Power | Certain:
    """T log max |lambda_i| of n moduli with |lambda|^2 ~ U[inner^2, outer^2]."""
    low, high = inner**2, outer**2
    if low == high:
        return Certain(math.log(outer))

    def cumulative(x: float) -> float:
        return min(max((x**2 - low) / (high - low), 0.0), 1.0) ** n

    def survival(x: float) -> float:
        share = min(max((high - x**2) / (high - low), 0.0), 1.0)
        return -math.expm1(n * math.log1p(-share)) if share < 1 else 1.0

    def moment(power: int, centre: float = 0.0) -> float:
        """E (log max - centre)^power; v = u^(1/n) is the largest of n uniform numbers."""
        return quad(
            lambda u: (0.5 * math.log(low + (high - low) * u ** (1 / n)) - centre) ** power, 0, 1, epsabs=1e-13,
            epsrel=1e-12, limit=400,
        )[0]  # fmt: skip

    mean = moment(1)
    return Power(cumulative, survival, mean, moment(2, mean))


class LRULaw(Law):
    """The spectral norm is the largest modulus to the power T, whatever the phases."""

    name = "lru"
    exact = True
    formula = "P(l_T < x) = ((e^(2x/T) - r0^2) / (r1^2 - r0^2))^n on the ring r0 < |lambda| < r1"
    source = "Orvieto et al. 2023; docs/physics.md section 5"

    def applies(self, point: DesignPoint) -> bool:
        if point.cell != "lru" or point.weights != "tied":
            return False
        law = law_of(point, "recurrent", "modulus")
        if not isinstance(law, Ring) or not unmodified(law) or law_of(point, "recurrent", "phase") != law:
            return False
        still = autonomous(point) and point.state_std == 0
        still = still and constant(point, "real") == 0 and constant(point, "imaginary") == 0
        return law.outer <= 1 or still  # elsewhere the state may overflow

    def predict(self, point: DesignPoint) -> Prediction:
        law = law_of(point, "recurrent", "modulus")
        if not isinstance(law, Ring):
            raise TypeError(f"{law} is no ring; ask applies first")
        norm, one = (largest_on_ring(n, law.outer, law.inner) for n in (point.width, 1))
        laws: dict[Measure, LogNorm] = {"log_spectral": norm, "log_vector": one}
        if point.width == 1:
            laws["log_rms"] = one
        return Prediction(growth_rate=norm.moments(1)[0], log_norm=laws)


LAW = LRULaw()
