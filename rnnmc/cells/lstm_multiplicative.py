"""The multiplicative LSTM: for each input another recurrent matrix."""

from __future__ import annotations

from rnnmc.cells.cell import Cell, Gating, Tangent, Term, Terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class LSTMMultiplicative(Cell):
    """As the LSTM with m = v o U_m h in place of h: dc' = f o dc + K dm, dh' = o sech^2(c') o dc' + L dm.

    v = W_m x is given by the input alone, and dm = v o U_m dh. Without input, and without a bias of `factor`, nothing
    recurs but c.
    """

    name = "lstm_multiplicative"
    formula = "m = (W_m x) o (U_m h), f,i,o = sg(W x + U m + b), g = tanh(.), c' = f o c + i o g, h' = o o tanh(c')"
    source = "Krause, Murray, Renals, Lu 2016; docs/physics.md section 2.1"
    gates = ("forget", "input", "output", "candidate", "factor")
    parts = ("h", "c")
    memory = {"forget": 1, "input": -1}  # noqa: RUF012
    main_term = "f"
    other_terms = ("forget", "input", "candidate")
    bounded = True
    gating = Gating(keep="forget", admit="input", show="output", squashed=True)

    def linearise(self, weights, drive, state):
        h, c = state
        u, factor = weights.recurrent, drive["factor"]
        m = factor * weights.apply(h, "factor")["factor"]
        at_m = weights.apply(m, *self.gates[:-1])
        f, _, f_slope = logistic(drive["forget"] + at_m["forget"])
        i, _, i_slope = logistic(drive["input"] + at_m["input"])
        o, _, o_slope = logistic(drive["output"] + at_m["output"])
        candidate = drive["candidate"] + at_m["candidate"]
        g = candidate.tanh()
        c_next = f * c + i * g
        squashed = c_next.tanh()
        scales = {"forget": c * f_slope, "input": g * i_slope, "candidate": i * sech2(candidate)}
        m_to_c = scaled_sum(u, scales)
        through_output = u["output"] * (squashed * o_slope)
        h_to_m = u["factor"] * factor
        through_c = o * sech2(c_next)

        def push(directions):
            dh, dc = directions
            dm = weights.product(dh, h_to_m)
            dc_next = weights.product(dm, m_to_c, plus=dc * f)
            return weights.product(dm, through_output, plus=dc_next * through_c), dc_next

        def others():
            return {name: Term(weights.product(h_to_m, u[name]), scale) for name, scale in scales.items()}

        return (o * squashed, c_next), Tangent(push, Terms(f, others, through_c))


CELL = LSTMMultiplicative()
