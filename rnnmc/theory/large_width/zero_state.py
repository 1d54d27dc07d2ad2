"""Growth at the zero state: the onset of every cell, with its own constant biases."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import expit

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import constant, constant_biases, radius, stays_zero
from rnnmc.theory.law import Law, Prediction, required


@dataclass(frozen=True)
class Rest:
    """J = a I + b U for ever, U the recurrent matrix of the name `matrix`."""

    matrix: str
    a: float
    b: float


def rest_of(point: DesignPoint) -> Rest | None:
    """None where the state does not stay zero, the biases of the gates differ, or the cell says nothing of it."""
    cell = point.cell_object
    if cell.at_zero is None or not stays_zero(point) or not constant_biases(point, *cell.at_zero.gates):
        return None
    openings = (float(expit(constant(point, gate) or 0.0)) for gate in cell.at_zero.gates)
    return Rest(cell.at_zero.matrix, *cell.slopes(*openings))


def growth(a: float, b: float, gain: float, weights: str) -> float:
    """Growth rate of products of a I + b U: the radius of the spectrum if tied, mean square length if untied."""
    a, b = abs(a), abs(b)
    return math.log(a + b * gain) if weights == "tied" else math.log(a**2 + (b * gain) ** 2) / 2


def onset(a: float, b: float, weights: str) -> float | None:
    """The gain at which that rate is zero; None where there is none."""
    a, b = abs(a), abs(b)
    if b == 0 or a > 1:
        return None
    return (1 - a) / b if weights == "tied" else math.sqrt(1 - a**2) / b


class ZeroState(Law):
    """The state is zero for ever: no input, no bias but those of the gates. Eigenvalues fill a disk about a."""

    name = "zero_state"
    exact = False
    formula = "J = a I + b U: lambda_1 = log(a + b g), onset g = (1-a)/b; untied log(a^2 + b^2 g^2)/2"
    source = "Can, Krishnamurthy, Schwab 2020; docs/physics.md section 6"

    def applies(self, point: DesignPoint) -> bool:
        rest = rest_of(point) if point.width > 1 else None
        return rest is not None and radius(point, rest.matrix) is not None

    def predict(self, point: DesignPoint) -> Prediction:
        rest = required(rest_of(point))
        return Prediction(
            growth_rate=growth(rest.a, rest.b, radius(point, rest.matrix) or 0.0, point.weights),
            onset_gain=onset(rest.a, rest.b, point.weights),
        )


LAW = ZeroState()
