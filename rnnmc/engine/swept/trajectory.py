"""A trajectory with what directions need of each of its steps, and directions that are swept along it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rnnmc.engine.draws import Draws
from rnnmc.engine.swept.emit import SWEPT_TOGETHER
from rnnmc.engine.swept.kernels import Kernels

NO_STEP = torch.iinfo(torch.int64).max // 2  # of a step


class Swept(NamedTuple):
    """What directions have become. rows: (count, logged, k, d), divided by 2^exponent, (count, logged, k) int64.

    lost: (count, k) the first step that shrank a direction so far that its dtype lost digits; dead: the step after
    which it was exactly zero; NO_STEP where that has not been.
    """

    rows: Tensor
    exponent: Tensor
    lost: Tensor
    dead: Tensor


class Trajectory:
    """The steps 1, 2, ... `last` of R replicates with tied weights, in the layout `Rows`, once they are walked.

    recurrent, inner: as `rnnmc.engine.draws.Given` has them. state: (parts, R, 1, n), which walking changes.
    overflow, faded: (R,) the first step after which the state was not finite, or so small that digits were lost where
    a cell can die; NO_STEP where that has not been.
    """

    def __init__(self, run: Kernels, last: int, recurrent: Tensor, inner: Tensor, state: Tensor):
        self.run, self.last, self.recurrent, self.inner, self.state = run, last, recurrent, inner, state
        self.replicates, self.done = state.shape[1], 0
        self.overflow, self.faded = torch.full((2, self.replicates), NO_STEP)
        self.kept = torch.empty(max(1, self.replicates * last * run.entries), dtype=run.dtype)

    def walk(self, bias: Tensor, inputs: Tensor | None, deviation: Tensor | None, x: Tensor | None, steps: int) -> None:
        """So many steps on, with this drive: see `rnnmc.engine.draws.Given`."""
        inputs = inputs if deviation is None and x is not None else None
        arrays = (self.recurrent, self.inner, bias, inputs, deviation, x, self.state, self.kept)
        size = 0 if inputs is None else inputs.shape[1]
        pointers = [None if one is None else one.data_ptr() for one in arrays]
        told = self.overflow.data_ptr(), self.faded.data_ptr()
        self.run.walk(self.replicates, steps, size, *pointers, self.last, self.done, *told)
        self.done += steps

    def sweep(self, which: Tensor, rows: Tensor, times: Tensor, backward: bool = False, first: int = 0) -> Swept:
        """The images of directions of some replicates, forwards or back to the first step.

        which: (count,) int64. rows: (count, k, d), as they are after `first` steps. times: (count, logged) rising steps
        after which images are told; backward: (count, 1), from which the transposed product goes back.
        """
        count, k, d = rows.shape
        most, least = max(SWEPT_TOGETHER), min(SWEPT_TOGETHER)
        parts: list[tuple[Swept, int]] = []
        at = 0
        while at < k:
            together = most if k - at > least else least
            blocks = max(1, (k - at) // together)
            end = min(k, at + blocks * together)
            some = rows.new_zeros(count, blocks * together, d)
            some[:, : end - at] = rows[:, at:end]
            parts.append((self._sweep(which, some, times, backward, first, together), end - at))
            at = end
        if len(parts) == 1 and parts[0][0].rows.shape[2] == k:
            return parts[0][0]
        return Swept(
            *(torch.cat([part[i][:, :, :size] for part, size in parts], dim=2) for i in range(2)),
            *(torch.cat([part[i][:, :size] for part, size in parts], dim=1) for i in (2, 3)),
        )

    def _sweep(self, which: Tensor, rows: Tensor, times: Tensor, backward: bool, first: int, together: int) -> Swept:
        (count, k, d), logged = rows.shape, times.shape[1]
        image = Swept(
            rows.new_empty(count, logged, k, d),
            torch.empty(count, logged, k, dtype=torch.int64),
            *torch.full((2, count, k), NO_STEP),
        )
        which, times = which.contiguous(), times.contiguous()
        before = [one.data_ptr() for one in (self.recurrent, self.inner, self.kept)]
        self.run.sweeps[backward, together](
            count, which.data_ptr(), k // together, logged, times.data_ptr(), first, *before, self.last,
            rows.data_ptr(), *(one.data_ptr() for one in image),
        )  # fmt: skip
        return image


def walked(run: Kernels, draws: Draws) -> Trajectory:
    """The trajectory of these draws, in the layout `Rows`, to their last horizon."""
    given, last = draws.given, draws.point.horizons[-1]
    if given.recurrent is None:
        raise TypeError(f"{draws.cell.name} has no recurrent matrices")
    along = Trajectory(run, last, given.recurrent, given.inner.contiguous(), torch.stack(draws.state()))
    for x, steps in draws.segments((last,), last):
        along.walk(given.bias, given.inputs, given.deviation, x, steps)
    return along
