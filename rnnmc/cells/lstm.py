"""The long short-term memory cell, with the joint Jacobian of (h, c)."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class LSTM(Cell):
    """dc' = f o dc + K dh and dh' = o sech^2(c') o dc' + L dh, where

    K = c f(1-f) o U_f + g i(1-i) o U_i + i (1-g^2) o U_c and L = tanh(c') o(1-o) o U_o: all four blocks of the joint
    Jacobian. The h -> h block alone, as some published tools fill it, loses the memory path through c.
    """

    name = "lstm"
    formula = "f,i,o = sg(.), g = tanh(.), c' = f o c + i o g, h' = o o tanh(c')"
    source = "Hochreiter and Schmidhuber 1997, Gers et al. 2000; torch.nn.LSTM; docs/physics.md section 2"
    gates = ("forget", "input", "output", "candidate")
    parts = ("h", "c")
    memory = {"forget": 1, "input": -1}  # noqa: RUF012
    main_term = "f"
    other_terms = ("forget", "input", "candidate")
    knows_drive = True
    bounded = True
    gating = Gating(keep="forget", admit="input", show="output", squashed=True)
    at_zero = AtZero(sources=("candidate",), matrix="candidate", gates=("forget", "input", "output"))

    def slopes(self, *openings):
        forget, admit, output = openings
        return forget, admit * output

    def linearise(self, weights, drive, state):
        h, c = state
        u, at_h = weights.recurrent, weights.apply(h, *self.gates)
        f, _, f_slope = logistic(drive["forget"] + at_h["forget"])
        i, _, i_slope = logistic(drive["input"] + at_h["input"])
        o, _, o_slope = logistic(drive["output"] + at_h["output"])
        candidate = drive["candidate"] + at_h["candidate"]
        g = candidate.tanh()
        c_next = f * c + i * g
        squashed = c_next.tanh()
        scales = {"forget": c * f_slope, "input": g * i_slope, "candidate": i * sech2(candidate)}
        h_to_c = scaled_sum(u, scales)
        through_output = u["output"] * (squashed * o_slope)
        through_c = o * sech2(c_next)

        def push(directions):
            dh, dc = directions
            dc_next = weights.product(dh, h_to_c, plus=dc * f)
            return weights.product(dh, through_output, plus=dc_next * through_c), dc_next

        def driven(changes):
            dc_next = scaled_sum(changes, scales)
            return (dc_next * through_c).addcmul(changes["output"], squashed * o_slope), dc_next

        return (o * squashed, c_next), Tangent(push, Terms(f, scaled_terms(u, scales), through_c), driven)


CELL = LSTM()
