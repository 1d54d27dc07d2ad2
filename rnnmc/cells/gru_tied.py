"""The article's more extreme GRU: one gate both resets and updates."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Gating
from rnnmc.cells.gru import GRU


class GRUTied(GRU):
    """dh' = (1-z) o dh + (y-h) z(1-z) o U_z dh + z(1-y^2) o U_h( z o dh + h z(1-z) o U_z dh )."""

    name = "gru_tied"
    formula = "z = sg(.), y = tanh(W x + U_h (z o h) + b), h' = (1-z) o h + z o y"
    source = "kexue.fm/archives/7888; Zhou et al. 2016 (minimal gated unit); docs/physics.md section 2"
    gates = ("update", "candidate")
    reset = "update"
    gating = Gating(keep="update", admit="update", show="update")
    at_zero = AtZero(sources=("candidate",), matrix="candidate", gates=("update",))

    def slopes(self, *openings):
        (update,) = openings
        return 1 - update, update**2


CELL = GRUTied()
