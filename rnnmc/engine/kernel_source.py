"""The C that is made for a cell, for people to read; docs/design.md walks through one."""

from __future__ import annotations

from rnnmc.cells.stacked import stack_name
from rnnmc.common.errors import UsageError
from rnnmc.engine.choice import COMPILED_ROWS_UP_TO_WIDTH, UNITS, compiled_kernel, kernel_of
from rnnmc.engine.compiled.emit import source
from rnnmc.engine.compiled.symbols import Untraceable
from rnnmc.engine.compiled.trace import Program, traced
from rnnmc.study.options import known_cell
from rnnmc.study.point import DesignPoint


def kernel_source(name: str, width: int, dtype: str, layers: int = 1, residual: bool = False) -> str:
    """What the compiler is given for this cell: the layout that is cheaper at this width and dtype, then the C.

    Of a cell whose units are networks of their own it is the chain of one unit.

    layers, residual: as of a design point. Raises UsageError for a cell, width or dtype that there is not, or that has
    no compiled kernel.
    """
    known_cell(name)
    point = DesignPoint(cell=name, width=width, layers=layers, residual=residual, dtype=dtype)
    said = stack_name(name, layers, residual)
    try:
        program = traced(point.cell_object)
    except Untraceable as error:
        raise UsageError(f"{said}: no kernel is made ({error}); write linearise with what has a symbol") from None
    kernel = UNITS if kernel_of(point) == UNITS else compiled_kernel(point)
    if kernel is None:
        raise UsageError(
            f"width: {width} has no compiled kernel, as wider ones outgrow the caches; give at most "
            f"{COMPILED_ROWS_UP_TO_WIDTH // layers}"
        )
    code = source_of(kernel, program, width, 32 if dtype == "float32" else 64, point.units_apart)
    return f"/* {said}, width {width}, {dtype}: {kernel} */\n{code}"


def source_of(kernel: str, program: Program, width: int, bits: int, apart: bool) -> str:
    """The C of the compiled kernel of this name. The others as of `rnnmc.engine.compiled.emit.source`."""
    if kernel == UNITS:
        return source(program, 1, bits, by_replicate=True, apart=True, alone=True)
    return source(program, width, bits, kernel.endswith("columns"), apart)
