"""Growth at the zero state: the onset of every cell, with its own constant biases."""

from __future__ import annotations

import math

from scipy.special import expit

from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import constant, radius, stays_zero
from rnnmc.theory.law import Law, Prediction

GATES = {  # cell -> (matrix that J = a I + b U contains, the gates whose biases set a and b)
    "tanh": ("hidden", ()),
    "linear": ("hidden", ()),
    "lstm": ("candidate", ("forget", "input", "output")),
    "gru": ("candidate", ("update", "reset")),
    "gru_tied": ("candidate", ("update",)),
    "gru_reset_after": ("candidate", ("update", "reset")),
    "gru_output_gated": ("candidate", ("update", "output")),
    "minimal_rnn": ("update", ("update",)),
}


def slopes(cell: str, *gate: float) -> tuple[float, float]:
    """(a, b) of J = a I + b U at the zero state, from the openings of the cell's gates in the order of GATES.

    Of the map of c for LSTM and the output-gated cell.
    """
    match cell:
        case "tanh" | "linear":
            return 0.0, 1.0
        case "lstm":
            forget, admit, output = gate
            return forget, admit * output
        case "gru" | "gru_reset_after" | "gru_output_gated":
            update, reset = gate
            return 1 - update, update * reset
        case "gru_tied":
            return 1 - gate[0], gate[0] ** 2
        case "minimal_rnn":
            return gate[0], 0.0
    raise ValueError(f"{cell} has no law of its zero state")


def growth(a: float, b: float, gain: float, weights: str) -> float:
    """Growth rate of products of a I + b U: the radius of the spectrum if tied, mean square length if untied."""
    return math.log(a + b * gain) if weights == "tied" else math.log(a**2 + (b * gain) ** 2) / 2


def onset(a: float, b: float, weights: str) -> float | None:
    """The gain at which that rate is zero."""
    if b == 0:
        return None
    return (1 - a) / b if weights == "tied" else math.sqrt(1 - a**2) / b


class ZeroState(Law):
    """The state is zero for ever: no input, no bias but those of the gates. Eigenvalues fill a disk about a."""

    name = "zero_state"
    exact = False
    formula = "J = a I + b U: lambda_1 = log(a + b g), onset g = (1-a)/b; untied log(a^2 + b^2 g^2)/2"
    source = "Can, Krishnamurthy, Schwab 2020; physics.md section 6"

    def applies(self, point: DesignPoint) -> bool:
        if point.cell not in GATES or point.width == 1 or not stays_zero(point):
            return False
        matrix, gates = GATES[point.cell]
        return radius(point, matrix) is not None and all(constant(point, gate) is not None for gate in gates)

    def predict(self, point: DesignPoint) -> Prediction:
        matrix, gates = GATES[point.cell]
        a, b = slopes(point.cell, *(float(expit(constant(point, gate) or 0.0)) for gate in gates))
        return Prediction(
            growth_rate=growth(a, b, radius(point, matrix) or 0.0, point.weights),
            onset_gain=onset(a, b, point.weights),
        )


LAW = ZeroState()
