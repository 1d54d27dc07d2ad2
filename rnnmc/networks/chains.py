"""The chain P_T of a given layer along given inputs, compiled where its cell can be, else on the plain engine.

Sequences are replicates. The norms of ds_T/ds_(T-k) by lag k are those of a chain of k steps that starts from the state
at T - k, so that the numerics are those of every other chain. docs/physics.md sections 1 and 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnmc.cells.cell import Cell
from rnnmc.chain.norms import log_norms
from rnnmc.chain.product import Moment, Watch, follow
from rnnmc.common.arrays import Floats
from rnnmc.engine.choice import COMPILED_ROWS_UP_TO_WIDTH
from rnnmc.engine.compiled.follow import follow_compiled, made
from rnnmc.engine.compiled.symbols import Untraceable
from rnnmc.engine.draws import Draws, Given
from rnnmc.networks.network import Layer, Network
from rnnmc.networks.step_module import INPUT, StepModule
from rnnmc.numerics.layout import Rows
from rnnmc.numerics.norms import norms_of
from rnnmc.numerics.threads import one_thread
from rnnmc.numerics.weights import Weights

TOGETHER = 32  # sequences whose chains run at a time, in one thread: their directions then fit the caches


class GivenDraws(Draws):
    """What `rnnmc.engine.draws.Draws` gives a chain, from weights and inputs that are given instead of drawn.

    layer: of one network, or of as many as there are sequences. x: (T, R, m) float64. start: the parts of the state,
    (R, n) each; zero unless given.
    """

    def __init__(self, layer: Layer, x: Floats, start: Sequence[Floats] = (), dtype: str = "float64"):
        self.layer, self.x, self.start = layer, x, start
        self.cell, self.width, self.layout, self.device = layer.cell, layer.width, Rows(), "cpu"
        self.replicates, self.dtype = x.shape[1], getattr(torch, dtype)
        drive = SimpleNamespace(dimension=x.shape[2])
        apart = not self.cell.has_matrices
        self.point: Any = SimpleNamespace(weights="tied", drive=drive, units_apart=apart)  # all that a chain asks of it

    def state(self) -> tuple[Tensor, ...]:
        """The start."""
        start = self.start or [np.zeros((self.replicates, self.width)) for _ in self.cell.parts]
        return tuple(self._load(part[:, None]) for part in start)

    @cached_property
    def given(self) -> Given:
        """Weights and biases, side by side, once for each sequence."""
        layer = self.layer
        recurrent = self._beside([layer.recurrent[name].swapaxes(1, 2) for name in self.cell.recurrent])
        inputs = self._beside([layer.inputs[gate].swapaxes(1, 2) for gate in self.cell.gates])
        bias = self._beside([layer.bias[gate][:, None] for gate in self.cell.gates])
        of_cell = [layer.bias[name] for name in self.cell.inner_biases] + [
            layer.vectors[one] for one in self.cell.vectors
        ]
        inner = self._beside([vector[:, None] for vector in of_cell])
        assert bias is not None
        return Given(recurrent, inputs, bias, bias[:, :, :0].contiguous() if inner is None else inner, None)

    def _beside(self, matrices: Sequence[Floats]) -> Tensor | None:
        if not matrices:
            return None
        side_by_side = self._load(np.concatenate(matrices, axis=2))
        return side_by_side.expand(self.replicates, -1, -1).contiguous()

    def drive(self) -> Iterator[Tensor | None]:
        """x, as one piece."""
        yield self._load(self.x[:, :, None])

    def steps(self) -> Iterator[tuple[Weights, Mapping[str, Tensor]]]:
        """As of any draws; a module that steps by itself is shown x instead of W x + b."""
        if not isinstance(self.cell, StepModule):
            yield from super().steps()
            return
        for x in self._load(self.x[:, :, None]):
            yield Weights(self.layout, None, {}, {}), {INPUT: x}


def trajectory(layer: Layer, x: Floats) -> tuple[Floats, ...]:
    """The parts of the state from a start at zero, (T + 1, R, n) float64 each, for x of (T, R, m) in reading order."""
    draws = GivenDraws(layer, x)
    states = [draws.state()]
    with one_thread():
        for weights, drive in islice(draws.steps(), len(x)):
            states.append(layer.cell.step(weights, drive, states[-1]))
    return tuple(torch.stack(part)[:, :, 0].numpy() for part in zip(*states, strict=True))


@dataclass(frozen=True, eq=False)
class Reading:
    """A layer with what it reads: x, (T, R, m) float64 in its own reading order."""

    layer: Layer
    x: Floats

    @cached_property
    def states(self) -> tuple[Floats, ...]:
        """What becomes of its state, see `trajectory`; run when first asked for."""
        return trajectory(self.layer, self.x)


def readings(network: Network, x: Floats) -> Iterator[Reading]:
    """Each layer of the network along the inputs x, (T, R, m) in the order of time, level by level.

    A level above the first runs the ones below it.
    """
    below: list[Reading] = []
    for level in network.levels:
        if below:
            x = np.concatenate([_shown(one, network.shown) for one in below], axis=2)
        below = [Reading(layer, x[::-1].copy() if layer.reverse else x) for layer in level]
        yield from below


def _shown(reading: Reading, units: int | None) -> Floats:
    h = reading.states[0][1:, :, :units]
    return h[::-1] if reading.layer.reverse else h


def chain_norms(
    layer: Layer, x: Floats, horizons: Sequence[int], start: Sequence[Floats] = (), dtype: str = "float64"
) -> dict[str, Floats]:
    """Log-norms of P_T at each of the rising horizons, in nats, from a start at zero unless given.

    log_spectral, log_rms, resolved: (R, horizons) of the joint chain, as `rnnmc.chain.norms.log_norms` has them.
    h_to_h: the spectral norm of its block from h to h, of all layers together in a stack; in a cell with the state h
    the same. x: (T, R, m) in reading order.
    """
    slices = [slice(first, first + TOGETHER) for first in range(0, x.shape[1], TOGETHER)]

    def some(these: slice) -> dict[str, Floats]:
        own = layer if _networks(layer) == 1 else picked(layer, these)
        draws = GivenDraws(own, x[: horizons[-1], these], [part[these] for part in start], dtype)
        with torch.no_grad():
            found = [_logs(moment, layer.cell, layer.width) for moment in chain(draws, tuple(horizons))]
        return {name: np.stack([one[name] for one in found], axis=1) for name in found[0]}

    at_once = torch.get_num_threads()
    with one_thread(), ThreadPoolExecutor(at_once) as threads:  # a compiled chain runs without Python, beside others
        parts = list(threads.map(some, slices))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def chain(draws: GivenDraws, horizons: tuple[int, ...], watches: Sequence[Watch] = ()) -> Iterator[Moment]:
    """The chain along these draws, as `rnnmc.chain.product.follow`."""
    run = None if watches else compiled_chain(draws.cell, draws.width, draws.dtype)
    if run is not None:
        return follow_compiled(run, draws, horizons)
    return follow(draws.cell, draws.layout, draws.steps(), draws.state(), horizons, watches, apart=draws.apart)


@cache
def compiled_chain(cell: Cell, width: int, dtype: torch.dtype):
    """The compiled kernel of this cell; None where it has no trace, is too wide, or there is no compiler."""
    if width > COMPILED_ROWS_UP_TO_WIDTH or isinstance(cell, StepModule):
        return None
    try:
        return made(cell, width, dtype, by_replicate=False, apart=not cell.has_matrices)[0]
    except Untraceable:
        return None


def picked(layer: Layer, some: slice | np.ndarray) -> Layer:
    """The layer of some of its networks."""

    def those(weights: Mapping[str, Floats]) -> dict[str, Floats]:
        return {name: weight[some] for name, weight in weights.items()}

    weights = {role: those(getattr(layer, role)) for role in ("recurrent", "inputs", "bias", "vectors")}
    return replace(layer, **weights)


def _networks(layer: Layer) -> int:
    return len(next(iter(layer.bias.values())))


def _logs(moment: Moment, cell: Cell, width: int) -> dict[str, Floats]:
    joint = log_norms(moment, norms_of)
    of_h = [part for part, name in enumerate(cell.parts) if name.partition(" ")[0] == "h"]
    h_to_h = joint
    if 0 < len(of_h) < len(cell.parts):  # of a cell without one it is what the whole state does
        units = torch.cat([torch.arange(part * width, (part + 1) * width) for part in of_h])
        h_to_h = log_norms(replace(moment, product=moment.product[:, units][:, :, units]), norms_of)
    return joint | {"h_to_h": h_to_h["log_spectral"]}
