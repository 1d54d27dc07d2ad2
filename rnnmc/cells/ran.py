"""The recurrent additive network: a sum of inputs, weighed by gates, and nothing else."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Term, Terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class RAN(Cell):
    """dc' = f o dc + [c f(1-f) o U_f + y i(1-i) o U_i] (sech^2(c) o dc).

    The gates see tanh(c), which is what the cell shows; as it is a function of c, the state is c alone.
    """

    name = "ran"
    formula = "f,i = sg(W x + U tanh(c) + b), y = W x, c' = f o c + i o y"
    source = "Lee, Levy, Zettlemoyer 2017; docs/physics.md section 2.1"
    gates = ("forget", "input", "candidate")
    recurrent, parts = ("forget", "input"), ("c",)
    memory = {"forget": 1, "input": -1}  # noqa: RUF012
    main_term = "f"
    other_terms = ("forget", "input")
    bounded = True
    gating = Gating(keep="forget")
    at_zero = AtZero(sources=("candidate",), matrix="forget", gates=("forget",))

    def slopes(self, *openings):
        (forget,) = openings
        return forget, 0.0

    def linearise(self, weights, drive, state):
        (c,) = state
        u, at_h = weights.recurrent, weights.apply(c.tanh(), *self.recurrent)
        f, _, f_slope = logistic(drive["forget"] + at_h["forget"])
        i, _, i_slope = logistic(drive["input"] + at_h["input"])
        y, shown = drive["candidate"], sech2(c)
        scales = {"forget": c * f_slope, "input": y * i_slope}
        through_gates = scaled_sum(u, scales)

        def push(directions):
            (dc,) = directions
            return (weights.product(dc * shown, through_gates, plus=dc * f),)

        def others():
            rows = weights.transpose(shown)
            return {name: Term(u[name] * rows, scale) for name, scale in scales.items()}

        return (f * c + i * y,), Tangent(push, Terms(f, others))


CELL = RAN()
