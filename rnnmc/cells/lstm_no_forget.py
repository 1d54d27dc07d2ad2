"""The LSTM as first published, without a forget gate: its memory is kept whole."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class LSTMNoForget(Cell):
    """dc' = dc + K dh and dh' = o sech^2(c') o dc' + L dh, where

    K = g i(1-i) o U_i + i (1-g^2) o U_c and L = tanh(c') o(1-o) o U_o. Squashed by tanh, as today's LSTMs are; the
    article's own sigmoids have the ranges (-2, 2) and (-1, 1).
    """

    name = "lstm_no_forget"
    formula = "i,o = sg(.), g = tanh(.), c' = c + i o g, h' = o o tanh(c')"
    source = "Hochreiter and Schmidhuber 1997; docs/physics.md section 2.1"
    gates = ("input", "output", "candidate")
    parts = ("h", "c")
    main_term = "1"
    other_terms = ("input", "candidate")
    bounded = True
    at_zero = AtZero(sources=("candidate",), matrix="candidate", gates=("input", "output"))

    def slopes(self, *openings):
        admit, output = openings
        return 1.0, admit * output

    def linearise(self, weights, drive, state):
        h, c = state
        u, at_h = weights.recurrent, weights.apply(h, *self.gates)
        i, _, i_slope = logistic(drive["input"] + at_h["input"])
        o, _, o_slope = logistic(drive["output"] + at_h["output"])
        candidate = drive["candidate"] + at_h["candidate"]
        g = candidate.tanh()
        c_next = c + i * g
        squashed = c_next.tanh()
        scales = {"input": g * i_slope, "candidate": i * sech2(candidate)}
        h_to_c = scaled_sum(u, scales)
        through_output = u["output"] * (squashed * o_slope)
        through_c = o * sech2(c_next)

        def push(directions):
            dh, dc = directions
            dc_next = weights.product(dh, h_to_c, plus=dc)
            return weights.product(dh, through_output, plus=dc_next * through_c), dc_next

        return (o * squashed, c_next), Tangent(push, Terms(0 * c + 1, scaled_terms(u, scales), through_c))


CELL = LSTMNoForget()
