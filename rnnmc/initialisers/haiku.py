"""Haiku's layers by name. Its truncated normal is not corrected for what is cut off, but for the GRU's."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import layers_of
from rnnmc.initialisers.truncated_gaussian import DEVIATION_WITHIN_TWO

ADDED = 1.0  # hk.LSTM stores a forget bias of 0, and adds this to it at every step


def roles_linear(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """hk.Linear for the state, and another for the input: deviation .8796 / sqrt(fan_in). Both biases 0."""
    drawn = {"truncated_gaussian": DEVIATION_WITHIN_TWO}
    return {"recurrent": drawn, "input": drawn, "bias": 0.0}


def roles_joint(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """One hk.Linear for input and state together: deviation .8796 / sqrt(m + n) of either."""
    recurrent, input_ = (DEVIATION_WITHIN_TWO * (part / (inputs + width)) ** 0.5 for part in (width, inputs))
    return {
        "recurrent": {"truncated_gaussian": recurrent},
        "input": {"truncated_gaussian": input_},
        "bias": {"constant": 0.0, "forget": ADDED},
    }


def roles_scaled(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """hk.initializers.VarianceScaling, which corrects: variance 1 / fan_in."""
    return {"recurrent": {"truncated_gaussian": 1.0}, "input": {"truncated_gaussian": 1.0}, "bias": 0.0}


_SOURCE = "dm-haiku 0.0.17, haiku/_src/recurrent.py"
PRESETS = (
    *layers_of(
        "haiku", "all truncated normal of deviation .88 / sqrt(fan_in), bias 0", _SOURCE, roles_linear,
        VanillaRNN="relu",
    ),
    *layers_of(
        "haiku", "all truncated normal of deviation .88 / sqrt(m + n), bias 0, forget bias 1", _SOURCE, roles_joint,
        LSTM="lstm",
    ),
    *layers_of("haiku", "all truncated normal of variance 1 / fan_in, bias 0", _SOURCE, roles_scaled, GRU="gru"),
)  # fmt: skip
