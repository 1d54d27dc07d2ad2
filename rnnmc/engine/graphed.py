"""The chain on a GPU with its steps recorded once and replayed: launching them one by one costs more than they do.

A segment is the plain engine's own step, several times over, from buffers into the same buffers. On CUDA it is captured
into a graph; on a CPU, where there is nothing to capture, it runs as it is, which is how it is tested there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rnnmc.chain.product import Moment, advanced, start
from rnnmc.engine.draws import Draws

RECORDED = 8  # steps of one graph: more save little, and each costs memory
WARM_UP = 3  # runs before a capture, as CUDA asks


def follow_graphed(draws: Draws, horizons: tuple[int, ...]) -> Iterator[Moment]:
    """As `rnnmc.chain.product.follow` along these draws, whose weights are tied; nothing is shown to observables."""
    chain = _Recorded(draws)
    todo, done = draws.segments(horizons, RECORDED), 0
    for x, steps in todo:
        chain.advance(x, steps)
        done += steps
        if done in horizons:
            yield chain.now.copied().moment(draws.layout, done)


class _Recorded:
    """Buffers of the chain, and what advances them by so many steps: made when first asked for."""

    def __init__(self, draws: Draws):
        self.draws = draws
        self.now = start(draws.cell, draws.layout, draws.state(), apart=draws.apart).copied()
        self.runs: dict[int, Callable[[], None]] = {}
        self.x: dict[int, Tensor] = {}

    def advance(self, x: Tensor | None, steps: int) -> None:
        """So many steps on, with this drive."""
        if x is not None:
            self.x.setdefault(steps, torch.empty_like(x)).copy_(x)
        if steps not in self.runs:
            self.runs[steps] = self._recorded(steps)
        self.runs[steps]()

    def _recorded(self, steps: int) -> Callable[[], None]:
        def run() -> None:
            now, given, x = self.now, self.draws.given, self.x.get(steps)
            for i in range(steps):
                drive = self.draws.by_gate(given.total(self.draws.layout, None if x is None else x[i]))
                now, _ = advanced(self.draws.cell, self.draws.layout, weights, drive, now)
            for buffer, value in zip(self.now.tensors, now.tensors, strict=True):
                buffer.copy_(value)

        weights = self.draws.of_cell(self.draws.given.recurrent)
        if self.draws.device != "cuda":
            return run
        kept = [buffer.clone() for buffer in self.now.tensors]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        for buffer, value in zip(self.now.tensors, kept, strict=True):  # what warming up has moved on
            buffer.copy_(value)
        return graph.replay
