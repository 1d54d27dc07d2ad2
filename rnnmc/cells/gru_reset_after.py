"""The GRU that PyTorch, cuDNN and Keras run: the reset gate acts after the product."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class GRUResetAfter(Cell):
    """dh' = (1-z) o dh + (y-h) z(1-z) o U_z dh + z(1-y^2) o ( r o U_h dh + (U_h h + b_h) r(1-r) o U_r dh ).

    z is the article's: it lets the new candidate in. PyTorch and Keras write 1 - z for it.
    """

    name = "gru_reset_after"
    formula = "z,r = sg(.), y = tanh(W x + b + r o (U_h h + b_h)), h' = (1-z) o h + z o y"
    source = "torch.nn.GRU, keras.layers.GRU(reset_after=True); docs/physics.md section 2"
    gates = ("update", "reset", "candidate")
    inner_biases = {"candidate_recurrent": "candidate"}  # noqa: RUF012
    memory = {"update": -1}  # noqa: RUF012
    main_term = "1-z"
    other_terms = ("update", "candidate", "reset")
    knows_drive = True
    bounded = True
    gating = Gating(keep="update", admit="update", show="reset")
    at_zero = AtZero(sources=("candidate", "candidate_recurrent"), matrix="candidate", gates=("update", "reset"))

    def slopes(self, *openings):
        update, reset = openings
        return 1 - update, update * reset

    def linearise(self, weights, drive, state):
        (h,) = state
        u, at_h = weights.recurrent, weights.apply(h, *self.gates)
        z, keep, z_slope = logistic(drive["update"] + at_h["update"])
        r, _, r_slope = logistic(drive["reset"] + at_h["reset"])
        inner = at_h["candidate"] + weights.bias["candidate_recurrent"]
        candidate = drive["candidate"] + r * inner
        y = candidate.tanh()
        slope = z * sech2(candidate)
        scales = {"update": (y - h) * z_slope, "candidate": slope * r, "reset": slope * inner * r_slope}
        jacobian = scaled_sum(u, scales, plus=weights.identity * keep)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        def driven(changes):
            return (scaled_sum(changes, scales | {"candidate": slope}),)

        return (keep * h + z * y,), Tangent(push, Terms(keep, scaled_terms(u, scales)), driven)


CELL = GRUResetAfter()
