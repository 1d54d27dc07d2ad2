"""The chain P_T = J_T ... J_2 J_1 along a trajectory, in the log domain.

P_T is carried as rows (column j of P_T is row j of what is carried), scaled by an exact power of two for each
replicate whenever it threatens to leave the floating-point range; the exponents are added up as whole numbers. So
no horizon can make it overflow or underflow, and rescaling costs no accuracy at all. Where units have nothing to do
with each other, the rows may drift apart by any power and change their order: each then has an exponent of its own. A
single step can still shrink it, or such a row, beyond the range of its dtype, where units are saturated;
`Moment.resolved` tells.
Log-norms are natural logarithms, in nats. docs/physics.md sections 1 and 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from rnnmc.cells.cell import Cell
from rnnmc.numerics.layout import Layout
from rnnmc.numerics.weights import Weights

if TYPE_CHECKING:
    from rnnmc.cells.cell import Push, State

SAFE = 2.0**16  # a step may then still change the norm by 1e33 in float32 before anything is lost


@dataclass(frozen=True)
class Moment:
    """The chain at one logged horizon. R replicates, d the length of the joint state.

    horizon: steps since the start.
    product: (R, d, d) in the chain's dtype, transposed P_T divided by 2^exponent.
    exponent: (R,) int64.
    finite: (R,) bool, False once the state has left the floating-point range, at any step so far before the chain died.
    resolved: (R,) bool, False once a single step shrank the chain, or one of the directions that have an exponent each,
    so far that its dtype lost digits, or all of it.
    state: the state s_T, one vector for each part, in the chain's layout.
    """

    horizon: int
    product: Tensor
    exponent: Tensor
    finite: Tensor
    resolved: Tensor
    state: State


@dataclass(frozen=True)
class Step:
    """One step of the chain, as an observable sees it; every tensor in the chain's layout and dtype.

    number: of the step, from 1. weights, drive: of this step. before, after: the state s_(t-1) and s_t, a vector for
    each part. push: takes directions (a tensor of k rows for each part) to J_t times them. chain: the d columns of
    P_t as directions, divided by 2^exponent. exponent: int64, shaped to broadcast against directions. finite: bool, of
    the same shape, as in `Moment`.
    """

    number: int
    weights: Weights
    drive: Mapping[str, Tensor]
    before: State
    after: State
    push: Push
    chain: State
    exponent: Tensor
    finite: Tensor


class Watch(Protocol):
    """Follows the chain of one tile of R replicates, step by step.

    One whose replicates are dear may have an attribute `wanted`: it is set to how many of them will be kept, from the
    first on (no fewer than R: all). What it gives for the others is then never looked at.
    """

    def see(self, step: Step) -> None:
        """Take note of one step; they come in order, from the first to the last horizon."""
        ...

    def values(self) -> dict[str, np.ndarray]:
        """column -> (R, m) or, for a column of lists, (R, m, length); rows in the order of the observable's `index`.

        NaN, or -1 in a column of whole numbers, means that there is no such number, and is stored as null. Beside the
        columns there may be "resolved", (R,) bool: False for a replicate that needs more digits than the chain's dtype
        has, to be taken from the same chain in float64. Asked for once, after the last step.
        """
        ...


@dataclass(frozen=True)
class Chain:
    """What goes from step to step, in the chain's layout: the last three shaped to broadcast against directions.

    exponent: of each replicate, or of each of its directions.
    """

    state: State
    directions: State
    exponent: Tensor
    finite: Tensor
    resolved: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of it."""
        return (*self.state, *self.directions, self.exponent, self.finite, self.resolved)

    def copied(self) -> Chain:
        """The same in tensors of its own."""
        state, directions = (tuple(part.clone() for part in parts) for parts in (self.state, self.directions))
        return Chain(state, directions, self.exponent.clone(), self.finite.clone(), self.resolved.clone())

    def moment(self, layout: Layout, horizon: int) -> Moment:
        """As logged."""
        directions, exponent = together(layout, self.directions, self.exponent)
        product = torch.cat([layout.matrices(part) for part in directions], dim=2)
        flat = (exponent.flatten(), self.finite.flatten(), self.resolved.flatten())
        return Moment(horizon, product, *flat, self.state)


def follow(
    cell: Cell,
    layout: Layout,
    steps: Iterable[tuple[Weights, Mapping[str, Tensor]]],
    state: State,
    horizons: tuple[int, ...],
    watches: Sequence[Watch] = (),
    directions: State | None = None,
    apart: bool = False,
) -> Iterator[Moment]:
    """Yield the chain at each of the rising `horizons` (steps), from P_0 = I at `state`.

    directions: to be carried in place of the unit directions; what is yielded and shown is then P_t times these.
    steps: (weights, drive) of each step, as `rnnmc.engine.draws.Draws.steps` gives them. watches: are shown every step.
    apart: each direction has an exponent of its own, see `rnnmc.study.point.DesignPoint.units_apart`.
    Memory does not depend on the horizon. Never raises for numbers: an overflow of the state is marked in
    `Moment.finite`.
    """
    now = start(cell, layout, state, directions, apart)
    logged = set(horizons)
    for step, (weights, drive) in enumerate(steps, 1):
        before = now.state
        now, push = advanced(cell, layout, weights, drive, now)
        for watch in watches:
            seen = (now.state, push, *together(layout, now.directions, now.exponent), now.finite)
            watch.see(Step(step, weights, drive, before, *seen))
        if step in logged:
            yield now.moment(layout, step)
        if step == horizons[-1]:
            return


