"""The chain of one tile on the kernel of a name: compiled where that is asked for and can be, else the plain engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from rnnmc.cells import cell as cell_of
from rnnmc.chain.product import Moment, Watch, follow
from rnnmc.engine.choice import (
    COMPILED,
    COMPILED_ROWS_UP_TO_WIDTH,
    CONDITIONAL,
    FEW_DIRECTIONS,
    SWEPT,
    UNITS,
    plain_kernel,
)
from rnnmc.engine.compiled.follow import follow_compiled, kernel
from rnnmc.engine.compiled.trace import traced
from rnnmc.engine.draws import Draws
from rnnmc.engine.graphed import follow_graphed
from rnnmc.engine.kernel_source import source_of
from rnnmc.numerics import normal, norms
from rnnmc.numerics.compiler import code_of, kept_until_forgotten, toolchain
from rnnmc.numerics.layout import Columns, Layout, Rows
from rnnmc.study.point import DesignPoint


def layout_of(name: str) -> Layout:
    """The layout that the kernel of this name runs in."""
    return Columns() if name.endswith("columns") else Rows()


def norms_without_columns(name: str) -> Callable[..., dict[str, np.ndarray]] | None:
    """What measures the norms without all of P_t, where that is the kernel of this name; else None.

    See `rnnmc.engine.few_directions.norms.wide_norms`.
    """
    if name == SWEPT:
        from rnnmc.engine.swept.norms import swept_norms

        return swept_norms
    if name == FEW_DIRECTIONS:
        from rnnmc.engine.few_directions.norms import wide_norms

        return wide_norms
    if name in (UNITS, UNITS.removeprefix(COMPILED)):
        from rnnmc.engine.units import unit_norms

        return unit_norms
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
    return follow(draws.cell, draws.layout, draws.steps(), draws.state(), horizons, watches, apart=draws.apart)


def state_alone(draws: Draws, horizons: tuple[int, ...], watches: Sequence[Watch]) -> None:
    """Show these draws to watches that do not look at the chain, of which one random direction is carried."""
    rows = draws.tangent()[:, None].to(draws.dtype)
    direction = tuple(rows.split(draws.width, dim=2))
    for _ in follow(draws.cell, draws.layout, draws.steps(), draws.state(), horizons, watches, direction):
        pass


def made_by(point: DesignPoint, device: str, planned: str, said_dtype: str = "") -> str:
    """The name of the kernel that really runs this point here: the plain one on a GPU, or without a compiler.

    planned: the name of the kernel that its partition has. said_dtype: of the chain, where that is not the point's.
    """
    if device != "cpu":
        return UNITS.removeprefix(COMPILED) if planned == UNITS else plain_kernel(point)
    if not planned.startswith(COMPILED):
        return planned
    dtype = getattr(torch, said_dtype or point.chain_dtype)
    if planned == SWEPT:
        from rnnmc.engine.swept.trust import kernels

        run = kernels(point.cell, point.width, dtype, point.layers, point.residual)
    elif planned == UNITS:
        from rnnmc.engine.units import kernel_of_units

        run = kernel_of_units(point.cell, dtype)
    else:
        run = _kernel(point, planned, dtype)
    return planned.removeprefix(COMPILED) if run is None else planned


def route(point: DesignPoint, device: str, planned: str) -> str:
    """What makes the numbers of this point here, in words: the kernel that really runs, compiler, and machine code.

    Another route gives other last bits, of which chaotic orbits make first ones. Loads what it speaks of.
    """
    name = made_by(point, device, planned)
    made_for = (point.cell, point.width, point.chain_dtype, point.layers, point.residual, point.state_size)
    return f"{name}; {toolchain()}; code {_code(name, device, *made_for, point.units_apart)}"


@kept_until_forgotten
def _code(
    name: str,
    device: str,
    cell: str,
    width: int,
    dtype: str,
    layers: int,
    residual: bool,
    directions: int,
    apart: bool,
) -> str:
    """`rnnmc.numerics.compiler.code_of` all that the samples of such a point rest on."""
    sources = []
    if dtype == "float32":
        normal.normals(np.zeros(2, np.uint32))
        sources.append(normal.source())
    takes_full_products = norms_without_columns(name) is None or name in (SWEPT, UNITS)
    if device == "cpu" and takes_full_products:
        by_replicate = name == UNITS or directions <= norms.BY_REPLICATE_UP_TO
        norms.kernel(by_replicate)
        sources.append(norms.source(by_replicate))
    if name.startswith(COMPILED):
        program, bits = traced(cell_of(cell, layers, residual)), torch.finfo(getattr(torch, dtype)).bits
        if name == SWEPT:
            from rnnmc.engine.swept import narrowing
            from rnnmc.engine.swept.emit import source as source_of_sweeps

            narrowing.functions()  # which only many horizons need: of what is not loaded there is no code to tell
            sources += [source_of_sweeps(program, width, bits), narrowing.source()]
        else:
            sources.append(source_of(name, program, width, bits, apart))
    return code_of(sources)


def _kernel(point: DesignPoint, name: str, dtype: torch.dtype) -> Callable[..., None] | None:
    made_for = (point.layers, point.residual, point.units_apart)
    return kernel(point.cell, point.width, dtype, name.endswith("columns"), *made_for)
