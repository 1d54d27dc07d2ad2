"""PaddlePaddle's layers by name: they draw as PyTorch's."""

from __future__ import annotations

from rnnmc.initialisers.law import layers_of
from rnnmc.initialisers.pytorch import PRESET as PYTORCH

PRESETS = layers_of(
    "paddle.nn", PYTORCH.formula, "paddlepaddle 3.3.1, paddle/nn/layer/rnn.py", PYTORCH.roles,
    SimpleRNN="tanh relu", SimpleRNNCell="tanh relu", LSTM="lstm", LSTMCell="lstm",
    GRU="gru_reset_after", GRUCell="gru_reset_after",
)  # fmt: skip
