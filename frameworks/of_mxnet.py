"""MXNet's recurrent layers and cells, of Gluon."""

from __future__ import annotations

import mxnet
import numpy as np
from layers import GRU, LSTM, WIDTH, Drawn, Layer, record, split
from mxnet.gluon import rnn


def of(kind, gates, cell=False):
    parts = 2 if gates == 4 else 1

    def make(seed, m):
        mxnet.random.seed(seed)
        layer = kind(WIDTH, input_size=m)
        layer.initialize()
        size = parts * WIDTH

        def step(x, state):
            inputs = mxnet.nd.array(np.tile(x, (size, 1)))
            copies = mxnet.nd.array(np.tile(state, (size, 1)))
            copies.attach_grad()
            with mxnet.autograd.record():
                given = [copies] if parts == 1 else list(mxnet.nd.split(copies, parts, 1))
                if cell:
                    after = layer(inputs, given)[1]
                else:
                    after = [part[0] for part in layer(inputs.expand_dims(0), [s.expand_dims(0) for s in given])[1]]
                flat = mxnet.nd.concat(*after, dim=1)
                total = (flat * mxnet.nd.eye(size)).sum()
            total.backward()
            return tuple(part.asnumpy().astype(np.float64) for part in (flat[0], copies.grad))

        named = {"_".join(name.split("_")[-2:]): p.data().asnumpy() for name, p in layer.collect_params().items()}
        recurrent, input_ = (split(named[f"{which}_weight"], gates) for which in ("h2h", "i2h"))
        bias = np.stack([split(named[f"{which}_bias"], gates) for which in ("i2h", "h2h")])
        return Drawn(recurrent, input_, bias, step)

    return make


LAYERS = [
    Layer("mxnet.gluon.rnn.RNN", ("hidden",), of(rnn.RNN, 1), note="ReLU", dtype="float32"),
    Layer("mxnet.gluon.rnn.RNNCell", ("hidden",), of(rnn.RNNCell, 1, cell=True), note="tanh", dtype="float32"),
    Layer("mxnet.gluon.rnn.LSTM", LSTM, of(rnn.LSTM, 4), dtype="float32"),
    Layer("mxnet.gluon.rnn.GRU", GRU, of(rnn.GRU, 3), dtype="float32"),
]

if __name__ == "__main__":
    record("mxnet", mxnet.__version__, LAYERS)
