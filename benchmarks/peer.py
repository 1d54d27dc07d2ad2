"""What one would write without rnnmc: each cell in plain PyTorch, differentiated by torch.func, the product in logs.

A cell here is a function of (u, x, s): u[name] the recurrent matrix of a gate, input by output, x[gate] its W x + b,
and s the joint state, one vector. `log_spectral` differentiates it, for all replicates at once, multiplies the
Jacobians up and rescales the product at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor

from rnnmc.weights import Weights

Arrays = Mapping[str, Tensor]
Mode = Literal["forward", "reverse"]
Step = Callable[[Arrays, Arrays, Tensor], Tensor]


def tanh(u: Arrays, x: Arrays, h: Tensor) -> Tensor:
    return torch.tanh(x["hidden"] + h @ u["hidden"])


def relu(u: Arrays, x: Arrays, h: Tensor) -> Tensor:
    return torch.relu(x["hidden"] + h @ u["hidden"])


def linear(u: Arrays, x: Arrays, h: Tensor) -> Tensor:
    return x["hidden"] + h @ u["hidden"]


def lstm(u: Arrays, x: Arrays, s: Tensor) -> Tensor:
    h, c = s.chunk(2)
    f = torch.sigmoid(x["forget"] + h @ u["forget"])
    i = torch.sigmoid(x["input"] + h @ u["input"])
    o = torch.sigmoid(x["output"] + h @ u["output"])
    c = f * c + i * torch.tanh(x["candidate"] + h @ u["candidate"])
    return torch.cat([o * torch.tanh(c), c])


def gru(u: Arrays, x: Arrays, h: Tensor) -> Tensor:
    z = torch.sigmoid(x["update"] + h @ u["update"])
    r = torch.sigmoid(x["reset"] + h @ u["reset"])
    return (1 - z) * h + z * torch.tanh(x["candidate"] + (r * h) @ u["candidate"])


def gru_tied(u: Arrays, x: Arrays, h: Tensor) -> Tensor:
    z = torch.sigmoid(x["update"] + h @ u["update"])
    return (1 - z) * h + z * torch.tanh(x["candidate"] + (z * h) @ u["candidate"])


def gru_output_gated(u: Arrays, x: Arrays, s: Tensor) -> Tensor:
    h, c = s.chunk(2)
    z = torch.sigmoid(x["update"] + h @ u["update"])
    r = torch.sigmoid(x["output"] + h @ u["output"])
    c = (1 - z) * c + z * torch.tanh(x["candidate"] + h @ u["candidate"])
    return torch.cat([r * c, c])


def gru_reset_after(u: Arrays, x: Arrays, h: Tensor) -> Tensor:
    z = torch.sigmoid(x["update"] + h @ u["update"])
    r = torch.sigmoid(x["reset"] + h @ u["reset"])
    return (1 - z) * h + z * torch.tanh(x["candidate"] + r * (h @ u["candidate"] + u["candidate_recurrent"]))


def min_gru(u: Arrays, x: Arrays, h: Tensor) -> Tensor:
    z = torch.sigmoid(x["update"])
    return (1 - z) * h + z * x["candidate"]


def minimal_rnn(u: Arrays, x: Arrays, h: Tensor) -> Tensor:
    keep = torch.sigmoid(x["update"] + h @ u["update"])
    return keep * h + (1 - keep) * torch.tanh(x["candidate"])


def lru(u: Arrays, x: Arrays, s: Tensor) -> Tensor:
    real, imaginary = s.chunk(2)
    cosine, sine = u["modulus"] * u["phase"].cos(), u["modulus"] * u["phase"].sin()
    return torch.cat([x["real"] + cosine * real - sine * imaginary, x["imaginary"] + sine * real + cosine * imaginary])


STEPS: dict[str, Step] = {
    step.__name__: step
    for step in (tanh, relu, linear, lstm, gru, gru_tied, gru_output_gated, gru_reset_after, min_gru, minimal_rnn, lru)
}


def log_spectral(
    cell: str,
    steps: Iterable[tuple[Weights, Arrays]],
    replicates: int,
    state_size: int,
    horizon: int,
    mode: Mode,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """(replicates,) log ||P_T||_2 in nats at T = horizon, from the zero state.

    steps: (weights, drive) of each step, in the layout `Rows`. mode: which way torch.func differentiates.
    """
    one = STEPS[cell]

    def step(u: Arrays, x: Arrays, s: Tensor) -> tuple[Tensor, Tensor]:
        new = one(u, x, s)
        return new, new

    differentiate = torch.func.jacfwd if mode == "forward" else torch.func.jacrev
    linearise = torch.func.vmap(differentiate(step, argnums=2, has_aux=True))
    state = torch.zeros(replicates, state_size, dtype=dtype)
    product = torch.eye(state_size, dtype=dtype).expand(replicates, -1, -1)
    log = torch.zeros(replicates, dtype=torch.float64)
    for _, (weights, drive) in zip(range(horizon), steps, strict=False):
        u = {name: matrix.squeeze(1) for name, matrix in {**weights.recurrent, **weights.bias}.items()}
        jacobian, state = linearise(u, {gate: x.squeeze(1) for gate, x in drive.items()}, state)
        product = jacobian @ product
        size = product.abs().amax((1, 2))
        log += torch.where(size > 0, size, 1.0).double().log()
        product = product / torch.where(size > 0, size, 1.0)[:, None, None]
    return log + torch.linalg.matrix_norm(product.double(), 2).log()
