"""The edge of the spectrum of a frozen Jacobian with gates that differ between units: random gate biases."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.special import expit

from rnnmc.common.arrays import Floats
from rnnmc.initialisers.chrono import Chrono
from rnnmc.initialisers.constant import Constant
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.initialisers.law import WeightLaw
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import law_of, quantile, spread_gain, stays_zero
from rnnmc.theory.law import Law, Prediction, required
from rnnmc.theory.quadrature import root

NODES = 400  # Gauss-Legendre points for each independent bias
BEYOND = 9.0  # deviations: the normal density further out is below 1e-18
OPEN = 36.0  # a bias beyond which a gate is 1 in float64
WIDEST = 3.0  # gain of normal biases: of wider ones most of the mean lies where gates are 1 in float64


def edge(diagonal: Floats, coupling: Floats, weight: Floats, gain: float) -> float:
    """Largest modulus of the spectrum of diag(d0) + diag(b) U: where E[g^2 b^2 / (z - d0)^2] = 1, on the real axis.

    diagonal, coupling, weight: (k,) values of d0 in (0, 1) and b of a unit and their probabilities. z is real there,
    as d0 is positive: |z - d0| is smallest, given |z|, on the positive axis. Never below the largest d0.
    """
    top = float(diagonal.max())

    def excess(z: float) -> float:
        return gain**2 * float(weight @ (coupling**2 / (z - diagonal) ** 2)) - 1

    low, high = top + 1e-12, top + gain * float(coupling.max()) + 1e-9
    return root(excess, low, high) if excess(low) > 0 else top


def _axis(law: WeightLaw) -> tuple[Floats, Floats]:
    """(nodes, probabilities) of one bias: shares in (0, 1) by Gauss and Legendre; of a normal one, deviations from 0.

    1 / (1 - sg(b))^2 grows as e^(2b), so that most of its mean lies twice the gain further out than the normal density.
    """
    if isinstance(law, Gaussian):
        reach, step = min(BEYOND + 2 * law.gain, OPEN / law.gain), min(0.25, 0.1 / law.gain)
        z = np.linspace(-reach, reach, 2 * math.ceil(reach / step) + 1)
        mass = np.exp(-(z**2) / 2)
        return z, mass / mass.sum()
    return _shares()


@cache
def _shares() -> tuple[Floats, Floats]:
    """(shares in (0, 1), probabilities) of NODES points, by Gauss and Legendre."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    return (x + 1) / 2, w / 2


class FrozenEdge(Law):
    """At the zero state, without input, with quenched gate biases: the Jacobian is one matrix for ever.

    Bias laws: constant, uniform (one term), Gaussian up to gain 3, and chrono on the gates that remember. Independent
    recurrent weights, tied. With constant biases alone it is `zero_state`.
    """

    name = "frozen_edge"
    exact = False
    formula = "J = D0 + D1 U: E[g^2 d1^2 / (z - d0)^2] = 1, lambda_1 = log z"
    source = "Can, Krishnamurthy, Schwab 2020; Ahmadian, Fumarola, Miller 2015; docs/physics.md section 6"

    def applies(self, point: DesignPoint) -> bool:
        at = point.cell_object.at_zero
        if at is None or point.weights != "tied" or not stays_zero(point) or spread_gain(point, at.matrix) is None:
            return False
        random = any(not isinstance(law_of(point, "bias", gate), Constant) for gate in at.gates)
        found = self._slopes(point) if random else None
        return found is not None and bool((found[0] >= 0).all() and found[1].any())

    def predict(self, point: DesignPoint) -> Prediction:
        a, b, weight = required(self._slopes(point))
        gain = spread_gain(point, required(point.cell_object.at_zero).matrix) or 0.0
        pull = float(weight @ (b**2 / (1 - a) ** 2))
        onset = None if pull == 0 else pull**-0.5
        return Prediction(growth_rate=math.log(edge(a, b, weight, gain)), onset_gain=onset)

    def _slopes(self, point: DesignPoint) -> tuple[Floats, Floats, Floats] | None:
        """(a, b, probabilities), each (k,), over the independent biases of a unit: J = diag(a) + diag(b) U."""
        found = self._openings(point)
        if found is None:
            return None
        openings, weight = found
        a, b = (
            np.broadcast_to(np.asarray(slope, float), weight.shape) for slope in point.cell_object.slopes(*openings)
        )
        return a, b, weight

    @staticmethod
    def _openings(point: DesignPoint) -> tuple[list[Floats], Floats] | None:
        """(openings of the gates of `Cell.at_zero`, probabilities), each (k,), over a unit's independent biases."""
        gates, memory = required(point.cell_object.at_zero).gates, point.cell_object.memory
        laws = {gate: law_of(point, "bias", gate) for gate in gates}
        # what one random number decides: a gate's bias, or under chrono the biases of all gates that remember
        sources = {gate: str(law) if isinstance(law, Chrono) else gate for gate, law in laws.items()}
        random = list(dict.fromkeys(sources[gate] for gate in gates if not isinstance(laws[gate], Constant)))
        if len(random) > 2:
            return None  # the mesh would be of three dimensions
        axes = [_axis(next(laws[gate] for gate in gates if sources[gate] == one)) for one in random]
        shares = [axis.ravel() for axis in np.meshgrid(*[share for share, _ in axes], indexing="ij")]
        weight = np.prod(np.meshgrid(*[mass for _, mass in axes], indexing="ij"), axis=0).ravel()
        openings = []
        for gate in gates:
            at = shares[random.index(sources[gate])] if sources[gate] in random else np.zeros(weight.size)
            law = laws[gate]
            if quantile(law, np.full(1, 0.5)) is None or (isinstance(law, Gaussian) and law.gain > WIDEST):
                return None
            bias = law.gain * at if isinstance(law, Gaussian) else required(quantile(law, at))
            openings.append(expit(memory[gate] * bias if isinstance(laws[gate], Chrono) else bias))
        return openings, weight


LAW = FrozenEdge()
