"""tinygrad's LSTM cell."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from layers import LSTM, WIDTH, Drawn, Layer, record, split
from tinygrad import Tensor, TinyJit
from tinygrad.nn import LSTMCell

SIZE = 2 * WIDTH


def make(seed, m):
    Tensor.manual_seed(seed)
    cell = LSTMCell(m, WIDTH)
    eye = Tensor.eye(SIZE).contiguous().realize()

    @TinyJit
    def both(x, copies):
        after = Tensor.cat(*cell(x, (copies[:, :WIDTH], copies[:, WIDTH:])), dim=1)
        (rows,) = (after * eye).sum().gradient(copies)
        return after[0].realize(), rows.realize()

    def step(x, state):
        given = (Tensor(np.tile(one, (SIZE, 1)).astype(np.float32)).contiguous().realize() for one in (x, state))
        return tuple(part.numpy().astype(np.float64) for part in both(*given))

    bias = np.stack([split(vector.numpy(), 4) for vector in (cell.bias_ih, cell.bias_hh)])
    return Drawn(split(cell.weight_hh.numpy(), 4), split(cell.weight_ih.numpy(), 4), bias, step)


LAYERS = [Layer("tinygrad.nn.LSTMCell", LSTM, make, note="both bias vectors 0", dtype="float32")]

if __name__ == "__main__":
    record("tinygrad", version("tinygrad"), LAYERS)
