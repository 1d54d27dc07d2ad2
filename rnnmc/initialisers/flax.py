"""Flax's default for the cells of linen, and those of linen and nnx by name: two of nnx draw otherwise."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import Preset, layers_of


def roles(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """Recurrent: orthogonal, each gate by itself. Input: LeCun normal. Biases zero."""
    return {"recurrent": {"orthogonal": 1.0}, "input": {"truncated_gaussian": 1.0}, "bias": {"constant": 0.0}}


def roles_stacked(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """As `roles`, but one orthogonal matrix for all gates: nnx.OptimizedLSTMCell and GRUCell keep one kernel."""
    return roles(cell, width, inputs) | {"recurrent": {"orthogonal": 1.0, "stacked": True}}


PRESET = Preset(
    "flax",
    "recurrent orthogonal (each gate), input LeCun normal, bias 0",
    "flax.linen.SimpleCell, LSTMCell, GRUCell",
    roles,
)
_LINEN, _NNX = "flax 0.12.12, flax/linen/recurrent.py", "flax 0.12.12, flax/nnx/nn/recurrent.py"
PRESETS = (
    *layers_of(
        "flax.linen", PRESET.formula, _LINEN, roles,
        SimpleCell="tanh relu", LSTMCell="lstm", OptimizedLSTMCell="lstm", GRUCell="gru_reset_after",
    ),
    *layers_of("flax.nnx", PRESET.formula, _NNX, roles, SimpleCell="tanh relu", LSTMCell="lstm"),
    *layers_of(
        "flax.nnx", "recurrent orthogonal (stacked), input LeCun normal, bias 0", _NNX, roles_stacked,
        OptimizedLSTMCell="lstm", GRUCell="gru_reset_after",
    ),
)  # fmt: skip
