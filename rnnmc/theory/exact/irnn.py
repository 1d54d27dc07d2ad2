"""The IRNN: a ReLU network that starts from the identity, without bias: alone, in a field, or with white input."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnnmc.common.arrays import Floats
from rnnmc.drives.white import White
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.initialisers.identity import Identity
from rnnmc.initialisers.truncated_gaussian import TruncatedGaussian
from rnnmc.initialisers.uniform import Uniform
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, field_variances, law_of, no_bias, unmodified
from rnnmc.theory.law import Law, LogNorm, Measure, Prediction


def stays_positive(steps: int) -> float:
    """P(S_1, ..., S_T > 0) = C(2T, T)/4^T, of a walk of T independent, symmetric, continuous steps of any law."""
    return math.exp(math.lgamma(steps + 0.5) - math.lgamma(steps + 1)) / math.sqrt(math.pi)


@dataclass(frozen=True)
class Survivors(LogNorm):
    """l_T = log(K/n)/2 (rms) or 0 (spectral, K > 0), K of n units living; dead if K = 0.

    chances: T -> (q, p): K is Bin(n, p) with probability q, and else 0.
    """

    n: int
    rms: bool
    chances: Callable[[int], tuple[float, float]]

    @property
    def _levels(self) -> Floats:
        """l_T with 1 to n living units."""
        live = np.arange(1, self.n + 1) / self.n
        return np.log(live) / 2 if self.rms else np.zeros(self.n)

    def _masses(self, horizon: int) -> Floats:
        """P(K = k), k = 1 to n."""
        from scipy.stats import binom  # half a second to import, which few need

        some, each = self.chances(horizon)
        return some * binom.pmf(np.arange(1, self.n + 1), self.n, each)

    def below(self, level: float, horizon: int) -> float:
        return min(1.0, self.dead(horizon) + math.fsum(self._masses(horizon)[self._levels < level]))

    def above(self, level: float, horizon: int) -> float:
        return math.fsum(self._masses(horizon)[self._levels > level])

    def moments(self, horizon: int) -> tuple[float, float]:
        masses, levels = self._masses(horizon), self._levels
        total = math.fsum(masses)
        mean = math.fsum(masses * levels) / total
        return mean, math.fsum(masses * (levels - mean) ** 2) / total

    def dead(self, horizon: int) -> float:
        some, each = self.chances(horizon)
        return 1 - some + some * (1 - each) ** self.n

    def values(self, horizon: int) -> tuple[float, ...]:
        return tuple(sorted(set(self._levels.tolist())))


def _a_coin(horizon: int) -> tuple[float, float]:
    """A state that is positive stays so."""
    return 1.0, 0.5


def _walks(horizon: int) -> tuple[float, float]:
    """Every unit is a walk by itself."""
    return 1.0, stays_positive(horizon)


def _two_walks(horizon: int) -> tuple[float, float]:
    """Units are one walk or its mirror image, of which at most one stays positive."""
    return 2 * stays_positive(horizon), 0.5


class IRNN(Law):
    """Every unit keeps what it has until it would be below zero, and is dead from then on.

    Without input, a positive state stays for ever. From the state 0 with input, a unit is a random walk that must stay
    above 0: in a field each by itself; with white input of one dimension all units with w > 0 are one walk, and the
    others its mirror image. With more dimensions one unit's chance is known, that of e_1.
    """

    name = "irnn"
    exact = True
    formula = (
        "U = I, b = 0: l_T = 0 (spectral), log(K/n)/2 (rms), dead if K = 0; no input K ~ Bin(n, 1/2); "
        "p_T = C(2T,T)/4^T: field K ~ Bin(n, p_T), white x_t K ~ Bin(n, 1/2) with probability 2 p_T, else 0"
    )
    source = "Le, Jaitly, Hinton 2015; Sparre Andersen 1953; docs/physics.md section 5"
    examples = (
        {"cell": "relu", "width": 5, "init": {"recurrent": {"identity": 1.0}, "input": {"gaussian": 0.5}}},
        {
            "cell": "relu", "width": 3, "init": {"recurrent": {"identity": 1.0}, "input": {"gaussian": 2.0}},
            "drive": "field", "horizons": [1, 5, 30],
        },
        {"cell": "relu", "width": 4, "init": {"recurrent": {"identity": 1.0}}, "drive": {"white": 3}},
    )  # fmt: skip

    def applies(self, point: DesignPoint) -> bool:
        if point.cell != "relu" or not self._moved(point):
            return False
        law = law_of(point, "recurrent", "hidden")
        one = isinstance(law, Identity) and law.factor == 1 and unmodified(law)
        return one and not law.stacked and no_bias(point, "hidden")

    def predict(self, point: DesignPoint) -> Prediction:
        n, together = point.width, point.drive.dimension if isinstance(point.drive, White) else 0
        of_one = _a_coin if autonomous(point) else _walks
        laws: dict[Measure, LogNorm] = {"log_vector": Survivors(1, rms=False, chances=of_one)}
        if n == 1 or together <= 1:
            chances = _two_walks if together and n > 1 else of_one
            laws["log_spectral"] = Survivors(n, rms=False, chances=chances)
            laws["log_rms"] = Survivors(n, rms=True, chances=chances)
        return Prediction(growth_rate=0.0, log_norm=laws)

    @staticmethod
    def _moved(point: DesignPoint) -> bool:
        """By a state that is not 0, or from 0 by an input whose sign is a coin for each unit."""
        if autonomous(point):
            return point.state_std > 0
        if point.drive.is_field:
            return point.state_std == 0 and (field_variances(point) or {"hidden": 0.0})["hidden"] > 0
        law = law_of(point, "input", "hidden")
        spread = isinstance(law, (Gaussian, Uniform, TruncatedGaussian)) and unmodified(law)
        felt = spread and (law.moments(point.drive.dimension, point.width) or (0.0, 1.0))[1] > 0
        return point.state_std == 0 and isinstance(point.drive, White) and felt


LAW = IRNN()
