"""The gated recurrent unit as first published: the reset gate acts before the product."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Term, Terms
from rnnmc.cells.functions import logistic, sech2


class GRU(Cell):
    """dh' = (1-z) o dh + (y-h) z(1-z) o U_z dh + z(1-y^2) o U_h( r o dh + h r(1-r) o U_r dh ).

    z is the article's: it lets the new candidate in. PyTorch and Keras write 1 - z for it.
    """

    name = "gru"
    formula = "z,r = sg(.), y = tanh(W x + U_h (r o h) + b), h' = (1-z) o h + z o y"
    source = "Cho et al. 2014; keras.layers.GRU(reset_after=False); docs/physics.md section 2"
    gates = ("update", "reset", "candidate")
    memory = {"update": -1}  # noqa: RUF012
    main_term = "1-z"
    other_terms = ("update", "candidate", "reset")
    knows_drive = True
    bounded = True
    reset = "reset"  # the gate that plays r; the tied GRU has one gate for both
    gating = Gating(keep="update", admit="update", show="reset")
    at_zero = AtZero(sources=("candidate",), matrix="candidate", gates=("update", "reset"))

    def slopes(self, *openings):
        update, reset = openings
        return 1 - update, update * reset

    def linearise(self, weights, drive, state):
        (h,) = state
        u, at_h = weights.recurrent, weights.apply(h, *self.gates[:-1])
        z, keep, z_slope = logistic(drive["update"] + at_h["update"])
        r, _, r_slope = logistic(drive[self.reset] + at_h[self.reset])
        candidate = drive["candidate"] + weights.product(r * h, u["candidate"])
        y = candidate.tanh()
        of_update, of_reset, of_candidate = (y - h) * z_slope, h * r_slope, z * sech2(candidate)
        of_reset_state = (weights.identity * r).addcmul(u[self.reset], of_reset)  # d(r o h)/dh
        jacobian = (weights.identity * keep).addcmul(u["update"], of_update)
        inner = weights.product(of_reset_state, u["candidate"])
        jacobian = jacobian.addcmul(inner, of_candidate)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        def driven(changes):
            inner = weights.product(changes[self.reset] * of_reset, u["candidate"])
            return ((changes["update"] * of_update).addcmul(inner + changes["candidate"], of_candidate),)

        def others():
            rows_scaled = u["candidate"] * r.transpose(weights.layout.direction_axis, weights.layout.out_axis)
            through_reset = weights.product(u[self.reset] * of_reset, u["candidate"])
            return {
                "update": Term(u["update"], of_update),
                "candidate": Term(rows_scaled, of_candidate),
                "reset": Term(through_reset, of_candidate),
            }

        return (keep * h + z * y,), Tangent(push, Terms(keep, others), driven)


CELL = GRU()
