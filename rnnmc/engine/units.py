"""Norms where no unit reads another: a network of n units is n networks of one, with the same drive.

P_T is then a block of a few rows for each unit, and its norms follow from those of the blocks: n times less work than
of n columns, each of which is zero but for its own unit. The compiled chain of one unit is followed, with the units of
all replicates of a tile side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rnnmc.chain.norms import RMS, SPECTRAL, STATUS, TANGENT, log_norms
from rnnmc.engine.compiled.follow import follow_compiled, kernel
from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Columns
from rnnmc.numerics.norms import norms_of
from rnnmc.study.point import DesignPoint

if TYPE_CHECKING:
    from rnnmc.cells.cell import State

OK, DEAD, OVERFLOW = range(len(STATUS))


def kernel_of_units(cell: str, width: int, dtype: torch.dtype) -> Callable[..., None] | None:
    """The compiled chain of so many networks of one unit of this cell, or None where there is none."""
    return kernel(cell, 1, dtype, True, apart=True, units=width)


def alone(draws: Draws) -> State:
    """The initial state of these draws, in columns, as of networks of one unit: (1, 1, n R) for each part."""
    return tuple(part.reshape(1, 1, -1) for part in draws.state())


def unit_norms(
    point: DesignPoint, tiles: list[tuple[int, int]], replicates: int, device: str, dtype: str
) -> dict[str, np.ndarray]:
    """The norms of some tiles at every logged horizon, (R, horizons) each, as `rnnmc.chain.norms.log_norms` has them.

    Only where `kernel_of_units` has a chain.
    """
    draws = Draws(point, tiles, replicates, Columns(), device, dtype)
    run = kernel_of_units(point.cell, point.width, draws.dtype)
    assert run is not None
    parts, n, count = len(point.cell_object.parts), point.width, replicates * len(tiles)
    tangent = draws.tangent().reshape(count, parts, n).permute(2, 0, 1).reshape(n * count, parts)
    measured = [
        _of_all(log_norms(moment, norms_of, tangent), n)
        for moment in follow_compiled(run, draws, point.horizons, state=alone(draws))
    ]
    return {name: np.stack([part[name] for part in measured], axis=1) for name in measured[0]}


def _of_all(each: dict[str, np.ndarray], n: int) -> dict[str, Any]:
    """What the blocks of n units, (n R,) each, make together, (R,) each."""
    of = {name: values.reshape(n, -1) for name, values in each.items()}
    squares = {name: torch.from_numpy(2 * of[name]).logsumexp(0).numpy() / 2 for name in (RMS, TANGENT)}
    status = np.where((of["status"] == DEAD).all(0), DEAD, OK)
    return {
        SPECTRAL: of[SPECTRAL].max(0),
        RMS: squares[RMS] - math.log(n) / 2,
        TANGENT: squares[TANGENT],
        "status": np.where((of["status"] == OVERFLOW).any(0), OVERFLOW, status).astype(np.int8),
        "resolved": of["resolved"].all(0),
    }
