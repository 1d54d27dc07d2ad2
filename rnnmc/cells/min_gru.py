"""The minimal GRU, whose gate sees only the input: a control whose law is exact."""

from __future__ import annotations

from rnnmc.cells.cell import Cell, Gating, Tangent, Terms
from rnnmc.cells.functions import logistic


class MinGRU(Cell):
    """dh' = (1-z) o dh: P_T is diagonal."""

    name = "min_gru"
    formula = "z = sg(W_z x + b_z), y = W_y x + b_y, h' = (1-z) o h + z o y"
    source = "Feng et al. 2024 (Were RNNs all we needed?); docs/physics.md section 5"
    gates = ("update", "candidate")
    recurrent = ()
    memory = {"update": -1}  # noqa: RUF012
    main_term = "1-z"
    bounded = True
    gating = Gating(keep="update")

    def linearise(self, weights, drive, state):
        (h,) = state
        z, keep, _ = logistic(drive["update"])

        def push(directions):
            return (directions[0] * keep,)

        return (keep * h + z * drive["candidate"],), Tangent(push, Terms(keep, dict))


CELL = MinGRU()
