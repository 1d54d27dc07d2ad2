"""A GRU whose recurrent matrices are diagonal, so that its steps can be solved in parallel."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import logistic, sech2


class GRUDiagonal(Cell):
    """dh' = (1-z + (y-h) z(1-z) u_z + z(1-y^2) u_h (r + h r(1-r) u_r)) o dh: P_T is diagonal."""

    name = "gru_diagonal"
    formula = "z,r = sg(W x + u o h + b), y = tanh(W x + u_h o r o h + b), h' = (1-z) o h + z o y"
    source = "Danieli et al. 2025 (ParaRNN); docs/physics.md section 2.2"
    gates = ("update", "reset", "candidate")
    diagonal = True
    bounded = True

    def linearise(self, weights, drive, state):
        (h,) = state
        u = weights.recurrent
        z, keep, z_slope = logistic(drive["update"] + u["update"] * h)
        r, _, r_slope = logistic(drive["reset"] + u["reset"] * h)
        candidate = drive["candidate"] + u["candidate"] * r * h
        y = candidate.tanh()
        inner = u["candidate"] * (r + h * r_slope * u["reset"])
        factor = keep + (y - h) * z_slope * u["update"] + z * sech2(candidate) * inner
        return (keep * h + z * y,), lambda directions: (directions[0] * factor,)


CELL = GRUDiagonal()
