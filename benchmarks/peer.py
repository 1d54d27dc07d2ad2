"""What one would write without rnnmc: each cell in plain PyTorch, differentiated by torch.func, the product in logs.

A cell here is a function of (u, x, s): u[name] the recurrent matrix of a gate, input by output, x[gate] its W x + b,
and s the joint state, one vector. `product` differentiates it, for all replicates at once, multiplies the Jacobians up
and rescales their product at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from rnnmc.cells import cells
from rnnmc.cells.cell import Cell
from rnnmc.numerics.layout import Rows
from rnnmc.numerics.weights import Weights

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
    return (1 - z) * h + z * torch.tanh(x["candidate"] + r * (h @ u["candidate"] + u["inner candidate_recurrent"]))


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


STEPS: dict[str, Step] = {  # of others, the cell's own `step`
    step.__name__: step
    for step in (tanh, relu, linear, lstm, gru, gru_tied, gru_output_gated, gru_reset_after, min_gru, minimal_rnn, lru)
}


def step_of(cell: str) -> Step:
    """The step above, or the cell's own where there is none."""
    return STEPS.get(cell) or partial(_own, cells()[cell])


def _own(cell: Cell, u: Arrays, x: Arrays, s: Tensor) -> Tensor:
    width = len(s) // len(cell.parts)
    recurrent = {name: u[name].reshape(1, -1, width) for name in cell.recurrent}
    stacked = torch.cat(list(recurrent.values()), dim=2) if recurrent else None
    bias = {name: u[f"inner {name}"][None, None] for name in cell.inner}
    drive = {gate: x[gate][None, None] for gate in cell.gates}
    state = cell.step(Weights(Rows(), stacked, recurrent, bias), drive, s[None, None].split(width, dim=2))
    return torch.cat(state, dim=2)[0, 0]


def product(
    cell: str,
    steps: Iterable[tuple[Weights, Arrays]],
    replicates: int,
    state_size: int,
    horizon: int,
    mode: Mode,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """((replicates, d, d) P_T divided by its largest entry, (replicates,) log of that entry), from the zero state.

    steps: (weights, drive) of each step, in the layout `Rows`. mode: which way torch.func differentiates.
    """
    one = step_of(cell)

    def step(u: Arrays, x: Arrays, s: Tensor) -> tuple[Tensor, Tensor]:
        new = one(u, x, s)
        return new, new

    differentiate = torch.func.jacfwd if mode == "forward" else torch.func.jacrev
    linearise = torch.func.vmap(differentiate(step, argnums=2, has_aux=True))
    state = torch.zeros(replicates, state_size, dtype=dtype)
    total = torch.eye(state_size, dtype=dtype).expand(replicates, -1, -1)
    log = torch.zeros(replicates, dtype=torch.float64)
    for _, (weights, drive) in zip(range(horizon), steps, strict=False):
        jacobian, state = linearise(*by_name(weights, drive), state)
        total, size = rescaled(jacobian @ total)
        log += size
    return total, log


def product_in_a_loop(
    cell: str, steps: Iterable[tuple[Weights, Arrays]], replicates: int, state_size: int, horizon: int
) -> None:
    """The same in float32, one replicate and one torch.autograd.functional.jacobian after another."""
    one, given = step_of(cell), [by_name(*step) for _, step in zip(range(horizon), steps, strict=False)]
    for r in range(replicates):
        state, total = torch.zeros(state_size), torch.eye(state_size)
        for together in given:
            u, x = ({name: value[r] for name, value in named.items()} for named in together)
            jacobian = torch.autograd.functional.jacobian(lambda s: one(u, x, s), state)  # noqa: B023
            total, _ = rescaled((jacobian @ total)[None])
            total, state = total[0], one(u, x, state)


def by_name(weights: Weights, drive: Arrays) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """u and x of all replicates, along the first axis. What the cell adds itself may have the name of a matrix."""
    inner = {f"inner {name}": vector for name, vector in weights.bias.items()}
    u = {name: matrix.squeeze(1) for name, matrix in {**weights.recurrent, **inner}.items()}
    return u, {gate: x.squeeze(1) for gate, x in drive.items()}


def rescaled(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """(each matrix divided by its largest entry, log of that)."""
    size = matrices.abs().amax((1, 2))
    size = torch.where(size > 0, size, 1.0)
    return matrices / size[:, None, None], size.double().log()
