"""The layers of tsai by name: PyTorch's, drawn anew, as Keras draws an LSTM."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import layers_of

QUARTER = {"part": {"value": 1.0, "first": 0.25, "last": 0.5}}


def roles(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """Recurrent: `orthogonal_` on the stack. Input: `xavier_normal_` on it. Bias: 1 in the second quarter of its rows.

    That is the forget gate of an LSTM; of a GRU the last quarter of the reset gate's units and the first half of the
    update gate's (which keeps in PyTorch), of an RNN a quarter of its units. Set whatever the layer is.
    """
    deviation = (2 / (inputs + len(cell.gates) * width)) ** 0.5
    bias: dict[str, Any] = {"constant": 0.0}
    if "forget" in cell.gates:
        bias |= {"forget": 1.0}
    elif "reset" in cell.gates:
        bias |= {
            "reset": {"part": {"value": 1.0, "first": 0.75}},
            "update": {"part": {"value": -1.0, "last": 0.5}},
        }
    else:
        bias = {"hidden": QUARTER}
    gaussian = {"gaussian": deviation * max(inputs, 1) ** 0.5}
    return {"recurrent": {"orthogonal": 1.0, "stacked": True}, "input": gaussian, "bias": bias}


_MODULE, _SOURCE = "tsai.models.RNN", "tsai 1.0.1, tsai/models/RNN.py, RNNPlus.py: _weights_init"
_DRAWN = "recurrent orthogonal (stacked), input Glorot normal, bias "
PRESETS = (
    *layers_of(_MODULE, _DRAWN + "1 in a quarter of the units", _SOURCE, roles, RNN="tanh"),
    *layers_of(_MODULE, _DRAWN + "0, forget bias 1", _SOURCE, roles, LSTM="lstm"),
    *layers_of(_MODULE, _DRAWN + "1 in half of the update and a quarter of the reset gates", _SOURCE, roles,
               GRU="gru_reset_after"),
)  # fmt: skip
