"""MLX's recurrent layers, on a CPU."""

from __future__ import annotations

from importlib.metadata import version

import mlx.core as mx
import numpy as np
from layers import GRU, LSTM, WIDTH, Drawn, Layer, record, split
from mlx import nn

mx.set_default_device(mx.cpu)


def of(kind, gates, names, inner=()):
    """names: of the recurrent matrix, the input matrix and the bias. inner: of a bias inside the reset product."""
    lstm = gates == 4

    def make(seed, m):
        mx.random.seed(seed)
        layer = kind(m, WIDTH)
        size = WIDTH * (2 if lstm else 1)

        def after(x, copies):
            if lstm:
                h, c = layer(x, hidden=copies[:, :WIDTH], cell=copies[:, WIDTH:])
                return mx.concatenate([h[:, 0], c[:, 0]], axis=1)
            return layer(x, hidden=copies)[:, 0]

        rows = mx.grad(lambda copies, x: (after(x, copies) * mx.eye(size)).sum())

        def step(x, state):
            inputs = mx.array(np.tile(x, (size, 1, 1)).astype(np.float32))
            copies = mx.array(np.tile(state, (size, 1)).astype(np.float32))
            found = after(inputs, copies)[0], rows(copies, inputs)
            return tuple(np.array(part, dtype=np.float64) for part in found)

        recurrent, input_, bias = (np.array(getattr(layer, name)) for name in names)
        zero = np.zeros(WIDTH)
        vectors = [split(bias, gates), *(np.stack([zero, zero, np.array(getattr(layer, name))]) for name in inner)]
        return Drawn(split(recurrent, gates), split(input_, gates), np.stack(vectors), step)

    return make


ONE = "one bias vector"
LAYERS = [
    Layer("mlx.nn.RNN", ("hidden",), of(nn.RNN, 1, ("Whh", "Wxh", "bias")), note=ONE, dtype="float32"),
    Layer("mlx.nn.LSTM", LSTM, of(nn.LSTM, 4, ("Wh", "Wx", "bias")), note=ONE, dtype="float32"),
    Layer(
        "mlx.nn.GRU",
        GRU,
        of(nn.GRU, 3, ("Wh", "Wx", "b"), ("bhn",)),
        note="one bias vector, and bhn inside the reset product",
        dtype="float32",
    ),
]

if __name__ == "__main__":
    record("mlx", version("mlx"), LAYERS)
