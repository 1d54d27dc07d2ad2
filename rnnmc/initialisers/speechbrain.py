"""SpeechBrain's layers by name: PyTorch's, drawn anew."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import layers_of
from rnnmc.initialisers.pytorch import PRESET as PYTORCH


def roles(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """Recurrent: `orthogonal_` on PyTorch's matrix of all gates (`re_init`). Input and biases: as PyTorch left them."""
    return PYTORCH.roles(cell, width, inputs) | {"recurrent": {"orthogonal": 1.0, "stacked": True}}


PRESETS = layers_of(
    "speechbrain.nnet.RNN", "recurrent orthogonal (stacked), rest U(-1/sqrt n, 1/sqrt n), two bias vectors",
    "speechbrain 1.1.2, speechbrain/nnet/RNN.py: rnn_init", roles,
    RNN="relu tanh", LSTM="lstm", GRU="gru_reset_after",
)  # fmt: skip
