"""The kernels of sweeps of a cell of a name; of one's own, once they are known to do what the cell does."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from rnnmc.cells import cell as cell_of
from rnnmc.engine.compiled.agreement import agrees, disagreement
from rnnmc.engine.compiled.symbols import Untraceable
from rnnmc.engine.swept.kernels import Kernels, swept_kernels
from rnnmc.engine.swept.trajectory import Trajectory
from rnnmc.numerics.compiler import kept_until_forgotten


@kept_until_forgotten
def kernels(name: str, width: int, dtype: torch.dtype, layers: int = 1, residual: bool = False) -> Kernels | None:
    """Those of the cell of this name in so many layers, or None where it or the machine has none.

    Nor where it is of a user's own cell and does not do what the plain engine does, as in
    `rnnmc.engine.compiled.follow.kernel`.
    """
    try:
        run, text = swept_kernels(cell_of(name, layers, residual), width, dtype)
    except Untraceable:
        return None
    if run is None:
        return None

    def compare() -> float:
        return max(disagreement(run.cell, as_chain(run, back), width, dtype, False) for back in (False, True))

    return run if agrees(name, text, compare) else None


def as_chain(run: Kernels, backward: bool) -> Callable[..., None]:
    """One step as a compiled chain takes it, with the arguments of `follow` in chain.c: by a sweep forwards, or by the
    Jacobian that the sweep of unit directions backwards gives.
    """
    return partial(_a_step, run, backward)


def _a_step(run: Kernels, backward: bool, replicates: int, steps: int, inputs: int, *given: int | None) -> None:
    recurrent, inner, bias, _, _, _, state, directions, exponent, finite, _ = given
    cell, n, parts = run.cell, run.width, len(run.cell.parts)

    def at(address: int | None, *shape: int, dtype: torch.dtype = run.dtype) -> Tensor:
        if not math.prod(shape):
            return torch.empty(shape, dtype=dtype)
        memory = (ctypes.c_byte * (math.prod(shape) * dtype.itemsize)).from_address(address or 0)
        return torch.frombuffer(memory, dtype=dtype).view(shape)

    weights = at(recurrent, replicates, n, len(cell.recurrent) * n), at(inner, replicates, 1, len(cell.inner) * n)
    along = Trajectory(run, 1, *weights, at(state, parts, replicates, 1, n))
    along.walk(at(bias, replicates, 1, len(cell.gates) * n), None, None, None, steps)
    there = at(directions, parts, replicates, parts * n, n)
    rows = there.permute(1, 2, 0, 3).flatten(2).contiguous()
    some = torch.eye(parts * n, dtype=run.dtype).expand_as(rows).contiguous() if backward else rows
    times = torch.ones(replicates, 1, dtype=torch.int64)
    image = along.sweep(torch.arange(replicates), some, times, backward)
    moved = torch.ldexp(image.rows[:, 0], image.exponent[:, 0, :, None])
    moved = rows @ moved.mT if backward else moved
    size = moved.abs().amax((1, 2))
    shift = torch.where((size > 0) & size.isfinite(), torch.frexp(size).exponent, 0)
    there.copy_(torch.ldexp(moved, -shift[:, None, None]).unflatten(2, (parts, n)).permute(2, 0, 1, 3))
    at(exponent, replicates, dtype=torch.int64).add_(shift)
    at(finite, replicates, dtype=torch.bool).logical_and_(along.overflow > 1)
