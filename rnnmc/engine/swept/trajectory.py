"""The trajectory of one tile with what directions need of each step, and directions that are swept along it, in C."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from rnnmc.cells import cell as cell_of
from rnnmc.engine.compiled.symbols import Untraceable
from rnnmc.engine.compiled.trace import traced
from rnnmc.engine.draws import Draws
from rnnmc.engine.swept.emit import SWEPT_TOGETHER, source
from rnnmc.engine.swept.factors import factors_of
from rnnmc.numerics.compiler import compiled
from rnnmc.study.point import DesignPoint

NEVER = torch.iinfo(torch.int64).max // 2  # of a step
PANEL_BYTES = 128  # the rows of what is kept are rounded up to so many; see EVEN_PANELS in step.h
ALIGNED = 64


class Kernels(NamedTuple):
    """The compiled functions of a cell, width and dtype; sweeps by (whether backward, rows at once)."""

    walk: Callable[..., None]
    sweeps: dict[tuple[bool, int], Callable[..., None]]
    vectors: int
    lane_bytes: int


@cache
def kernels(name: str, width: int, dtype: torch.dtype, layers: int = 1, residual: bool = False) -> Kernels | None:
    """The sweeps of the cell of this name in so many layers, or None where it or the machine has none."""
    try:
        program = traced(cell_of(name, layers, residual))
        text, vectors = source(program, width, torch.finfo(dtype).bits), len(factors_of(program).vectors)
    except Untraceable:
        return None
    names = {(back, rows): f"sweep_{'backward' if back else 'forward'}{rows}" for back in (False, True)
             for rows in SWEPT_TOGETHER}  # fmt: skip
    walk = compiled(text, "walk_on")
    if walk is None:
        return None
    whole, pointer = ctypes.c_int64, ctypes.c_void_p
    sweeps = {key: compiled(text, name) for key, name in names.items()}
    walk.argtypes = [whole] * 3 + [pointer] * 8 + [whole] * 2 + [pointer] * 2
    for one in sweeps.values():
        one.argtypes = [whole, pointer, whole, whole, *[pointer] * 4, whole, *[pointer] * 5]
    for one in (walk, *sweeps.values()):
        one.restype = None
    return Kernels(walk, sweeps, vectors, compiled(text, "lane_bytes")())


class Swept(NamedTuple):
    """What directions have become. rows: (count, logged, k, d), divided by 2^exponent, (count, logged, k) int64.

    lost: (count, k) the first step that shrank a direction so far that its dtype lost digits; dead: the step after
    which it was exactly zero; NEVER where that has not been.
    """

    rows: Tensor
    exponent: Tensor
    lost: Tensor
    dead: Tensor


class Trajectory:
    """The steps 1, 2, ... to the last horizon of the replicates of `Draws`, in the layout `Rows`, with tied weights.

    overflow, faded: (R,) the first step after which the state was not finite, or so small that digits were lost where
    a cell can die; NEVER where that has not been.
    """

    def __init__(self, run: Kernels, draws: Draws):
        self.run, self.draws = run, draws
        self.last, given = draws.point.horizons[-1], draws.given
        self.state_size = len(draws.cell.parts) * draws.width
        state = torch.stack(draws.state())
        self.replicates = state.shape[1]
        self.recurrent, self.inner = given.recurrent, given.inner.contiguous()
        self.overflow = torch.full((self.replicates,), NEVER)
        self.faded = self.overflow.clone()
        self.kept = _aligned(self.replicates * self.last * self.step_entries(), draws.dtype)
        done = 0
        for x, steps in draws.segments((self.last,), self.last):
            inputs = given.inputs if given.deviation is None and x is not None else None
            size = 0 if inputs is None else draws.point.drive.dimension
            fixed = (self.recurrent, self.inner, given.bias, inputs, given.deviation, x)
            pointers = [None if one is None else one.data_ptr() for one in (*fixed, state, self.kept)]
            run.walk(self.replicates, steps, size, *pointers, self.last, done, _of(self.overflow), _of(self.faded))
            done += steps

    def step_entries(self) -> int:
        """Numbers that are kept of a step of a replicate."""
        return step_entries(self.run, self.draws.width, self.draws.dtype)

    def sweep(self, which: Tensor, rows: Tensor, times: Tensor, backward: bool = False) -> Swept:
        """The images of directions of some replicates, forwards from the first step or back to it.

        which: (count,) int64. rows: (count, k, d). times: (count, logged) rising steps after which images are told;
        backward: (count, 1), from which the transposed product goes back.
        """
        count, k, d = rows.shape
        most, least = SWEPT_TOGETHER
        parts, at = [], 0
        while at < k:
            together = most if k - at > least else least
            blocks = max(1, (k - at) // together)
            end = min(k, at + blocks * together)
            some = rows.new_zeros(count, blocks * together, d)
            some[:, : end - at] = rows[:, at:end]
            parts.append((self._sweep(which, some, times, backward, together), end - at))
            at = end
        if len(parts) == 1 and parts[0][0].rows.shape[2] == k:
            return parts[0][0]
        return Swept(
            *(torch.cat([part[i][:, :, :size] for part, size in parts], dim=2) for i in range(2)),
            *(torch.cat([part[i][:, :size] for part, size in parts], dim=1) for i in (2, 3)),
        )

    def _sweep(self, which: Tensor, rows: Tensor, times: Tensor, backward: bool, together: int) -> Swept:
        (count, k, d), logged = rows.shape, times.shape[1]
        image = Swept(
            rows.new_empty(count, logged, k, d),
            torch.empty(count, logged, k, dtype=torch.int64),
            torch.full((count, k), NEVER),
            torch.full((count, k), NEVER),
        )
        which, times, rows = which.contiguous(), times.contiguous(), rows.contiguous()
        before = (self.recurrent, self.inner, self.kept)
        self.run.sweeps[backward, together](
            count, _of(which), k // together, logged, _of(times), *(_of(one) for one in before if one is not None),
            self.last, _of(rows), *(_of(one) for one in image),
        )  # fmt: skip
        return image


def step_entries(run: Kernels, width: int, dtype: torch.dtype) -> int:
    """Numbers that are kept of a step of a replicate: see NJ in step.h."""
    pair = 2 * run.lane_bytes * 8 // torch.finfo(dtype).bits
    return run.vectors * -(-width // pair) * pair


def _of(tensor: Tensor) -> int:
    return tensor.data_ptr()


def _aligned(entries: int, dtype: torch.dtype) -> Tensor:
    """Memory that begins where a lane may, which torch's does."""
    return torch.empty(max(1, entries), dtype=dtype)


def trajectory(point: DesignPoint, draws: Draws) -> Trajectory | None:
    """The trajectory of these draws, or None where the cell or the machine has no sweeps."""
    run = kernels(point.cell, point.width, draws.dtype, point.layers, point.residual)
    return None if run is None else Trajectory(run, draws)
