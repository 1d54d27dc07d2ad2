"""An LSTM whose recurrent matrices are diagonal, so that its steps can be solved in parallel."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import logistic, sech2


class LSTMDiagonal(Cell):
    """dc' = f o dc + k o dh, k = c f(1-f) u_f + g i(1-i) u_i + i (1-g^2) u_c, and dh' = o sech^2(c') o dc' + l o dh,
    l = tanh(c') o(1-o) u_o: P_T consists of n blocks of two by two.

    The paper also has peepholes and one gate for both forget and input; this is the plain LSTM with diagonal U_k.
    """

    name = "lstm_diagonal"
    formula = "f,i,o = sg(W x + u o h + b), g = tanh(W x + u o h + b), c' = f o c + i o g, h' = o o tanh(c')"
    source = "Danieli et al. 2025 (ParaRNN); docs/physics.md section 2.2"
    gates = ("forget", "input", "output", "candidate")
    diagonal = True
    parts = ("h", "c")
    bounded = True

    def linearise(self, weights, drive, state):
        h, c = state
        u = weights.recurrent
        f, _, f_slope = logistic(drive["forget"] + u["forget"] * h)
        i, _, i_slope = logistic(drive["input"] + u["input"] * h)
        o, _, o_slope = logistic(drive["output"] + u["output"] * h)
        candidate = drive["candidate"] + u["candidate"] * h
        g = candidate.tanh()
        c_next = f * c + i * g
        squashed = c_next.tanh()
        h_to_c = c * f_slope * u["forget"] + g * i_slope * u["input"] + i * sech2(candidate) * u["candidate"]
        through_output, through_c = squashed * o_slope * u["output"], o * sech2(c_next)

        def push(directions):
            dh, dc = directions
            dc_next = dc * f + dh * h_to_c
            return dh * through_output + dc_next * through_c, dc_next

        return (o * squashed, c_next), push


CELL = LSTMDiagonal()
