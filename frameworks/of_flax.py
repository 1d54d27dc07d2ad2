"""The recurrent cells of flax: linen's and nnx's."""

from __future__ import annotations

from functools import cache

import by_jax
import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from layers import WIDTH, Drawn, Layer, record, split

LSTM, GRU = ("input", "forget", "candidate", "output"), ("reset", "-update", "candidate")  # i f g o; r z n


def turned(tree, names, kind="kernel"):
    """The kernels of these names as (gates, out, in), or their biases, 0 where a part has none."""
    if kind == "kernel":
        return np.stack([np.asarray(tree[name][kind], np.float64).T for name in names])
    return np.stack([np.asarray(tree[name].get(kind, jnp.zeros(WIDTH)), np.float64) for name in names])


def carry_of(cell_is_lstm, state):
    """flax's carry (c, h), or h, of our state (h, c)."""
    return by_jax.halves(state)[::-1] if cell_is_lstm else state


def state_of(cell_is_lstm, carry):
    return jnp.concatenate(carry[::-1]) if cell_is_lstm else carry


def of_linen(kind, input_names, recurrent_names):
    lstm = len(input_names) == 4

    @cache
    def compiled():
        cell = kind(WIDTH, dtype=jnp.float64, param_dtype=jnp.float64)
        step = by_jax.stepper(
            lambda weights, x, state: state_of(lstm, cell.apply(weights, carry_of(lstm, state), x)[0])
        )
        return cell, step

    def make(seed, m):
        cell, step = compiled()
        zero = jnp.zeros(WIDTH)
        weights = cell.init(jax.random.key(seed), (zero, zero) if lstm else zero, jnp.zeros(m))
        tree = weights["params"]
        biases = [turned(tree, names, "bias") for names in (input_names, recurrent_names)]
        return Drawn(turned(tree, recurrent_names), turned(tree, input_names), np.stack(biases), step(weights))

    return make


def of_nnx(kind, layer_names, order):
    """layer_names: (input, recurrent) attributes of a stacked cell, or letters of gates for a cell of single layers."""
    lstm = len(order) == 4
    steps = {}

    def make(seed, m):
        cell = kind(m, WIDTH, dtype=jnp.float64, param_dtype=jnp.float64, rngs=nnx.Rngs(seed))
        graph, weights, rest = nnx.split(cell, nnx.Param, ...)
        if m not in steps:

            def run(weights, x, state):
                return state_of(lstm, nnx.merge(graph, weights, rest)(carry_of(lstm, state), x)[0])

            steps[m] = by_jax.stepper(run)
        parts = [[getattr(cell, name) for name in names] for names in layer_names]
        gates = len(order)

        def stacked(layers_, kind):
            found = []
            for one in layers_:
                held = getattr(one, kind)
                array = None if held is None or held[...] is None else np.asarray(held[...], np.float64)
                found.append(np.zeros(WIDTH * gates // len(layers_)) if array is None else array)
            return np.concatenate(found, -1)

        input_, recurrent = (split(stacked(part, "kernel"), gates, 1) for part in parts)
        bias = np.stack([split(stacked(part, "bias"), gates) for part in parts])
        return Drawn(recurrent, input_, bias, steps[m](weights))

    return make


def letters(prefix, of):
    return tuple(prefix + letter for letter in of)


NO_BN = "one bias vector of 3n: none inside the reset product"
LAYERS = [
    Layer("flax.linen.SimpleCell", ("hidden",), of_linen(linen.SimpleCell, ("i",), ("h",))),
    Layer("flax.linen.LSTMCell", LSTM, of_linen(linen.LSTMCell, letters("i", "ifgo"), letters("h", "ifgo"))),
    Layer(
        "flax.linen.OptimizedLSTMCell",
        LSTM,
        of_linen(linen.OptimizedLSTMCell, letters("i", "ifgo"), letters("h", "ifgo")),
    ),
    Layer("flax.linen.GRUCell", GRU, of_linen(linen.GRUCell, letters("i", "rzn"), letters("h", "rzn"))),
    Layer("flax.nnx.SimpleCell", ("hidden",), of_nnx(nnx.SimpleCell, (("dense_i",), ("dense_h",)), ("h",))),
    Layer("flax.nnx.LSTMCell", LSTM, of_nnx(nnx.LSTMCell, (("ii", "if_", "ig", "io"), letters("h", "ifgo")), "ifgo")),
    Layer("flax.nnx.OptimizedLSTMCell", LSTM, of_nnx(nnx.OptimizedLSTMCell, (("dense_i",), ("dense_h",)), "ifgo")),
    Layer("flax.nnx.GRUCell", GRU, of_nnx(nnx.GRUCell, (("dense_i",), ("dense_h",)), "rzn"), note=NO_BN),
]

if __name__ == "__main__":
    record("flax", flax.__version__, LAYERS)
