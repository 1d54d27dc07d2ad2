"""PaddlePaddle's recurrent layers."""

from __future__ import annotations

import numpy as np
import paddle
from layers import GRU, LSTM, WIDTH, Drawn, Layer, record, split

paddle.set_default_dtype("float64")
paddle.set_device("cpu")


def of(kind, gates, **options):
    parts = 2 if gates == 4 else 1

    def make(seed, m):
        paddle.seed(seed)
        layer = kind(m, WIDTH, **options)
        size = parts * WIDTH

        def step(x, state):
            inputs = paddle.to_tensor(np.tile(x, (size, 1, 1)))
            copies = paddle.to_tensor(np.tile(state, (size, 1)), stop_gradient=False)
            given = tuple(part.unsqueeze(0) for part in paddle.split(copies, parts, 1))
            after = layer(inputs, given if parts == 2 else given[0])[1]
            flat = paddle.concat([part[0] for part in (after if parts == 2 else (after,))], 1)
            (flat * paddle.eye(size)).sum().backward()  # paddle.grad for the state alone fails in the layer's operator
            return flat[0].numpy(), copies.grad.numpy()

        named = {name.split(".")[-1].removesuffix("_l0"): one.numpy() for name, one in layer.named_parameters()}
        recurrent, input_ = (split(named[f"weight_{which}"], gates) for which in ("hh", "ih"))
        bias = np.stack([split(named[f"bias_{which}"], gates) for which in ("ih", "hh")])
        return Drawn(recurrent, input_, bias, step)

    return make


LAYERS = [
    Layer("paddle.nn.SimpleRNN", ("hidden",), of(paddle.nn.SimpleRNN, 1)),
    Layer("paddle.nn.LSTM", LSTM, of(paddle.nn.LSTM, 4)),
    Layer("paddle.nn.GRU", GRU, of(paddle.nn.GRU, 3)),
]

if __name__ == "__main__":
    record("paddle", paddle.__version__, LAYERS)
