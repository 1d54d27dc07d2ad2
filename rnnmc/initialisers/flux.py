"""The layers of Flux, in Julia, by name."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import layers_of


def roles(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """Recurrent and input: Glorot uniform, each on the stack of all gates. Bias zero, the forget gate's too.

    GRUv3 keeps the candidate's recurrent matrix by itself, and draws a spare n x n block with the stack.
    """
    rows = len(cell.gates) * width
    recurrent: dict[str, Any] = {"uniform": {"limit": (6 / (rows + width)) ** 0.5}}
    if cell.name == "gru":
        recurrent |= {"candidate": {"uniform": {"limit": (3 / width) ** 0.5}}}
    return {"recurrent": recurrent, "input": {"uniform": {"limit": (6 / (rows + inputs)) ** 0.5}}, "bias": 0.0}


_SOURCE = "Flux.jl 0.16.11, src/layers/recurrent.jl: glorot_uniform"
PRESETS = layers_of(
    "Flux", "all Glorot uniform (stacked), bias 0", _SOURCE, roles,
    RNN="tanh relu", RNNCell="tanh relu", LSTM="lstm", LSTMCell="lstm",
    GRU="gru_reset_after", GRUCell="gru_reset_after", GRUv3="gru", GRUv3Cell="gru",
)  # fmt: skip
