"""The LSTM that forgets as much as it lets in."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class LSTMCoupled(Cell):
    """dc' = (1-i) o dc + K dh and dh' = o sech^2(c') o dc' + L dh, where

    K = (g-c) i(1-i) o U_i + i (1-g^2) o U_c and L = tanh(c') o(1-o) o U_o. Without the peepholes that Greff et al.
    keep. `published` is theirs; they do not say whether biases are drawn too, and here those are zero.
    """

    name = "lstm_coupled"
    formula = "i,o = sg(.), g = tanh(.), c' = (1-i) o c + i o g, h' = o o tanh(c')"
    source = "Greff et al. 2017 (coupled input and forget gate); docs/physics.md section 2.1"
    gates = ("input", "output", "candidate")
    parts = ("h", "c")
    memory = {"input": -1}  # noqa: RUF012
    main_term = "1-i"
    other_terms = ("input", "candidate")
    bounded = True
    gating = Gating(keep="input", admit="input", show="output", squashed=True)
    at_zero = AtZero(sources=("candidate",), matrix="candidate", gates=("input", "output"))

    def slopes(self, *openings):
        admit, output = openings
        return 1 - admit, admit * output

    def published(self, width, inputs):
        return {"recurrent": {"gaussian": 0.1 * width**0.5}, "input": {"gaussian": 0.1 * inputs**0.5}}

    def linearise(self, weights, drive, state):
        h, c = state
        u, at_h = weights.recurrent, weights.apply(h, *self.gates)
        i, keep, i_slope = logistic(drive["input"] + at_h["input"])
        o, _, o_slope = logistic(drive["output"] + at_h["output"])
        candidate = drive["candidate"] + at_h["candidate"]
        g = candidate.tanh()
        c_next = keep * c + i * g
        squashed = c_next.tanh()
        scales = {"input": (g - c) * i_slope, "candidate": i * sech2(candidate)}
        h_to_c = scaled_sum(u, scales)
        through_output = u["output"] * (squashed * o_slope)
        through_c = o * sech2(c_next)

        def push(directions):
            dh, dc = directions
            dc_next = weights.product(dh, h_to_c, plus=dc * keep)
            return weights.product(dh, through_output, plus=dc_next * through_c), dc_next

        return (o * squashed, c_next), Tangent(push, Terms(keep, scaled_terms(u, scales), through_c))


CELL = LSTMCoupled()
