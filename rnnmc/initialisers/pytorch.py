"""PyTorch's default for torch.nn.RNN, LSTM and GRU, and its layers by name."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import Preset, layers_of


def roles(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """Every weight and both bias vectors U(-1/sqrt n, 1/sqrt n); a gate's bias is the sum of the two vectors.

    A gate whose recurrent bias stands inside the reset product (`gru_reset_after`) keeps its two vectors apart.
    """
    within = {"limit": width**-0.5}
    bias: dict[str, Any] = {"uniform": within | {"terms": 2}}
    for name, gate in cell.inner_biases.items():
        bias |= {name: {"uniform": within}, gate: {"uniform": within}}
    return {"recurrent": {"uniform": within}, "input": {"uniform": within}, "bias": bias}


PRESET = Preset(
    "pytorch", "all U(-1/sqrt n, 1/sqrt n), two bias vectors", "torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU", roles
)
PRESETS = layers_of(
    "torch.nn", PRESET.formula, "torch 2.13, torch/nn/modules/rnn.py: reset_parameters", roles,
    RNN="tanh relu", RNNCell="tanh relu", LSTM="lstm", LSTMCell="lstm",
    GRU="gru_reset_after", GRUCell="gru_reset_after",
)  # fmt: skip
