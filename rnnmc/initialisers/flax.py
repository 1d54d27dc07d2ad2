"""Flax's default for SimpleCell, LSTMCell and GRUCell."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import Preset


def roles(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """Recurrent: orthogonal, each gate by itself. Input: LeCun normal. Biases zero."""
    return {"recurrent": {"orthogonal": 1.0}, "input": {"truncated_gaussian": 1.0}, "bias": {"constant": 0.0}}


PRESET = Preset(
    "flax",
    "recurrent orthogonal (each gate), input LeCun normal, bias 0",
    "flax.linen.SimpleCell, LSTMCell, GRUCell",
    roles,
)
