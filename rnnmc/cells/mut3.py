"""The third of three cells that a search over ten thousand found: a GRU whose update gate sees a squashed state."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Term, Terms
from rnnmc.cells.functions import logistic, sech2


class MUT3(Cell):
    """dh' = (1-z) o dh + (y-h) z(1-z) o U_z( sech^2(h) o dh ) + z(1-y^2) o U_h( r o dh + h r(1-r) o U_r dh )."""

    name = "mut3"
    formula = "z = sg(W x + U tanh(h) + b), r = sg(.), y = tanh(W x + U_h (r o h) + b), h' = (1-z) o h + z o y"
    source = "Jozefowicz, Zaremba, Sutskever 2015; docs/physics.md section 2.1"
    gates = ("update", "reset", "candidate")
    memory = {"update": -1}  # noqa: RUF012
    main_term = "1-z"
    other_terms = ("update", "candidate", "reset")
    bounded = True
    gating = Gating(keep="update", admit="update", show="reset")
    at_zero = AtZero(sources=("candidate",), matrix="candidate", gates=("update", "reset"))

    def slopes(self, *openings):
        update, reset = openings
        return 1 - update, update * reset

    def linearise(self, weights, drive, state):
        (h,) = state
        u = weights.recurrent
        z, keep, z_slope = logistic(weights.product(h.tanh(), u["update"], plus=drive["update"]))
        r, _, r_slope = logistic(weights.product(h, u["reset"], plus=drive["reset"]))
        candidate = weights.product(r * h, u["candidate"], plus=drive["candidate"])
        y = candidate.tanh()
        of_update, of_reset, of_candidate = (y - h) * z_slope, h * r_slope, z * sech2(candidate)
        slope_of_h, through_update = sech2(h), u["update"] * of_update
        of_reset_state = (weights.identity * r).addcmul(u["reset"], of_reset)  # d(r o h)/dh
        inner = weights.product(of_reset_state, u["candidate"])
        jacobian = (weights.identity * keep).addcmul(inner, of_candidate)

        def push(directions):
            (dh,) = directions
            return (weights.product(dh * slope_of_h, through_update, plus=weights.product(dh, jacobian)),)

        def others():
            through_reset = weights.product(u["reset"] * of_reset, u["candidate"])
            return {
                "update": Term(u["update"] * weights.transpose(slope_of_h), of_update),
                "candidate": Term(u["candidate"] * weights.transpose(r), of_candidate),
                "reset": Term(through_reset, of_candidate),
            }

        return (keep * h + z * y,), Tangent(push, Terms(keep, others))


CELL = MUT3()
