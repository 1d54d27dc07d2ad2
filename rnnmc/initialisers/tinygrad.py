"""tinygrad's layer by name."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import layers_of


def roles(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """Every weight U(-1/sqrt n, 1/sqrt n). Both bias vectors 0."""
    within = {"uniform": {"limit": width**-0.5}}
    return {"recurrent": within, "input": within, "bias": 0.0}


PRESETS = layers_of(
    "tinygrad.nn",
    "all U(-1/sqrt n, 1/sqrt n), bias 0",
    "tinygrad 0.14, tinygrad/nn/__init__.py",
    roles,
    LSTMCell="lstm",
)
