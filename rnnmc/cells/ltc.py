"""The liquid time-constant network: one fused step of a leak whose rate depends on the input and the state."""

from __future__ import annotations

from rnnmc.cells.cell import Cell, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum


class LTC(Cell):
    """dh' = (dh + e (A - h') o df) / (1 + e (1/tau + f)), df = f(1-f) o U dh.

    step_size: e; time_constant: tau in the units of e, both above 0. One step of the solver for each input; the paper
    takes six. f is logistic, for a rate that is never negative. Raises ValueError for what is not above 0.
    """

    name = "ltc"
    formula = "f = sg(W x + U h + b), h' = (h + e f o A) / (1 + e (1/tau + f)), e = tau = 1 unless said"
    source = "Hasani, Lechner, Amini, Rus, Grosu 2021 (AAAI); docs/physics.md section 2.2"
    gates = ("hidden",)
    inner_biases = {"reversal": "hidden"}  # noqa: RUF012
    main_term = "1/(1+e(1/tau+f))"
    other_terms = ("hidden",)
    bounded = True
    fields = ("step_size", "time_constant")

    def __init__(self, step_size: float = 1.0, time_constant: float = 1.0):
        for name, value in (("step_size", step_size), ("time_constant", time_constant)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name}: {value!r} is not possible; give a number above 0")
        self.step_size, self.time_constant = float(step_size), float(time_constant)

    def linearise(self, weights, drive, state):
        (h,) = state
        e, reversal = self.step_size, weights.bias["reversal"]
        f, _, slope = logistic(drive["hidden"] + weights.apply(h, "hidden")["hidden"])
        over = 1 / (1 + e / self.time_constant + e * f)
        after = (h + e * f * reversal) * over
        scales = {"hidden": e * (reversal - after) * slope * over}
        jacobian = scaled_sum(weights.recurrent, scales)

        def push(directions):
            return (weights.product(directions[0], jacobian, plus=directions[0] * over),)

        return (after,), Tangent(push, Terms(over, scaled_terms(weights.recurrent, scales)))


CELL = LTC()
