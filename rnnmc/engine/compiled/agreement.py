"""A compiled kernel against the plain engine, step by step: whether the trace saw all that the cell does.

Both carry the same chains from the same numbers: moderate, small and saturated ones, exact zeros, whole dead layers.
After each step the kernel's next state and directions are held against the plain engine's, and both go on from those.
How far rounding may part them is found from the cell itself: the plain engine runs again from numbers that are moved
by a few units in the last place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnmc.cells import source_digest
from rnnmc.cells.cell import Cell
from rnnmc.chain.product import SAFE, identity_directions
from rnnmc.numerics.compiler import remembered
from rnnmc.numerics.layout import Columns, Layout, Rows
from rnnmc.numerics.weights import Weights

# (weights, drive, state): deviations; share: of drive and state that is exactly zero; shift: of the drive
SETTINGS = (
    (0.3, 0.3, 0.1, 0.0, 0.0),
    (1.0, 1.0, 1.0, 0.0, 0.0),
    (2.0, 6.0, 1.0, 0.0, 0.0),
    (1.0, 100.0, 1.0, 0.0, 0.0),
    (1.0, 0.0, 0.0, 0.0, 0.0),  # nothing happens
    (0.0, 1.0, 1.0, 0.5, 0.0),
    (1.0, 1.0, 1.0, 0.5, 0.0),
    (0.3, 1.0, 1.0, 0.0, -5.0),  # every relu is dead
    (0.3, 1.0, 1.0, 0.0, 5.0),
)
STEPS = 3
NARROW, EACH = 32, 2  # up to this width so many replicates of each setting, more than a lane holds; of wider ones one
ULPS = 8  # by which numbers are moved, and what the least difference allowed is, four times, of the largest entry
MOVES, MARGIN = 2, 8


log = logging.getLogger("rnnmc")


def agrees(name: str, source: str, compare: Callable[[], float]) -> bool:
    """Whether the kernel of this C does what the cell of this name does; told where not, and looked at once.

    compare: gives a `disagreement`. Of our own cells, tests have looked.
    """
    digest = source_digest(name)
    if not digest:
        return True

    def verdict() -> str:
        try:
            worst = compare()
        except Exception as error:  # a cell of somebody's own may raise anything
            return f"{type(error).__name__}: {error}"
        return "" if worst <= 1 else f"{worst:.3g} times what rounding could do"

    if said := remembered(source, f"agreement {digest} {torch.__version__}", verdict):
        log.warning("%s: its compiled kernel is not what the cell does (%s), so that the plain engine runs", name, said)
    return not said


class Chains(NamedTuple):
    """What a step is made from, in one layout: stacked arrays of recurrent weights, inner vectors, drive; the chain."""

    recurrent: Tensor
    inner: Tensor
    drive: Tensor
    state: Tensor
    directions: Tensor


def disagreement(
    cell: Cell,
    run: Callable[..., None],
    width: int,
    dtype: torch.dtype,
    by_replicate: bool,
    seed: int = 0,
    apart: bool = False,
) -> float:
    """The worst difference between this kernel and the plain engine, as a multiple of what rounding may do.

    apart: as of `rnnmc.chain.product.follow`, what the kernel was made for. At most 1 for a kernel that does what the
    cell does; infinite where one of them gives no number and the other does. Raises whatever the cell raises.
    """
    layout, worst = Columns() if by_replicate else Rows(), 0.0
    with torch.no_grad():
        now = _first(cell, layout, width, dtype, np.random.default_rng(seed))
        for _ in range(STEPS):
            state, directions = _plain(cell, layout, now)
            moved = [_plain(cell, layout, _moved(now, seed + move)) for move in range(MOVES)]
            found, sound = _by_kernel(run, layout, now, apart)
            size = _size(layout, directions)
            known = _size(layout, state).isfinite() & size.isfinite() & (size >= torch.finfo(dtype).tiny)
            if not bool((sound | ~known).all()):
                return float("inf")
            scales = now.state, now.directions
            for i, (plain, scale) in enumerate(zip((state, directions), scales, strict=True)):
                worst = max(worst, _ratio(layout, found[i], plain, [one[i] for one in moved], scale))
            now = now._replace(state=state, directions=directions)
    return worst


def _first(cell: Cell, layout: Layout, width: int, dtype: torch.dtype, rng: np.random.Generator) -> Chains:
    rows, each = 1 if cell.diagonal else width, EACH if width <= NARROW else 1

    def load(arrays: list[np.ndarray]) -> Tensor:
        return layout.load(np.concatenate(arrays), dtype, "cpu")

    def drawn(deviation: float, rows: int, names: int, zero: float = 0.0, shift: float = 0.0) -> np.ndarray:
        values = rng.standard_normal((each, rows, names * width)) * deviation + shift
        return values * (rng.uniform(size=values.shape) >= zero)

    parts = [[drawn(one[2], 1, 1, one[3]) for one in SETTINGS] for _ in cell.parts]
    state = tuple(load(part) for part in parts)
    directions = torch.stack(identity_directions(cell, layout, state))
    return Chains(
        load([drawn(one[0] / np.sqrt(rows), rows, len(cell.recurrent)) for one in SETTINGS]),
        load([drawn(one[0], 1, len(cell.inner)) for one in SETTINGS]),
        load([drawn(one[1], 1, len(cell.gates), one[3], one[4]) for one in SETTINGS]),
        torch.stack(state),
        directions,
    )


def _moved(now: Chains, seed: int) -> Chains:
    """Every number a few units in its last place away; zero stays zero."""
    generator = torch.Generator().manual_seed(seed)

    def move(value: Tensor) -> Tensor:
        sign = (torch.randint(0, 2, value.shape, generator=generator) * 2 - 1).to(value.dtype)  # not float32 unasked
        return value * (1 + sign * (ULPS * torch.finfo(value.dtype).eps))

    return Chains(*(move(value) for value in now))


def _plain(cell: Cell, layout: Layout, now: Chains) -> tuple[Tensor, Tensor]:
    """(next state, directions) by the cell itself, (parts, ...) each."""
    width = now.state.shape[1 + layout.out_axis]

    def named(names: tuple[str, ...], array: Tensor) -> dict[str, Tensor]:
        return {name: array.narrow(layout.out_axis, i * width, width) for i, name in enumerate(names)}

    recurrent = named(cell.recurrent, now.recurrent)
    weights = Weights(layout, now.recurrent if recurrent else None, recurrent, named(cell.inner, now.inner))
    after, push = cell.linearise(weights, named(cell.gates, now.drive), tuple(now.state))
    return torch.stack(after), torch.stack(push(tuple(now.directions)))


def _by_kernel(
    run: Callable[..., None], layout: Layout, now: Chains, apart: bool
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """((next state, directions), (R,) whether the kernel thinks it finite and has brought it back to the safe range).

    The lanes that no unit fills in rows have a say in that, and a cell may make anything of their zeros.
    """
    state, directions = now.state.clone(), now.directions.clone()
    replicates = state.shape[1 + layout.replicate_axis]
    exponent = torch.zeros_like(layout.size(directions[0], apart), dtype=torch.int64)
    flags = [torch.ones(replicates, dtype=torch.bool) for _ in range(2)]
    fixed = [now.recurrent, now.inner, now.drive, None, None, None]
    run(replicates, 1, 0, *(None if one is None else one.data_ptr() for one in (*fixed, state, directions)),
        exponent.data_ptr(), *(flag.data_ptr() for flag in flags))  # fmt: skip
    size = _size(layout, directions)
    is_safe = (size == 0) | ((size > 1 / (2 * SAFE)) & (size < 2 * SAFE))
    return (state, torch.ldexp(directions, exponent)), flags[0] & is_safe


def _ratio(layout: Layout, found: Tensor, plain: Tensor, moved: list[Tensor], before: Tensor) -> float:
    """The largest difference of each replicate over what rounding may make of it, of all replicates the worst."""
    is_finite = _size(layout, plain).isfinite()
    if not torch.equal(is_finite, _size(layout, found).isfinite()):
        return float("inf")
    some = [value.index_select(1 + layout.replicate_axis, is_finite.nonzero()[:, 0]) for value in (found, plain)]
    if not some[0].numel():
        return 0.0
    spread = torch.stack([_size(layout, one - plain)[is_finite].nan_to_num(nan=0.0) for one in moved]).amax(0)
    known = _size(layout, before)[is_finite].clamp(max=1.0)  # a derivative of 1 - 1 has no digits
    scale = _size(layout, plain)[is_finite] + known
    allowed = MARGIN * spread + 4 * ULPS * torch.finfo(plain.dtype).eps * scale
    error = _size(layout, some[0] - some[1])
    return float(torch.where(error > 0, error / allowed, 0.0).max())


def _size(layout: Layout, parts: Tensor) -> Tensor:
    """(R,) float64, the largest |entry| of each replicate over all parts."""
    return torch.stack([layout.size(part).flatten().double() for part in parts]).amax(0)
