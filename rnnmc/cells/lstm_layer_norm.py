"""The LSTM with layer normalisation."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import logistic, sech2

EPSILON = 1e-5  # added to the variance, as by torch.nn.LayerNorm


class LSTMLayerNorm(Cell):
    """With y the normalised stack of all U_k h, of deviation s: dy_k = (U_k dh - mean(U dh) - y_k mean(y U dh)) / s.

    Means are over units and gates together, as in the paper, which stacks the gates; its gains are 1 and its biases 0,
    and W x is left as it is: normalised, it has a variance of 1, which N(0, 1/m) gives it anyway. Then as in the LSTM,
    but h' shows tanh of the normalised c', so that dh'/dc' is a matrix and the cell has no terms. At rest s is
    sqrt(epsilon), and a small h is made 316 times as large.
    """

    name = "lstm_layer_norm"
    formula = (
        "f,i,o = sg(.), g = tanh(.) of LN(U h) + W x + b, c' = f o c + i o g, h' = o o tanh(LN(c')), "
        "LN(a) = (a - mean a) / sqrt(var a + 1e-5)"
    )
    source = "Ba, Kiros, Hinton 2016; docs/physics.md section 2.1"
    gates = ("forget", "input", "output", "candidate")
    parts = ("h", "c")
    memory = {"forget": 1, "input": -1}  # noqa: RUF012
    bounded = True

    def linearise(self, weights, drive, state):
        h, c = state
        u, at_h = weights.recurrent, weights.apply(h, *self.gates)

        def mean(of):
            forget, admit, output, candidate = (weights.mean(of[gate]) for gate in self.gates)
            return 0.25 * (forget + admit + output + candidate)

        middle = mean(at_h)
        centred = {gate: at_h[gate] - middle for gate in self.gates}
        scale = (mean({gate: centred[gate].square() for gate in self.gates}) + EPSILON).sqrt()
        y = {gate: centred[gate] / scale for gate in self.gates}
        f, _, f_slope = logistic(drive["forget"] + y["forget"])
        i, _, i_slope = logistic(drive["input"] + y["input"])
        o, _, o_slope = logistic(drive["output"] + y["output"])
        candidate = drive["candidate"] + y["candidate"]
        g = candidate.tanh()
        c_next = f * c + i * g
        c_scale = (weights.variance(c_next) + EPSILON).sqrt()
        shown = (c_next - weights.mean(c_next)) / c_scale
        squashed = shown.tanh()
        slope = o * sech2(shown) / c_scale
        through_output = squashed * o_slope

        def push(directions):
            dh, dc = directions
            da = {gate: weights.product(dh, u[gate]) for gate in self.gates}
            along, across = mean(da), mean({gate: y[gate] * da[gate] for gate in self.gates})
            dy = {gate: (da[gate] - along - y[gate] * across) / scale for gate in self.gates}
            dc_next = dc * f + dy["forget"] * (c * f_slope) + dy["input"] * (g * i_slope)
            dc_next = dc_next + dy["candidate"] * (i * sech2(candidate))
            dshown = dc_next - weights.mean(dc_next) - shown * weights.mean(shown * dc_next)
            return dshown * slope + dy["output"] * through_output, dc_next

        return (o * squashed, c_next), push


CELL = LSTMLayerNorm()
