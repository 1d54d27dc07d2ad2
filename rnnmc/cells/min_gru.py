"""The minimal GRU, whose gate sees only the input: a control whose law is exact."""

from __future__ import annotations

from rnnmc.cells.cell import Cell, Gating, Tangent, Terms
from rnnmc.cells.functions import logistic, scaled_sum


class MinGRU(Cell):
    """dh' = (1-z) o dh: P_T is diagonal."""

    name = "min_gru"
    formula = "z = sg(W_z x + b_z), y = W_y x + b_y, h' = (1-z) o h + z o y"
    source = "Feng et al. 2024 (Were RNNs all we needed?); docs/physics.md section 5"
    gates = ("update", "candidate")
    recurrent = ()
    memory = {"update": -1}  # noqa: RUF012
    main_term = "1-z"
    knows_drive = True
    bounded = True
    gating = Gating(keep="update")

    def linearise(self, weights, drive, state):
        (h,) = state
        z, keep, slope = logistic(drive["update"])
        y = drive["candidate"]

        def push(directions):
            return (directions[0] * keep,)

        def driven(changes):
            return (scaled_sum(changes, {"update": (y - h) * slope, "candidate": z}),)

        return (keep * h + z * y,), Tangent(push, Terms(keep, dict), driven)


CELL = MinGRU()
