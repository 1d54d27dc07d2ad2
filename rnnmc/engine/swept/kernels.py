"""The compiled functions that walk a trajectory and sweep directions along it, made from a cell."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import NamedTuple

import torch

from rnnmc.cells.cell import Cell
from rnnmc.engine.compiled.trace import traced
from rnnmc.engine.swept.emit import SWEPT_TOGETHER, source
from rnnmc.engine.swept.factors import factors_of
from rnnmc.numerics.compiler import compiled

WHOLE_NUMBER, POINTER = ctypes.c_int64, ctypes.c_void_p
OF_WALK = [WHOLE_NUMBER] * 3 + [POINTER] * 8 + [WHOLE_NUMBER] * 2 + [POINTER] * 2  # see walk.c
OF_SWEEP = [WHOLE_NUMBER, POINTER, WHOLE_NUMBER, WHOLE_NUMBER, POINTER, WHOLE_NUMBER, *[POINTER] * 3, WHOLE_NUMBER,
            *[POINTER] * 5]  # fmt: skip


class Kernels(NamedTuple):
    """walk; sweeps by (whether backward, rows at once): see walk.c and sweep.c. entries: that are kept of a step."""

    cell: Cell
    width: int
    dtype: torch.dtype
    walk: Callable[..., None]
    sweeps: dict[tuple[bool, int], Callable[..., None]]
    entries: int


def swept_kernels(cell: Cell, width: int, dtype: torch.dtype) -> tuple[Kernels | None, str]:
    """(those of this cell, their C), None where the machine has no compiler. Raises Untraceable."""
    program = traced(cell)
    text = source(program, width, torch.finfo(dtype).bits)
    walk = compiled(text, "walk_on")
    if walk is None:
        return None, text
    sweeps = {
        (back, rows): compiled(text, f"sweep_{'backward' if back else 'forward'}{rows}")
        for back in (False, True)
        for rows in SWEPT_TOGETHER
    }
    walk.argtypes, walk.restype = OF_WALK, None
    for one in sweeps.values():
        one.argtypes, one.restype = OF_SWEEP, None
    pair = 2 * compiled(text, "lane_bytes")() // dtype.itemsize
    entries = len(factors_of(program).vectors) * -(-width // pair) * pair
    return Kernels(cell, width, dtype, walk, sweeps, entries), text
