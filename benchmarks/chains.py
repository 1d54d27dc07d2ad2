"""A chain alone, to be timed on any kernel: weights and drive are drawn before, and no norm is taken."""

from __future__ import annotations

from collections.abc import Callable

import torch
from timing import seconds
from torch import Tensor

from rnnmc.chain.product import advanced, start
from rnnmc.engine import graphed
from rnnmc.engine.block import partition
from rnnmc.engine.choice import COMPILED, KERNELS, UNITS, kernel_of, step_seconds
from rnnmc.engine.compiled import follow as compiled
from rnnmc.engine.draws import Draws
from rnnmc.engine.run import layout_of, made_by
from rnnmc.engine.units import alone, kernel_of_units
from rnnmc.numerics.layout import Columns, Rows
from rnnmc.study.point import DesignPoint, horizons_up_to

HORIZON = 1000
FEWEST = 3  # steps of a run
GRAPHED = "graphed"  # here the name of the plain engine with recorded steps
Advance = Callable[[int], None]  # by so many steps
Segment = Callable[[Tensor | None, int], None]  # with this drive, by so many steps


def design_point(
    cell: str, width: int, horizons: tuple[int, ...] = horizons_up_to(HORIZON), **more: str
) -> DesignPoint:
    """This cell as PyTorch initialises it, or its own paper where its weights are vectors, driven by white noise."""
    return DesignPoint(cell=cell, width=width, drive="white", horizons=horizons, **more)


def full_kernel(point: DesignPoint) -> str:
    """The kernel that carries all of P_T of this point here: the one of a study, unless that carries a part only."""
    kernel = kernel_of(point)
    if kernel not in (*KERNELS, UNITS):
        kernel = min(("rows", f"{COMPILED}rows"), key=lambda name: step_seconds(point, name))
    return made_by(point, "cpu", kernel)


def starter(point: DesignPoint, kernel: str, tiles: int = 1, device: str = "cpu") -> tuple[int, Callable[[], Advance]]:
    """(replicates, what starts their chain at P_0 = I and gives what advances it) on the kernel of this name.

    The drive of as many steps as one call of the kernel takes is drawn, and comes again and again.
    """
    layouts, replicates = {GRAPHED: Rows(), UNITS: Columns()}, partition(point).tile
    layout = layouts.get(kernel) or layout_of(kernel)
    draws = Draws(point, [(0, tile) for tile in range(tiles)], replicates, layout, device)
    most = graphed.RECORDED if kernel == GRAPHED else compiled.STEPS_OF_A_CALL
    x = _some_drive(draws, most)
    of_kernel = {UNITS: _units, GRAPHED: _graphed}.get(kernel, _compiled if kernel.startswith(COMPILED) else _plain)

    def begin() -> Advance:
        advance = of_kernel(draws)

        def by(steps: int) -> None:
            for done in range(0, steps, most):
                count = min(most, steps - done)
                advance(None if x is None else x[:count], count)

        return by

    return replicates * tiles, begin


def steps_within(budget: float, begin: Callable[[], Advance]) -> int:
    """How many steps take so many seconds, at least FEWEST and at most HORIZON."""
    advance = begin()
    advance(1)
    return min(max(int(budget / seconds(lambda: advance(FEWEST)) * FEWEST), FEWEST), HORIZON)


def _some_drive(draws: Draws, steps: int) -> Tensor | None:
    drawn: list[Tensor] = []
    for piece in draws.drive():
        if piece is None:
            return None
        drawn.append(piece)
        if sum(map(len, drawn)) >= steps:
            break
    return torch.cat(drawn)[:steps].contiguous()


def _compiled(draws: Draws) -> Segment:
    by_replicate = draws.layout.name == "columns"
    run = compiled.kernel(draws.point.cell, draws.width, draws.dtype, by_replicate, apart=draws.apart)
    assert run is not None
    chain = compiled.CompiledChain(run, draws, draws.state())
    return lambda x, steps: chain.advance(draws.given.recurrent, x, steps)


def _units(draws: Draws) -> Segment:
    run = kernel_of_units(draws.point.cell, draws.dtype)
    assert run is not None
    chain = compiled.CompiledChain(run, draws, alone(draws))
    died = torch.zeros(len(draws.cell.parts) * chain.finite.numel(), dtype=torch.int64)
    return lambda x, steps: chain.advance(draws.given.recurrent, x, steps, draws.width, 0, died.data_ptr())


def _graphed(draws: Draws) -> Segment:
    return graphed._Recorded(draws).advance


def _plain(draws: Draws) -> Segment:
    now, weights = (
        start(draws.cell, draws.layout, draws.state(), apart=draws.apart),
        draws.of_cell(draws.given.recurrent),
    )

    def advance(x: Tensor | None, steps: int) -> None:
        nonlocal now
        for i in range(steps):
            drive = draws.by_gate(draws.given.total(draws.layout, None if x is None else x[i]))
            now, _ = advanced(draws.cell, draws.layout, weights, drive, now)

    return advance