def start(cell: Cell, layout: Layout, state: State, directions: State | None = None, apart: bool = False) -> Chain:
    """P_0 = I at this state, or these directions. apart: as of `follow`."""
    directions = identity_directions(cell, layout, state) if directions is None else directions
    exponent = torch.zeros_like(layout.size(directions[0], apart), dtype=torch.int64)
    yes = torch.ones_like(layout.size(directions[0]), dtype=torch.bool)
    return Chain(state, directions, exponent, yes, yes)


def advanced(
    cell: Cell, layout: Layout, weights: Weights, drive: Mapping[str, Tensor], now: Chain
) -> tuple[Chain, Push]:
    """(the chain one step on, the push of that step)."""
    state, push = cell.linearise(weights, drive, now.state)
    exponent, finite, resolved = now.exponent, now.finite, now.resolved
    if not cell.bounded:
        gone = size_of(layout, now.directions) == 0
        finite, resolved = judged(cell, size_of(layout, state), gone, finite, resolved)
    directions = push(now.directions)
    apart = exponent.shape != finite.shape
    size = size_of(layout, directions, apart)
    if size.device.type != "cpu" or not all_safe(size):  # on a GPU asking costs more than scaling
        if apart:
            resolved = resolved & ~any_lost(cell, layout, size_of(layout, now.directions, apart), size)
        else:
            resolved = resolved & is_resolved(size, cell.can_die)
        directions, exponent = rescaled(directions, size, exponent)
    return Chain(state, directions, exponent, finite, resolved), push


def judged(cell: Cell, size: Tensor, gone: Tensor, finite: Tensor, resolved: Tensor) -> tuple[Tensor, Tensor]:
    """(finite, resolved) once the state of a cell without a bound has made a step; all shaped alike.

    size: largest absolute entry of the new state. gone: whether the chain was exactly zero before: what becomes of the
    state then changes it no more.
    """
    finite = finite & (size.isfinite() | gone)
    if cell.can_die:  # a state that underflows to zero would kill a chain that lives
        resolved = resolved & is_resolved(size, can_vanish=True)
    return finite, resolved


def identity_directions(cell: Cell, layout: Layout, state: State) -> State:
    """The d unit directions of every replicate, one tensor for each part of the state."""
    parts, width = len(cell.parts), state[0].shape[layout.out_axis]
    eye = layout.identity(parts * width, state[0])
    shape = list(state[0].shape)
    shape[layout.direction_axis] = parts * width
    return tuple(part.expand(shape).contiguous() for part in eye.split(width, layout.out_axis))


def rescaled(directions: State, size: Tensor, exponent: Tensor) -> tuple[State, Tensor]:
    """Directions of largest entry `size` (see `size_of`) brought near one by exact powers of two, by replicate."""
    size = torch.where((size > 0) & size.isfinite(), size, 1.0)
    size = size.clamp(min=torch.finfo(size.dtype).tiny)  # 2^-shift of a subnormal would be infinite
    mantissa, shift = torch.frexp(size)
    scale = mantissa / size  # exactly 2^-shift
    return tuple(part * scale for part in directions), exponent + shift


def together(layout: Layout, directions: State, exponent: Tensor) -> tuple[State, Tensor]:
    """Directions by one exponent for each replicate, whatever it was by; those far below the largest become zero."""
    if exponent.shape[layout.direction_axis] == 1:
        return directions, exponent
    nothing = size_of(layout, directions, apart=True) == 0
    least = torch.iinfo(torch.int64).min // 2  # of a direction that is zero
    common = exponent.masked_fill(nothing, least).amax(layout.direction_axis, keepdim=True)
    common = torch.where(common == least, exponent.amax(layout.direction_axis, keepdim=True), common)
    scale = (exponent - common).clamp(min=-2000, max=0).to(directions[0].dtype).exp2()
    return tuple(part * scale for part in directions), common


def is_resolved(size: Tensor, can_vanish: bool | Tensor = False) -> Tensor:
    """Whether the largest entry is far enough above the smallest normal number for all of its digits to be there.

    can_vanish: whether zero is a result too, and not an underflow.
    """
    limits = torch.finfo(size.dtype)
    return ~(size < limits.tiny / limits.eps) | (can_vanish & (size == 0))


def any_lost(cell: Cell, layout: Layout, before: Tensor, size: Tensor) -> Tensor:
    """Of each replicate, whether a step has shrunk a direction beyond the range of the dtype. All shaped to broadcast.

    before, size: of each direction, before the step and after it. One that becomes zero is a result where the cell can
    die, and where all directions of its part of the state do while others live: nothing then reads that part.
    """
    zero, axis = size == 0, layout.direction_axis
    by_part = zero.unflatten(axis, (len(cell.parts), -1))
    of_part = by_part.all(axis + 1, keepdim=True).expand_as(by_part).flatten(axis, axis + 1)
    limits = torch.finfo(size.dtype)
    lost = (before != 0) & (size < limits.tiny / limits.eps) & ~(zero if cell.can_die else of_part)
    if cell.can_die:
        return lost.any(axis, keepdim=True)
    return lost.any(axis, keepdim=True) | (zero.all(axis, keepdim=True) & (before != 0).any(axis, keepdim=True))


def size_of(layout: Layout, parts: State, apart: bool = False) -> Tensor:
    """Largest absolute entry of each replicate over all parts, or of each direction; NaN where there is one."""
    size = layout.size(parts[0], apart)
    for part in parts[1:]:
        size = torch.maximum(size, layout.size(part, apart))
    return size


def all_safe(size: Tensor) -> bool:
    """Whether all of these largest entries, or lengths, are far from the limits of the dtype, also after a step."""
    low, high = torch.aminmax(size)
    return 1 / SAFE < float(low) and float(high) < SAFE
