"""Chainer's layers by name."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import layers_of


def roles(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """LeCun normal, not cut off: N(0, 1/fan_in). Biases 0."""
    return {"recurrent": {"gaussian": 1.0}, "input": {"gaussian": 1.0}, "bias": 0.0}


def roles_open(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """As `roles`, with a forget bias of 1: of L.LSTM, not of L.NStepLSTM."""
    return roles(cell, width, inputs) | {"bias": {"constant": 0.0, "forget": 1.0}}


_SOURCE, _DRAWN = "chainer 7.8.1, chainer/links/rnn", "recurrent N(0, 1/n), input N(0, 1/m), bias 0"
PRESETS = (
    *layers_of("chainer.links", f"{_DRAWN}, forget bias 1", _SOURCE, roles_open, LSTM="lstm", StatelessLSTM="lstm"),
    *layers_of(
        "chainer.links", _DRAWN, _SOURCE, roles,
        NStepLSTM="lstm", NStepRNNTanh="tanh", NStepRNNReLU="relu", NStepGRU="gru_reset_after",
        GRU="gru", StatefulGRU="gru", StatelessGRU="gru",
    ),
)  # fmt: skip
