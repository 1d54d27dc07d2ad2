"""A trajectory whose steps can be walked again, forwards and backwards, in bounded memory.

A sweep against time needs the Jacobians of all steps in reverse. What each is made of is a few vectors; these are kept
for as many steps as memory allows, and made again from a checkpoint of the state and the same draws where it does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from rnnmc.chain.product import size_of
from rnnmc.engine.draws import Draws
from rnnmc.engine.few_directions.factored import Factors, Linearised
from rnnmc.numerics.layout import Rows
from rnnmc.numerics.weights import Weights
from rnnmc.study.point import DesignPoint

MEMORY = 1 << 29  # bytes of factors kept at a time
SEGMENTS = 4  # that they are kept in: between checkpoints


class FactoredStep(NamedTuple):
    """One step of the trajectory. state_size: (R, 1, 1) largest entry of the state after it, where it may overflow."""

    number: int
    factors: Factors
    state_size: Tensor | None


class Replay:
    """The steps of `Draws`, which can be taken again from a marked one on, at the cost of the drives before it."""

    def __init__(self, draws: Draws):
        self.draws, self.untied = draws, draws.point.weights == "untied"
        self._given = draws.given
        self._last = self._states()
        self._marks = {0: self._last}  # step -> states of the generators of weights once those of the step are drawn

    def mark(self, step: int) -> None:
        """Make it possible to start after this step, which is the last that was taken."""
        self._marks[step] = self._last

    def steps_after(self, step: int) -> Iterator[tuple[Weights, Mapping[str, Tensor]]]:
        """As `Draws.steps`, from the one after `step` on, 0 or marked."""
        states, recurrent, skip = self._marks[step], self._given.recurrent, step
        fresh, weights = self.untied and step > 0, self.draws.of_cell(recurrent)
        for piece in self.draws.drive():
            some = [None] if piece is None else piece
            if skip >= len(some):
                skip -= len(some)
                continue
            for x in some[skip:]:
                if fresh:
                    recurrent, states = self._recurrent(states)
                    weights = self.draws.of_cell(recurrent)
                yield weights, self.draws.by_gate(self._given.total(self.draws.layout, x))
                fresh = self.untied
            skip = 0

    def _states(self) -> Sequence[Mapping[str, Any]]:
        return [rng.bit_generator.state for rng in self.draws.of_weights] if self.untied else []

    def _recurrent(self, states: Sequence[Mapping[str, Any]]) -> tuple[Tensor | None, Sequence[Mapping[str, Any]]]:
        """(the weights of a step, the states after it); other steps may have been drawn in between."""
        for rng, state in zip(self.draws.of_weights, states, strict=True):
            rng.bit_generator.state = state
        recurrent = self.draws.recurrent()
        self._last = self._states()
        return recurrent, self._last


class Path:
    """The steps 1, 2, ... of one tile, each as `Factors` of its Jacobian, with the weights and drives of `Draws`.

    memory: bytes that the factors of all steps kept at a time may take. A segment between two checkpoints has a
    quarter of that; beside them, one state is kept for each segment.
    """

    def __init__(
        self,
        point: DesignPoint,
        tiles: list[tuple[int, int]],
        replicates: int,
        device: str,
        dtype: str,
        memory: int | None = None,
    ):
        self.draws = Draws(point, tiles, replicates, Rows(), device, dtype)
        self.replay = Replay(self.draws)
        self.cell, self.untied = point.cell_object, point.weights == "untied"
        self.linearised = Linearised(self.cell, tied=not self.untied)
        self.last, self.length = point.horizons[-1], 0  # of the whole path, and of a segment once one is known
        self.memory = MEMORY if memory is None else memory
        self.start = self.draws.state()
        self.checkpoints = {0: self.start}  # segment -> the state before its first step
        self.kept: dict[int, list[FactoredStep]] = {}  # segment -> its steps, the one used last at the end
        self._going = 0, self.replay.steps_after(0)  # how many steps have been taken from which draws

    def forward(self, last: int) -> Iterator[FactoredStep]:
        """The steps from 1 to `last`, in order."""
        segment = 0
        while True:
            for step in self._steps(segment):
                yield step
                if step.number == last:
                    return
            segment += 1

    def backward(self, first: int) -> Iterator[FactoredStep]:
        """The steps from `first` down to 1. The path must have been walked so far before."""
        for segment in range((first - 1) // self.length, -1, -1):
            for step in reversed(self._steps(segment)):
                if step.number <= first:
                    yield step

    def _steps(self, segment: int) -> list[FactoredStep]:
        steps = self.kept.pop(segment, None)
        if steps is None:
            while len(self.kept) >= SEGMENTS:
                del self.kept[next(iter(self.kept))]
            steps = self._made(segment)
        self.kept[segment] = steps
        return steps

    def _made(self, segment: int) -> list[FactoredStep]:
        """The steps of a segment, from its checkpoint; and the checkpoint of the next one."""
        state, before, nbytes = self.checkpoints[segment], segment * self.length, 0
        made: list[FactoredStep] = []
        going, steps = self._going
        if going != before:
            steps = self.replay.steps_after(before)
        for weights, drive in steps:
            state, factors = self.linearised.step(weights, drive, state)
            size = None if self.cell.bounded else size_of(self.draws.layout, state)
            made.append(FactoredStep(before + len(made) + 1, factors, size))
            nbytes += factors.nbytes
            if self.untied and weights.stacked is not None:
                nbytes += weights.stacked.nbytes
            full = len(made) == self.length if self.length else nbytes >= self.memory // SEGMENTS
            if full or made[-1].number == self.last:
                break
        self.length = self.length or len(made)
        self.checkpoints[segment + 1] = state
        self.replay.mark(before + len(made))
        self._going = before + len(made), steps
        return made
