"""The chaos-free network: without input, every state of it goes to zero."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class CFN(Cell):
    """dh' = f sech^2(h) o dh + tanh(h) f(1-f) o U_f dh + y i(1-i) o U_i dh, with the paper's theta as f and eta as i.

    The memory is squashed at every step, so that it decays by its gate alone at zero only.
    """

    name = "cfn"
    formula = "f,i = sg(.), y = tanh(W x + b), h' = f o tanh(h) + i o y"
    source = "Laurent and von Brecht 2017; docs/physics.md section 2.1"
    gates = ("forget", "input", "candidate")
    recurrent = ("forget", "input")
    memory = {"forget": 1, "input": -1}  # noqa: RUF012
    main_term = "f sech^2(h)"
    other_terms = ("forget", "input")
    bounded = True
    at_zero = AtZero(sources=("candidate",), matrix="forget", gates=("forget",))

    def slopes(self, *openings):
        (forget,) = openings
        return forget, 0.0

    def linearise(self, weights, drive, state):
        (h,) = state
        u, at_h = weights.recurrent, weights.apply(h, *self.recurrent)
        f, _, f_slope = logistic(drive["forget"] + at_h["forget"])
        i, _, i_slope = logistic(drive["input"] + at_h["input"])
        y, squashed = drive["candidate"].tanh(), h.tanh()
        keep = f * sech2(h)
        scales = {"forget": squashed * f_slope, "input": y * i_slope}
        jacobian = scaled_sum(u, scales, plus=weights.identity * keep)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (f * squashed + i * y,), Tangent(push, Terms(keep, scaled_terms(u, scales)))


CELL = CFN()
