"""The chain by compiled code: whole segments of a trajectory at a time, the same as `rnnmc.chain.product.follow` to
rounding.

The code is made from the cell's own `linearise` (`trace`, `emit`) for one width, dtype and layout. It holds what one
vector of replicates (small widths) or one replicate needs in the processor's caches for all steps of a segment, and
rescales a replicate, or a direction of it, only when it leaves the safe range.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rnnmc.cells import cell as cell_of
from rnnmc.cells.cell import Cell
from rnnmc.chain.product import Chain, Moment, Step, Watch, start, together
from rnnmc.engine.compiled.agreement import agrees, disagreement
from rnnmc.engine.compiled.emit import source
from rnnmc.engine.compiled.symbols import Untraceable
from rnnmc.engine.compiled.trace import traced
from rnnmc.engine.draws import Draws, Given
from rnnmc.numerics.compiler import compiled, kept_until_forgotten

if TYPE_CHECKING:
    from rnnmc.cells.cell import State

STEPS_OF_A_CALL = 64  # of one call: the weights are then copied into the cache often enough to cost nothing

ARGUMENTS = [ctypes.c_int64] * 3 + [ctypes.c_void_p] * 11  # of `follow` in chain.c
OF_UNITS = [ctypes.c_int64] * 2 + [ctypes.c_void_p]  # what it is given besides where units are alone


@kept_until_forgotten
def kernel(
    name: str,
    width: int,
    dtype: torch.dtype,
    by_replicate: bool,
    layers: int = 1,
    residual: bool = False,
    apart: bool = False,
    alone: bool = False,
) -> Callable[..., None] | None:
    """The compiled chain of the cell of this name in so many layers, or None where it or the machine has none.

    apart: as of `rnnmc.chain.product.follow`. alone: as of `rnnmc.engine.compiled.emit.source`.

    Nor where it is of a user's own cell and does not do what the plain engine does, which is told and looked at once
    for each kernel: of our own cells, tests have looked.
    """
    cell = cell_of(name, layers, residual)
    try:
        function, text = made(cell, width, dtype, by_replicate, apart, alone)
    except Untraceable:
        return None
    if function is None:
        return None

    def compare() -> float:
        """Units of a step do what one of them does."""
        run = made(cell, width, dtype, by_replicate, apart)[0] if alone else function
        return math.inf if run is None else disagreement(cell, run, width, dtype, by_replicate, apart=apart)

    return function if agrees(name, text, compare) else None


def made(
    cell: Cell, width: int, dtype: torch.dtype, by_replicate: bool, apart: bool = False, alone: bool = False
) -> tuple[Callable[..., None] | None, str]:
    """(the compiled chain of this cell, its C), None where the machine has no compiler. Raises Untraceable."""
    text = source(traced(cell), width, torch.finfo(dtype).bits, by_replicate, apart, alone)
    function = compiled(text, "follow")
    if function is not None:
        function.restype = None
        function.argtypes = ARGUMENTS + OF_UNITS * alone
    return function, text


class CompiledChain:
    """The arrays that a compiled chain works on, in the layout of the draws.

    state: (parts, ...) vectors. directions: (parts, ...) of d rows. The others as in `rnnmc.chain.product.Chain`.
    """

    def __init__(self, run: Callable[..., None], draws: Draws, state: State):
        self.run, self.draws = run, draws
        first = start(draws.cell, draws.layout, state, apart=draws.apart)
        self.state, self.directions = torch.stack(first.state), torch.stack(first.directions)
        self.exponent, self.finite, self.resolved = first.exponent, first.finite, first.resolved.clone()

    def advance(self, recurrent: Tensor | None, x: Tensor | None, steps: int, *more: int) -> None:
        """So many steps with these weights. x: (steps, ...) of the drive, or None. more: arguments, as OF_UNITS."""
        given = self.draws.given
        inputs = given.inputs if given.deviation is None and x is not None else None
        size = 0 if inputs is None else self.draws.point.drive.dimension
        fixed = (recurrent, given.inner, given.bias, inputs, given.deviation, x)
        changed = (self.state, self.directions, self.exponent, self.finite, self.resolved)
        pointers = [None if one is None else one.data_ptr() for one in (*fixed, *changed)]
        self.run(self.finite.numel(), steps, size, *pointers, *more)

    def now(self) -> Chain:
        """A copy of it as it is."""
        marks = (self.exponent.clone(), self.finite.clone(), self.resolved.clone())
        return Chain(tuple(self.state.clone()), tuple(self.directions.clone()), *marks)


def follow_compiled(
    run: Callable[..., None], draws: Draws, horizons: tuple[int, ...], watches: Sequence[Watch] = ()
) -> Iterator[Moment]:
    """As `rnnmc.chain.product.follow` along these draws, through a `kernel` of their cell, width, dtype and layout.

    Watches are shown every step of this very chain; what they ask J_t for is the cell's own push.
    """
    chain, given, done = CompiledChain(run, draws, draws.state()), draws.given, 0
    for recurrent, x, steps in draws.weighed(horizons, 1 if watches else STEPS_OF_A_CALL):
        before = tuple(chain.state.clone()) if watches else ()
        chain.advance(recurrent, x, steps)
        done += steps
        if watches:
            step = _seen(chain, given, recurrent, x, before, done)
            for watch in watches:
                watch.see(step)
        if done in horizons:
            yield chain.now().moment(draws.layout, done)


def _seen(
    chain: CompiledChain,
    given: Given,
    recurrent: Tensor | None,
    x: Tensor | None,
    before: tuple[Tensor, ...],
    number: int,
) -> Step:
    draws = chain.draws
    weights, drive = draws.of_cell(recurrent), draws.by_gate(given.total(draws.layout, None if x is None else x[0]))
    _, push = draws.cell.linearise(weights, drive, before)
    now = chain.now()
    seen = together(draws.layout, now.directions, now.exponent)
    return Step(number, weights, drive, before, now.state, push, *seen, now.finite)
