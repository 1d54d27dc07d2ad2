"""The LSTM whose gates see the memory of their own unit."""

from __future__ import annotations

from rnnmc.cells.cell import Cell, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class LSTMPeephole(Cell):
    """dc' = m o dc + K dh and dh' = (o sech^2(c') + tanh(c') o(1-o) p_o) o dc' + L dh, where

    m = f + c f(1-f) p_f + g i(1-i) p_i; K and L are those of the LSTM. The output gate sees the new memory.
    `published` is Greff et al.'s, who call this cell vanilla; they do not say whether biases are drawn too, and here
    those are zero.
    """

    name = "lstm_peephole"
    formula = "f,i = sg(. + p o c), g = tanh(.), c' = f o c + i o g, o = sg(. + p_o o c'), h' = o o tanh(c')"
    source = "Gers and Schmidhuber 2000; Greff et al. 2017 (vanilla LSTM); docs/physics.md section 2.1"
    gates = ("forget", "input", "output", "candidate")
    parts, vectors = ("h", "c"), ("forget", "input", "output")
    memory = {"forget": 1, "input": -1}  # noqa: RUF012
    main_term = "f + c f(1-f) p_f + g i(1-i) p_i"
    other_terms = ("forget", "input", "candidate")
    bounded = True

    def published(self, width, inputs):
        drawn = {"recurrent": {"gaussian": 0.1 * width**0.5}, "input": {"gaussian": 0.1 * inputs**0.5}}
        return drawn | {"vector": {"gaussian": 0.1}}

    def linearise(self, weights, drive, state):
        h, c = state
        u, p, at_h = weights.recurrent, weights.vectors, weights.apply(h, *self.gates)
        f, _, f_slope = logistic(drive["forget"] + at_h["forget"] + p["forget"] * c)
        i, _, i_slope = logistic(drive["input"] + at_h["input"] + p["input"] * c)
        candidate = drive["candidate"] + at_h["candidate"]
        g = candidate.tanh()
        c_next = f * c + i * g
        o, _, o_slope = logistic(drive["output"] + at_h["output"] + p["output"] * c_next)
        squashed = c_next.tanh()
        scales = {"forget": c * f_slope, "input": g * i_slope, "candidate": i * sech2(candidate)}
        h_to_c = scaled_sum(u, scales)
        c_to_c = f + scales["forget"] * p["forget"] + scales["input"] * p["input"]
        shown = squashed * o_slope
        through_output = u["output"] * shown
        gate_fixed = o * sech2(c_next)
        through_c = gate_fixed + shown * p["output"]

        def push(directions):
            dh, dc = directions
            dc_next = weights.product(dh, h_to_c, plus=dc * c_to_c)
            return weights.product(dh, through_output, plus=dc_next * through_c), dc_next

        return (o * squashed, c_next), Tangent(push, Terms(c_to_c, scaled_terms(u, scales), gate_fixed))


CELL = LSTMPeephole()
