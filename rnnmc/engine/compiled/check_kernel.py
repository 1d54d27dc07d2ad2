"""The kernels that are made from a cell against the cell itself, for people to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from rnnmc.cells.cell import Cell
from rnnmc.common.checks import CheckResult
from rnnmc.engine.compiled.agreement import disagreement
from rnnmc.engine.compiled.follow import made
from rnnmc.engine.compiled.symbols import Untraceable


def check_kernel(cell: Cell, width: int = 5, seed: int = 0) -> list[CheckResult]:
    """A result for each layout and dtype that a kernel is made in, in multiples of what rounding may do.

    One result that says why where none is made: the plain engine, which the other checks are about, then runs.
    """
    apart = not cell.has_matrices
    meaning = "the compiled kernel does what the cell does, up to rounding"
    try:
        kernels = list(_kernels(lambda dtype, by: made(cell, width, dtype, by, apart)[0]))
    except Untraceable as error:
        return [CheckResult("kernel", True, 0.0, 1.0, f"none is made, the plain engine runs: {error}")]
    results = []
    for name, dtype, by_replicate, run in kernels:
        if run is None:
            results.append(CheckResult(f"kernel {name}", True, 0.0, 1.0, "none is compiled, the plain engine runs"))
            continue
        try:
            worst = disagreement(cell, run, width, dtype, by_replicate, seed, apart)
        except Exception as error:  # a cell of somebody's own may raise anything
            results.append(CheckResult(f"kernel {name}", False, np.inf, 1.0, f"{meaning}: {error}"))
            continue
        said = meaning if worst <= 1 else f"{meaning}: it does not, and the plain engine runs in its place"
        results.append(CheckResult(f"kernel {name}", worst <= 1, worst, 1.0, said))
    return results


def _kernels(
    make: Callable[[torch.dtype, bool], Callable[..., None] | None],
) -> Iterator[tuple[str, torch.dtype, bool, Callable[..., None] | None]]:
    for layout, by_replicate in (("columns", True), ("rows", False)):
        for dtype in (torch.float32, torch.float64):
            yield f"{layout} {str(dtype).removeprefix('torch.')}", dtype, by_replicate, make(dtype, by_replicate)
