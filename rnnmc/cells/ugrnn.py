"""The update gate RNN: a tanh network with one gate between its state and the next one."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class UGRNN(Cell):
    """dh' = g o dh + (h-y) g(1-g) o U_g dh + (1-g)(1-y^2) o U_y dh.

    `published` is that of the authors' class in TensorFlow (tf.contrib.rnn.UGRNNCell): Glorot uniform on the matrix of
    both gates and of h and x, m + n rows, and a gate bias of 1.
    """

    name = "ugrnn"
    formula = "g = sg(.), y = tanh(W x + U h + b), h' = g o h + (1-g) o y"
    source = "Collins, Sohl-Dickstein, Sussillo 2017; docs/physics.md section 2.1"
    gates = ("update", "candidate")
    memory = {"update": 1}  # noqa: RUF012
    main_term = "g"
    other_terms = ("update", "candidate")
    bounded = True
    gating = Gating(keep="update")
    at_zero = AtZero(sources=("candidate",), matrix="candidate", gates=("update",))

    def slopes(self, *openings):
        (update,) = openings
        return update, 1 - update

    def published(self, width, inputs):
        glorot = {"uniform": {"limit": (6 / (inputs + 3 * width)) ** 0.5}}
        return {"recurrent": glorot, "input": glorot, "bias": {"constant": 0.0, "update": 1.0}}

    def linearise(self, weights, drive, state):
        (h,) = state
        u, at_h = weights.recurrent, weights.apply(h, *self.gates)
        g, rest, g_slope = logistic(drive["update"] + at_h["update"])
        candidate = drive["candidate"] + at_h["candidate"]
        y = candidate.tanh()
        scales = {"update": (h - y) * g_slope, "candidate": rest * sech2(candidate)}
        jacobian = scaled_sum(u, scales, plus=weights.identity * g)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (g * h + rest * y,), Tangent(push, Terms(g, scaled_terms(u, scales)))


CELL = UGRNN()
