"""Keras's recurrent layers, on the PyTorch backend."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
from layers import WIDTH, Drawn, Layer, record, split
from of_torch import stepper

keras.config.set_floatx("float64")
LSTM, GRU = ("input", "forget", "candidate", "output"), ("-update", "reset", "candidate")


def of(kind, gates, **options):
    parts = 2 if gates == 4 else 1

    def make(seed, m):
        keras.utils.set_random_seed(seed)
        layer = kind(WIDTH, return_state=True, **options)
        layer.build((None, 1, m))

        def run(x, state):
            return tuple(after[None] for after in layer(x, initial_state=[part[0] for part in state])[1:])

        recurrent, input_, bias = (
            np.asarray(keras.ops.convert_to_numpy(getattr(layer.cell, name)), np.float64)
            for name in ("recurrent_kernel", "kernel", "bias")
        )
        vectors = np.stack([split(vector, gates) for vector in np.atleast_2d(bias)])
        step = stepper(run, parts * WIDTH, parts)
        return Drawn(split(recurrent, gates, 1), split(input_, gates, 1), vectors, step)

    return make


TWO = "two bias vectors, both 0"
TO_7 = "asked for float64, a step is exact to 1e-7 only"
LAYERS = [
    Layer("keras.layers.SimpleRNN", ("hidden",), of(keras.layers.SimpleRNN, 1), note=TO_7, dtype="float32"),
    Layer(
        "keras.layers.SimpleRNN",
        ("hidden",),
        of(keras.layers.SimpleRNN, 1, activation="relu"),
        "relu",
        TO_7,
        "float32",
    ),
    Layer("keras.layers.LSTM", LSTM, of(keras.layers.LSTM, 4), note="forget bias 1, stored"),
    Layer("keras.layers.GRU", GRU, of(keras.layers.GRU, 3), note=TWO),
    Layer("keras.layers.GRU", GRU, of(keras.layers.GRU, 3, reset_after=False), "gru", TO_7, "float32"),
]

if __name__ == "__main__":
    record("keras", keras.__version__, LAYERS)
