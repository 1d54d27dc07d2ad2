"""Keras's default for SimpleRNN, LSTM and GRU, and these layers by name."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import Preset, layers_of


def roles(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """Recurrent: orthogonal on the stacked n x (gates n) matrix. Input: Glorot uniform on the stacked matrix.

    Biases zero, but 1 on an LSTM's forget gate (`unit_forget_bias`).
    """
    glorot = (6 / (inputs + len(cell.gates) * width)) ** 0.5
    bias: dict[str, Any] = {"constant": 0.0} | ({"forget": 1.0} if "forget" in cell.gates else {})
    return {"recurrent": {"orthogonal": 1.0, "stacked": True}, "input": {"uniform": {"limit": glorot}}, "bias": bias}


PRESET = Preset(
    "keras",
    "recurrent orthogonal (stacked), input Glorot uniform, bias 0, forget bias 1",
    "keras.layers.SimpleRNN, LSTM, GRU",
    roles,
)
_SOURCE = "Keras 3.15, keras/src/layers/rnn: orthogonal, glorot_uniform, unit_forget_bias"
PRESETS = (
    *layers_of(
        "keras.layers", "recurrent orthogonal, input Glorot uniform, bias 0", _SOURCE, roles,
        SimpleRNN="tanh relu", SimpleRNNCell="tanh relu",
    ),
    *layers_of("keras.layers", PRESET.formula, _SOURCE, roles, LSTM="lstm", LSTMCell="lstm"),
    *layers_of(
        "keras.layers", "recurrent orthogonal (stacked), input Glorot uniform, bias 0", _SOURCE, roles,
        GRU="gru_reset_after gru", GRUCell="gru_reset_after gru",
    ),
)  # fmt: skip
