"""The article's own proposal: a GRU whose second gate acts on the output, with a cell state behind it."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class GRUOutputGated(Cell):
    """dc' = (1-z) o dc + [(y-c) z(1-z) o U_z + z(1-y^2) o U_c] dh; dh' = r o dc' + c' r(1-r) o U_r dh."""

    name = "gru_output_gated"
    formula = "z,r = sg(.), y = tanh(W x + U h + b), c' = (1-z) o c + z o y, h' = r o c'"
    source = "kexue.fm/archives/7888; docs/physics.md section 2"
    gates = ("update", "output", "candidate")
    parts = ("h", "c")
    memory = {"update": -1}  # noqa: RUF012
    main_term = "1-z"
    other_terms = ("update", "candidate")
    knows_drive = True
    bounded = True
    gating = Gating(keep="update", admit="update", show="output")
    at_zero = AtZero(sources=("candidate",), matrix="candidate", gates=("update", "output"))

    def slopes(self, *openings):
        update, output = openings
        return 1 - update, update * output

    def linearise(self, weights, drive, state):
        h, c = state
        u, at_h = weights.recurrent, weights.apply(h, *self.gates)
        z, keep, z_slope = logistic(drive["update"] + at_h["update"])
        r, _, r_slope = logistic(drive["output"] + at_h["output"])
        candidate = drive["candidate"] + at_h["candidate"]
        y = candidate.tanh()
        c_next = keep * c + z * y
        scales = {"update": (y - c) * z_slope, "candidate": z * sech2(candidate)}
        h_to_c = scaled_sum(u, scales)
        through_output = u["output"] * (c_next * r_slope)

        def push(directions):
            dh, dc = directions
            dc_next = weights.product(dh, h_to_c, plus=dc * keep)
            return weights.product(dh, through_output, plus=dc_next * r), dc_next

        def driven(changes):
            dc_next = scaled_sum(changes, scales)
            return (dc_next * r).addcmul(changes["output"], c_next * r_slope), dc_next

        return (r * c_next, c_next), Tangent(push, Terms(keep, scaled_terms(u, scales), r), driven)


CELL = GRUOutputGated()
