"""Norms where no unit reads another: a network of n units is n networks of one, with the same drive.

P_T is then a block of a few rows for each unit, and its norms follow from those of the blocks: n times less work than
of n columns, each of which is zero but for its own unit. The chain of one unit is followed, by compiled code or by the
plain engine, with the units of all replicates of a tile side by side.

A direction that becomes exactly zero is a result where those of all units do at once (nothing reads that part of the
state), and else digits that a step has lost, as in `rnnmc.chain.product.any_lost`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rnnmc.chain.norms import RMS, SPECTRAL, STATUS, TANGENT, log_norms
from rnnmc.chain.product import Moment, advanced, size_of, start
from rnnmc.engine.compiled.follow import STEPS_OF_A_CALL, CompiledChain, kernel
from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Columns
from rnnmc.numerics.norms import norms_of
from rnnmc.numerics.weights import Weights
from rnnmc.study.point import DesignPoint

if TYPE_CHECKING:
    from rnnmc.cells.cell import State

DEAD, OVERFLOW = (STATUS.index(name) for name in ("dead", "overflow"))
NEVER = 2**62  # steps


def kernel_of_units(cell: str, dtype: torch.dtype) -> Callable[..., None] | None:
    """The compiled chain of the units of this cell, or None where there is none."""
    return kernel(cell, 1, dtype, True, apart=True, alone=True)


def unit_norms(
    point: DesignPoint, tiles: list[tuple[int, int]], replicates: int, device: str, dtype: str
) -> dict[str, np.ndarray]:
    """The norms of some tiles, (R, horizons) each, as `rnnmc.chain.norms.log_norms` has them."""
    draws = Draws(point, tiles, replicates, Columns(), device, dtype)
    run = kernel_of_units(point.cell, draws.dtype) if device == "cpu" else None
    parts, n, count = len(point.cell_object.parts), point.width, replicates * len(tiles)
    tangent = draws.tangent().reshape(count, parts, n).permute(2, 0, 1).reshape(n * count, parts)
    measured = []
    for moment, died in _followed_by(run, draws) if run else _followed(draws):
        each = log_norms(moment, norms_of, tangent)
        measured.append(_of_all(each, n) | {"resolved": _resolved(moment, died, n, point.cell_object.can_die)})
    return {name: np.stack([part[name] for part in measured], axis=1) for name in measured[0]}


def alone(draws: Draws) -> State:
    """The initial state of these draws, in columns, as of networks of one unit: (1, 1, n R) for each part."""
    return tuple(_flat(part) for part in draws.state())


def _flat(value: Tensor) -> Tensor:
    return value.reshape(len(value), 1, -1)


def _followed_by(run: Callable[..., None], draws: Draws) -> Iterator[tuple[Moment, Tensor]]:
    """(the units at each horizon, the step after which each direction was zero, (parts, n R)) by a compiled chain."""
    chain, done = CompiledChain(run, draws, alone(draws)), 0
    died = torch.full((len(draws.cell.parts), chain.finite.numel()), NEVER)
    for recurrent, x, steps in draws.weighed(draws.point.horizons, STEPS_OF_A_CALL):
        chain.advance(recurrent, x, steps, draws.width, done, died.data_ptr())
        done += steps
        if done in draws.point.horizons:
            yield chain.now().moment(draws.layout, done), died


def _followed(draws: Draws) -> Iterator[tuple[Moment, Tensor]]:
    """The same by the plain engine."""
    layout, horizons = draws.layout, draws.point.horizons
    now = start(draws.cell, layout, alone(draws), apart=True)
    size = size_of(layout, now.directions, apart=True)
    died = torch.full_like(size, NEVER, dtype=torch.int64)
    for step, (weights, drive) in enumerate(draws.steps(), 1):
        now, _ = advanced(draws.cell, layout, _of_one(weights), _named(drive), now)
        before, size = size, size_of(layout, now.directions, apart=True)
        died = died.masked_fill((before != 0) & (size == 0), step)
        if step in horizons:
            yield now.moment(layout, step), died.flatten(1)
        if step == horizons[-1]:
            return


def _of_one(weights: Weights) -> Weights:
    """The weights of each unit, as of a network of its own."""
    return Weights(weights.layout, None, _named(weights.recurrent), _named(weights.bias))


def _named(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: _flat(value) for name, value in arrays.items()}


def _resolved(moment: Moment, died: Tensor, n: int, can_die: bool) -> np.ndarray:
    """(R,) whether no step has lost digits of a unit. can_die: of the cell, where zero is a result."""
    resolved = moment.resolved.reshape(n, -1).all(0).cpu()
    if can_die:
        return resolved.numpy()
    zero = died.reshape(len(died), n, -1).cpu()
    zero = torch.where(zero <= moment.horizon, zero, NEVER)
    first, last = zero.amin(1), zero.amax(1)
    lost = (first < last).any(0) | (last < NEVER).all(0)  # one before others, or all there is
    return (resolved & ~lost).numpy()


def _of_all(each: dict[str, np.ndarray], n: int) -> dict[str, Any]:
    """What the blocks of n units, (n R,) each, make together, (R,) each."""
    of = {name: values.reshape(n, -1) for name, values in each.items()}
    squares = {name: torch.from_numpy(2 * of[name]).logsumexp(0).numpy() / 2 for name in (RMS, TANGENT)}
    status = np.where((of["status"] == DEAD).all(0), DEAD, 0)
    return {
        SPECTRAL: of[SPECTRAL].max(0),
        RMS: squares[RMS] - math.log(n) / 2,
        TANGENT: squares[TANGENT],
        "status": np.where((of["status"] == OVERFLOW).any(0), OVERFLOW, status).astype(np.int8),
    }
