"""PyTorch's recurrent layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from layers import GRU, LSTM, WIDTH, Drawn, Layer, Step, record, split


def stepper(run: Any, size: int, parts: int) -> Step:
    """A step of a layer that run(x (k, 1, m), state parts (1, k, n)) takes, by one backward pass through k copies."""

    def step(x, state):
        inputs = torch.tensor(np.tile(x, (size, 1, 1)))
        copies = torch.tensor(np.tile(state, (size, 1)), requires_grad=True)
        after = run(inputs, tuple(part[None].contiguous() for part in copies.chunk(parts, 1)))
        flat = torch.cat([part[0] for part in after], 1)
        (rows,) = torch.autograd.grad(flat.diagonal().sum(), copies)
        return flat[0].detach().numpy(), rows.numpy()

    return step


def of(layer: torch.nn.RNNBase, gates: int) -> Drawn:
    """A layer with batches first, as drawn."""
    layer = layer.double()
    parts = 2 if gates == 4 else 1

    def run(x, state):
        after = layer(x, state if parts == 2 else state[0])[1]
        return after if parts == 2 else (after,)

    named = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}
    bias = np.stack([split(named[f"bias_{which}_l0"], gates) for which in ("ih", "hh")])
    weights = (split(named[f"weight_{which}_l0"], gates) for which in ("hh", "ih"))
    return Drawn(*weights, bias, stepper(run, parts * layer.hidden_size, parts))


def maker(kind: Any, gates: int, width: int = WIDTH, **options: Any):
    def make(seed: int, m: int) -> Drawn:
        torch.manual_seed(seed)
        return of(kind(m, width, batch_first=True, **options), gates)

    return make


def layers(width: int = WIDTH) -> list[Layer]:
    return [
        Layer("torch.nn.RNN", ("hidden",), maker(torch.nn.RNN, 1, width)),
        Layer("torch.nn.RNN", ("hidden",), maker(torch.nn.RNN, 1, width, nonlinearity="relu"), "relu"),
        Layer("torch.nn.LSTM", LSTM, maker(torch.nn.LSTM, 4, width)),
        Layer("torch.nn.GRU", GRU, maker(torch.nn.GRU, 3, width)),
    ]


if __name__ == "__main__":
    record("torch", torch.__version__, layers())
