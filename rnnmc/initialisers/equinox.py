"""Equinox's layers by name."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import layers_of


def roles(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """Every weight and the one bias vector U(-1/sqrt n, 1/sqrt n); the GRU has b_n inside the reset product too."""
    within = {"uniform": {"limit": width**-0.5}}
    return {"recurrent": within, "input": within, "bias": within}


PRESETS = layers_of(
    "equinox.nn", "all U(-1/sqrt n, 1/sqrt n), one bias vector", "equinox 0.13.8, equinox/nn/_rnn.py", roles,
    LSTMCell="lstm", GRUCell="gru_reset_after",
)  # fmt: skip
