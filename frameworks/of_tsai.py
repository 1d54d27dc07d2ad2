"""tsai's recurrent models: layers of PyTorch, drawn anew."""

from __future__ import annotations

from importlib.metadata import version

import torch
from layers import GRU, LSTM, WIDTH, Layer, record
from of_torch import of

# torchvision's compiled part may be of another build than torch, and the recurrent models use nothing of it
torch.library.register_fake = lambda *_, **__: lambda function: function
from tsai.models import RNN  # noqa: E402


def make_of(kind, gates):
    def make(seed, m):
        torch.manual_seed(seed)
        return of(kind(m, 1, hidden_size=WIDTH).rnn, gates)

    return make


BY_ROW = "bias 1 in the second quarter of its rows: "
LAYERS = [
    Layer("tsai.models.RNN.RNN", ("hidden",), make_of(RNN.RNN, 1), note=BY_ROW + "a quarter of the units"),
    Layer("tsai.models.RNN.LSTM", LSTM, make_of(RNN.LSTM, 4), note=BY_ROW + "the forget gate"),
    Layer(
        "tsai.models.RNN.GRU",
        GRU,
        make_of(RNN.GRU, 3),
        note=BY_ROW + "a quarter of the reset gates and half of the update gates",
    ),
]

if __name__ == "__main__":
    record("tsai", version("tsai"), LAYERS)
