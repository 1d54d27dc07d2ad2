"""The light GRU: no reset gate, and a rectified candidate."""

from __future__ import annotations

from rnnmc.cells.cell import Cell, Gating, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum


class LiGRU(Cell):
    """dh' = z o dh + (h-y) z(1-z) o U_z dh + (1-z) 1[a > 0] o U_y dh. z keeps, as in the paper.

    Without the paper's batch normalisation of W x, through which the networks of a batch would feel one another.
    `published`: orthogonal recurrent matrices, each by itself, and Glorot uniform input weights, as the authors have it
    in Theano (theano-kaldi-rnn); a later layer of theirs (pytorch-kaldi, liGRU_layer) draws both matrices as one stack,
    with a gain of 0.71, and the input weights Glorot normal.
    """

    name = "ligru"
    formula = "z = sg(.), a = W x + U h + b, y = max(a, 0), h' = z o h + (1-z) o y"
    source = "Ravanelli, Brakel, Omologo, Bengio 2018; docs/physics.md section 2.1"
    gates = ("update", "candidate")
    memory = {"update": 1}  # noqa: RUF012
    main_term = "z"
    other_terms = ("update", "candidate")
    gating = Gating(keep="update")

    def published(self, width, inputs):
        return {"recurrent": {"orthogonal": 1.0}, "input": {"uniform": {"limit": (6 / (inputs + width)) ** 0.5}}}

    def linearise(self, weights, drive, state):
        (h,) = state
        u, at_h = weights.recurrent, weights.apply(h, *self.gates)
        z, rest, z_slope = logistic(drive["update"] + at_h["update"])
        a = drive["candidate"] + at_h["candidate"]
        y = a.relu()
        scales = {"update": (h - y) * z_slope, "candidate": rest * (a > 0)}
        jacobian = scaled_sum(u, scales, plus=weights.identity * z)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (z * h + rest * y,), Tangent(push, Terms(z, scaled_terms(u, scales)))


CELL = LiGRU()
