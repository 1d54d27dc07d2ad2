"""Chainer's recurrent links."""

from __future__ import annotations

import chainer
import numpy as np
from layers import WIDTH, Drawn, Layer, record

chainer.global_config.dtype = np.dtype("float64")
F, L = chainer.functions, chainer.links


def step_of(run, parts):
    """A step of run(x (k, m), state parts (k, n)) -> state parts, by one backward pass through k copies."""
    size = parts * WIDTH

    def step(x, state):
        copies = chainer.Variable(np.tile(state, (size, 1)))
        flat = F.concat(run(np.tile(x, (size, 1)), F.split_axis(copies, parts, 1, force_tuple=True)), 1)
        (rows,) = chainer.grad([F.sum(flat * np.eye(size))], [copies])
        return flat.array[0], rows.array

    return step


def lstm(seed, m):
    np.random.seed(seed)
    link = L.LSTM(m, WIDTH)

    def run(x, state):
        link.h, link.c = state
        link(x)
        return link.h, link.c

    rows = [slice(gate, None, 4) for gate in range(4)]  # a unit's four gates stand together
    recurrent, input_ = (np.stack([side.W.array[one] for one in rows]) for side in (link.lateral, link.upward))
    bias = np.stack([link.upward.b.array[one] for one in rows])[None]
    return Drawn(recurrent, input_, bias, step_of(run, 2))


def stateful_gru(seed, m):
    np.random.seed(seed)
    link = L.StatefulGRU(m, WIDTH)

    def run(x, state):
        (link.h,) = state
        return (link(x),)

    recurrent, input_ = (np.stack([getattr(link, side + gate).W.array for gate in ("_r", "_z", "")]) for side in "UW")
    bias = np.stack([np.stack([getattr(link, side + gate).b.array for gate in ("_r", "_z", "")]) for side in "WU"])
    return Drawn(recurrent, input_, bias, step_of(run, 1))


def of_steps(kind, gates):
    """An NStep link, which keeps input matrices first."""

    def make(seed, m):
        np.random.seed(seed)
        link = kind(1, m, WIDTH, 0.0)

        def run(x, state):
            given = [part[None] for part in state]
            return [part[0] for part in link(*given, [chainer.Variable(row[None]) for row in x])[: len(given)]]

        weights, biases = (np.array([one.array for one in side[0][gates:]]) for side in (link.ws, link.bs))
        input_, first = (np.array([one.array for one in side[0][:gates]]) for side in (link.ws, link.bs))
        return Drawn(weights, input_, np.stack([first, biases]), step_of(run, 2 if gates == 4 else 1))

    return make


N_STEP = ("input", "forget", "candidate", "output")
LAYERS = [
    Layer(
        "chainer.links.LSTM",
        ("candidate", "input", "forget", "output"),
        lstm,
        note="forget bias 1, stored; rows interleaved: a unit's four gates stand together",
    ),
    Layer("chainer.links.StatefulGRU", ("reset", "update", "candidate"), stateful_gru, note="a large z admits"),
    Layer("chainer.links.NStepLSTM", N_STEP, of_steps(L.NStepLSTM, 4), note="forget bias 0, unlike L.LSTM"),
    Layer("chainer.links.NStepGRU", ("reset", "-update", "candidate"), of_steps(L.NStepGRU, 3)),
    Layer("chainer.links.NStepRNNTanh", ("hidden",), of_steps(L.NStepRNNTanh, 1)),
    Layer("chainer.links.NStepRNNReLU", ("hidden",), of_steps(L.NStepRNNReLU, 1)),
]

if __name__ == "__main__":
    record("chainer", chainer.__version__, LAYERS)
