"""SpeechBrain's recurrent layers."""

from __future__ import annotations

import sys
from importlib.metadata import version
from unittest.mock import MagicMock

import torch
from layers import GRU, LSTM, WIDTH, Layer, record
from of_torch import of

# its compiled part may want the CUDA libraries, and the recurrent layers use nothing of it
sys.modules["torchaudio"] = MagicMock(__version__="2.13.0")
from speechbrain.nnet import RNN  # noqa: E402


def make_of(kind, gates, **options):
    def make(seed, m):
        torch.manual_seed(seed)
        return of(kind(WIDTH, input_size=m, **options).rnn, gates)

    return make


LAYERS = [
    Layer("speechbrain.nnet.RNN.RNN", ("hidden",), make_of(RNN.RNN, 1), note="ReLU"),
    Layer("speechbrain.nnet.RNN.LSTM", LSTM, make_of(RNN.LSTM, 4)),
    Layer("speechbrain.nnet.RNN.GRU", GRU, make_of(RNN.GRU, 3)),
]

if __name__ == "__main__":
    record("speechbrain", version("speechbrain"), LAYERS)
