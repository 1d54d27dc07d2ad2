"""MXNet's layers by name: Gluon's default knows nothing of the width."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import layers_of

LIMIT = 0.07  # mxnet.init.Uniform, which `initialize()` takes unless told otherwise


def roles(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """Every weight U(-.07, .07), at every width: a gain of .04 sqrt n. Biases 0, the forget gate's too."""
    within = {"uniform": {"limit": LIMIT}}
    return {"recurrent": within, "input": within, "bias": 0.0}


PRESETS = layers_of(
    "mxnet.gluon.rnn", "all U(-.07, .07) whatever the width, bias 0", "mxnet 1.9.1, mxnet/gluon/rnn", roles,
    RNN="relu tanh", RNNCell="tanh relu", LSTM="lstm", LSTMCell="lstm",
    GRU="gru_reset_after", GRUCell="gru_reset_after",
)  # fmt: skip
