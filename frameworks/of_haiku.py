"""Haiku's recurrent cores."""

from __future__ import annotations

import by_jax
import haiku
import jax
import jax.numpy as jnp
import numpy as np
from layers import WIDTH, Drawn, Layer, record, split


def of(kind, gates, parts):
    """parts(parameters) -> (recurrent, input, bias vectors) in by out, stacked."""
    lstm = gates == 4

    def core(x, state):
        if lstm:
            h, c = by_jax.halves(state)
            return jnp.concatenate(kind(WIDTH)(x, haiku.LSTMState(h, c))[1])
        return kind(WIDTH)(x, state)[1]

    pure = haiku.without_apply_rng(haiku.transform(core))
    step = by_jax.stepper(pure.apply)

    def make(seed, m):
        weights = pure.init(jax.random.key(seed), jnp.zeros(m), jnp.zeros(WIDTH * (2 if lstm else 1)))
        recurrent, input_, biases = parts(weights, m)
        bias = np.stack([split(vector, gates) for vector in biases])
        return Drawn(split(recurrent, gates, 1), split(input_, gates, 1), bias, step(weights))

    return make


def joint(weights, m):
    """One hk.Linear of input and state; and the 1 that the cell adds to its third gate."""
    (linear,) = weights.values()
    return linear["w"][m:], linear["w"][:m], [linear["b"], np.repeat([0.0, 0, 1, 0], WIDTH)]


def single(weights, m):
    (gru,) = weights.values()
    return gru["w_h"], gru["w_i"], [gru["b"]]


def two(weights, m):
    first, second = (weights[f"vanilla_rnn/linear{end}"] for end in ("", "_1"))
    return second["w"], first["w"], [first["b"], second["b"]]


LAYERS = [
    Layer("haiku.VanillaRNN", ("hidden",), of(haiku.VanillaRNN, 1, two), note="ReLU; two bias vectors"),
    Layer(
        "haiku.LSTM",
        ("input", "candidate", "forget", "output"),
        of(haiku.LSTM, 4, joint),
        note="forget bias stored as 0, and 1 added in the cell",
    ),
    Layer("haiku.GRU", ("update", "reset", "candidate"), of(haiku.GRU, 3, single), note="a large z admits"),
]

if __name__ == "__main__":
    record("haiku", haiku.__version__, LAYERS)
