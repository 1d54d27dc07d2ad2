"""Equinox's recurrent cells."""

from __future__ import annotations

import by_jax
import equinox
import jax
import jax.numpy as jnp
import numpy as np
from layers import GRU, LSTM, WIDTH, Drawn, Layer, record, split


def of(kind, gates):
    lstm, steps = gates == 4, {}

    def make(seed, m):
        cell = kind(m, WIDTH, key=jax.random.key(seed))
        weights, fixed = equinox.partition(cell, equinox.is_array)

        def run(weights, x, state):
            after = equinox.combine(weights, fixed)(x, by_jax.halves(state) if lstm else state)
            return jnp.concatenate(after) if lstm else after

        steps.setdefault(m, by_jax.stepper(run))
        bias = [split(cell.bias, gates)]
        if not lstm:
            zero = np.zeros(WIDTH)
            bias.append(np.stack([zero, zero, np.asarray(cell.bias_n)]))
        return Drawn(split(cell.weight_hh, gates), split(cell.weight_ih, gates), np.stack(bias), steps[m](weights))

    return make


LAYERS = [
    Layer("equinox.nn.LSTMCell", LSTM, of(equinox.nn.LSTMCell, 4), note="one bias vector"),
    Layer("equinox.nn.GRUCell", GRU, of(equinox.nn.GRUCell, 3), note="one bias vector, and b_n inside the reset"),
]

if __name__ == "__main__":
    record("equinox", equinox.__version__, LAYERS)
