"""The cells of Lux, in Julia, by name: those of an RNN and an LSTM as PyTorch's, that of a GRU otherwise."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import layers_of
from rnnmc.initialisers.pytorch import PRESET as PYTORCH


def roles_of_gru(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """Recurrent and input: Glorot uniform, each gate by itself. Both bias vectors zero."""
    limits = {"recurrent": (6 / (2 * width)) ** 0.5, "input": (6 / (inputs + width)) ** 0.5}
    return {role: {"uniform": {"limit": limit}} for role, limit in limits.items()} | {"bias": 0.0}


_SOURCE = "Lux.jl 1.31.4, src/layers/recurrent.jl"
PRESETS = (
    *layers_of("Lux", PYTORCH.formula, _SOURCE, PYTORCH.roles, RNNCell="tanh relu", LSTMCell="lstm"),
    *layers_of("Lux", "all Glorot uniform (each gate), bias 0", _SOURCE, roles_of_gru, GRUCell="gru_reset_after"),
)
