"""The chain of one tile on the kernel of a name: compiled where that is asked for and can be, else the plain engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from rnnmc.chain.product import Moment, Watch, follow
from rnnmc.engine.choice import (
    COMPILED,
    COMPILED_ROWS_UP_TO_WIDTH,
    CONDITIONAL,
    FEW_DIRECTIONS,
    SWEPT,
    plain_kernel,
)
from rnnmc.engine.compiled.follow import follow_compiled, kernel
from rnnmc.engine.draws import Draws
from rnnmc.engine.graphed import follow_graphed
from rnnmc.numerics.layout import Columns, Layout, Rows
from rnnmc.study.point import DesignPoint


def layout_of(name: str) -> Layout:
    """The layout that the kernel of this name runs in."""
    return Columns() if name.endswith("columns") else Rows()


def few_directions(name: str) -> Callable[..., dict[str, np.ndarray]] | None:
    """What measures the norms from a few directions, where that is the kernel of this name; else None.

    See `rnnmc.engine.few_directions.norms.wide_norms`.
    """
    if name == SWEPT:
        from rnnmc.engine.swept.norms import swept_norms

        return swept_norms
    if name == FEW_DIRECTIONS:
        from rnnmc.engine.few_directions.norms import wide_norms

        return wide_norms
    if name == CONDITIONAL:
        from rnnmc.engine.conditional.norms import conditional_norms

        return conditional_norms
    return None


def moments(name: str, draws: Draws, horizons: tuple[int, ...], watches: Sequence[Watch] = ()) -> Iterator[Moment]:
    """The chain along these draws, on the kernel of this name, as `rnnmc.chain.product.follow`."""
    if name.startswith(COMPILED) and draws.width * draws.point.layers <= COMPILED_ROWS_UP_TO_WIDTH:
        run = _kernel(draws.point, name, draws.dtype)
        if run is not None:
            return follow_compiled(run, draws, horizons, watches)
    if draws.device == "cuda" and draws.point.weights == "tied" and not watches:
        return follow_graphed(draws, horizons)
    return follow(draws.cell, draws.layout, draws.steps(), draws.state(), horizons, watches)


def made_by(point: DesignPoint, device: str, planned: str) -> str:
    """The name of the kernel that really runs this point here: the plain one on a GPU, or without a compiler.

    planned: the name of the kernel that its partition has.
    """
    name = planned if device == "cpu" else plain_kernel(point)
    if not name.startswith(COMPILED):
        return name
    dtype = getattr(torch, point.dtype)
    if name == SWEPT:
        from rnnmc.engine.swept.trust import kernels

        run = kernels(point.cell, point.width, dtype, point.layers, point.residual)
    else:
        run = _kernel(point, name, dtype)
    return name.removeprefix(COMPILED) if run is None else name


def _kernel(point: DesignPoint, name: str, dtype: torch.dtype) -> Callable[..., None] | None:
    return kernel(point.cell, point.width, dtype, name.endswith("columns"), point.layers, point.residual)
