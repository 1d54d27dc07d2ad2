"""The draws of one tile: weights, drive and initial state, from streams that depend on nothing but their key.

A tile is a fixed number of replicates that are drawn together. Its streams are counter-based (Philox) and keyed by
(study seed and factors, through the point key; block; tile; role), so that no draw depends on which other tiles were
drawn, in which order or process, or on which device the chain then runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.numerics.layout import Layout
from rnnmc.numerics.normal import SinglePrecision
from rnnmc.numerics.weights import Weights
from rnnmc.study.initialisation import Assignment, names_of
from rnnmc.study.point import DesignPoint

Role = str  # one of OWN_STREAMS, or an observable that needs random directions
OWN_STREAMS = {"weights", "drive", "state", "tangent", "wide", "conditional", "directions", "splitting"}
# Numbers drawn at a time for a drive. Bounds memory; the numbers of a float32 point rest on it: see SinglePrecision.
PIECE_ENTRIES = 1 << 18


def stream(key: str, block: int, tile: int, role: Role, dtype: str) -> np.random.Generator:
    """The generator of one role of one tile; equal arguments give equal draws everywhere.

    dtype: of the design point: normal numbers have its precision.
    """
    digest = hashlib.blake2b(f"{key}/{block}/{tile}/{role}".encode(), digest_size=16).digest()
    bits = np.random.Philox(key=int.from_bytes(digest, "little"))
    return SinglePrecision(bits) if dtype == "float32" else np.random.Generator(bits)


@dataclass(frozen=True)
class Given:
    """What a tile keeps for all steps, in its layout.

    recurrent: matrices side by side, or None. inputs: matrix W (m x gates n), or None. bias: of the gates, side by
    side. inner: the biases that the cell adds itself, then its vector weights. deviation: of the field on each gate and
    unit, or None.
    """

    recurrent: Tensor | None
    inputs: Tensor | None
    bias: Tensor
    inner: Tensor
    deviation: Tensor | None

    def total(self, layout: Layout, x: Tensor | None) -> Tensor:
        """W x + b, or the field plus b, of every gate side by side."""
        if x is None:
            return self.bias
        if self.deviation is not None:
            return x * self.deviation + self.bias
        return self.bias if self.inputs is None else layout.product(x, self.inputs, plus=self.bias)


class Draws:
    """Weights, pre-activations and initial state of one tile, as tensors in one layout.

    point: the design point. tiles: (block, tile) pairs that run together, each of `replicates` replicates, a whole
    number of the groups that share a weight draw.
    dtype: of the tensors, "float32" or "float64", by default the point's; what is drawn does not depend on it.
    """

    def __init__(
        self,
        point: DesignPoint,
        tiles: list[tuple[int, int]],
        replicates: int,
        layout: Layout,
        device: str,
        dtype: str = "",
    ):
        self.point, self.cell, self.layout, self.device = point, point.cell_object, layout, device
        self.tiles, self.replicates, self.width = tiles, replicates, point.width
        self.nested = point.nested
        self.dtype = torch.float32 if (dtype or point.dtype) == "float32" else torch.float64
        self.of_weights = self.streams("weights")

    @cached_property
    def laws(self) -> dict[str, list[Assignment]]:
        """role -> which matrices are drawn together, and by which law, in the order in which they are drawn."""
        return self.point.init.assignments(self.cell, self.width, self.point.drive.dimension)

    @property
    def apart(self) -> bool:
        """Whether each direction of the chain has an exponent of its own, as of `rnnmc.chain.product.follow`."""
        return self.point.units_apart

    def streams(self, role: Role) -> list[np.random.Generator]:
        """A generator for each tile."""
        return [stream(self.point.key, block, tile, role, self.point.dtype) for block, tile in self.tiles]

    def _load(self, array: np.ndarray) -> Tensor:
        return self.layout.load(array, self.dtype, self.device)

    def state(self) -> tuple[Tensor, ...]:
        """Initial state: zero, or N(0, state_std^2) in every part."""
        shape = (len(self.cell.parts), self.replicates, 1, self.width)
        if not self.point.state_std:
            return tuple(self._load(np.zeros((self.replicates * len(self.tiles), *shape[2:]))) for _ in self.cell.parts)
        draws = [rng.standard_normal(shape) * self.point.state_std for rng in self.streams("state")]
        return tuple(self._load(part) for part in np.concatenate(draws, axis=1))

    def tangent(self) -> Tensor:
        """(R, d) float64 random unit vectors of the joint state, one a replicate, on the CPU."""
        shape = (self.replicates, len(self.cell.parts) * self.width)
        rows = np.concatenate([rng.standard_normal(shape) for rng in self.streams("tangent")]).astype(np.float64)
        return torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    @cached_property
    def given(self) -> Given:
        """What is drawn before the first step."""
        axis, of_gates = self.layout.out_axis, len(self.cell.gates) * self.width
        recurrent = self.recurrent()
        with_inputs = self.point.drive.dimension > 0 and not self.point.drive.is_field
        inputs = self._drawn("input", self.point.drive.dimension) if with_inputs else None
        biases = self._drawn("bias", 1)
        if biases is None:
            raise TypeError(f"{self.cell.name} has no gates")
        bias, inner = biases.split([of_gates, biases.shape[axis] - of_gates], axis)
        if (vectors := self._drawn("vector", 1)) is not None:  # last: cells without any keep their draws
            inner = torch.cat([inner, vectors], axis)
        return Given(recurrent, inputs, bias.contiguous(), inner.contiguous(), self._deviation())

    def recurrent(self) -> Tensor | None:
        """Recurrent matrices drawn anew, side by side, or None where the cell has none."""
        return self._drawn("recurrent", 1 if self.cell.diagonal else self.width)

    def steps(self) -> Iterator[tuple[Weights, Mapping[str, Tensor]]]:
        """Yield (weights, drive) without end, one for each step; the drive is gate -> W_k x_t + b_k.

        Untied weights are recurrent matrices that are fresh at every step; input weights and biases stay.
        """
        given = self.given
        recurrent = given.recurrent
        for piece in self.drive():
            for x in [None] if piece is None else piece:
                yield self.of_cell(recurrent), self.by_gate(given.total(self.layout, x))
                if self.point.weights == "untied":
                    recurrent = self.recurrent()

    def segments(self, horizons: tuple[int, ...], most: int) -> Iterator[tuple[Tensor | None, int]]:
        """(drive, steps) up to the last horizon, none of more than `most` steps, nor across a horizon.

        drive: (steps, ...) as `drive` gives it, or None without input.
        """
        pieces, piece, at, done = self.drive(), None, 0, 0
        for horizon in horizons:
            while done < horizon:
                if piece is None or at == len(piece):
                    piece, at = next(pieces), 0
                steps = min(most, horizon - done, most if piece is None else len(piece) - at)
                yield (None if piece is None else piece[at : at + steps]), steps
                at, done = at + steps, done + steps

    def weighed(self, horizons: tuple[int, ...], most: int) -> Iterator[tuple[Tensor | None, Tensor | None, int]]:
        """(recurrent matrices, drive, steps) of each of the `segments`, of one step where weights are untied."""
        untied, recurrent = self.point.weights == "untied", self.given.recurrent
        for x, steps in self.segments(horizons, 1 if untied else most):
            yield recurrent, x, steps
            if untied:
                recurrent = self.recurrent()

    def by_gate(self, total: Tensor) -> dict[str, Tensor]:
        """gate -> its part of what is side by side."""
        return self._by_name(self.cell.gates, total)

    def of_cell(self, recurrent: Tensor | None) -> Weights:
        """These recurrent matrices with the biases that the cell adds itself, by name, and what makes its drive."""
        named, given = self._by_name(self.cell.recurrent, recurrent) if recurrent is not None else {}, self.given
        inner = self._by_name(self.cell.inner, given.inner)
        return Weights(self.layout, recurrent, named, inner, given.inputs, given.bias)

    def _by_name(self, names: tuple[str, ...], side_by_side: Tensor) -> dict[str, Tensor]:
        return {
            name: side_by_side.narrow(self.layout.out_axis, i * self.width, self.width) for i, name in enumerate(names)
        }

    def _drawn(self, role: str, rows: int) -> Tensor | None:
        """Every matrix of this role side by side, or None where the cell has none."""
        if not names_of(self.cell, role):
            return None
        drawn = _joined([self._matrices(role, rows, rng) for rng in self.of_weights], 0)
        return self._load(_repeated(drawn, self.nested.group, 0))

    def _matrices(self, role: str, rows: int, rng: np.random.Generator) -> np.ndarray:
        """(weight draws, rows, names * n): every matrix of this role side by side, in the cell's own order."""
        names, n = names_of(self.cell, role), self.width
        draws = self.replicates // self.nested.group
        out = np.empty((draws, rows, len(names) * n))
        for together, law in self.laws[role]:
            signs = tuple(self.cell.memory.get(gate, 1) for gate in together)
            matrix = law.draw(rng, (draws, rows, len(together) * n), signs)
            for i, gate in enumerate(together):
                at = names.index(gate) * n
                out[:, :, at : at + n] = matrix[:, :, i * n : (i + 1) * n]
        return out

    def _deviation(self) -> Tensor | None:
        if not self.point.drive.is_field:
            return None
        return self._load(np.repeat(field_deviation(self.cell, self.laws["input"]), self.width)[None, None])

    def drive(self) -> Iterator[Tensor | None]:
        """Yield piece after piece of x_t, (steps, ...) vectors, or None for every step without input.

        Of a field, x_t is standard and n times the number of gates long.
        """
        drive = self.point.drive
        size = self.width * len(self.cell.gates) if drive.is_field else drive.dimension
        if size == 0:
            while True:
                yield None
        draws = self.replicates // self.nested.states
        steps = max(1, min(self.point.horizons[-1], PIECE_ENTRIES // (size * self.replicates)))
        pieces = [drive.pieces(rng, (steps, draws, size)) for rng in self.streams("drive")]
        while True:
            piece = _joined([next(source) for source in pieces], 1)
            yield self._load(_repeated(piece, self.nested.states, 1)[:, :, None])


def _joined(arrays: list[np.ndarray], axis: int) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=axis)


def _repeated(array: np.ndarray, times: int, axis: int) -> np.ndarray:
    return array if times == 1 else array.repeat(times, axis=axis)


def field_deviation(cell: Cell, assignments: list[Assignment]) -> np.ndarray:
    """(gates,) deviation of the field on each gate, from its Gaussian input law."""
    law_of = {gate: law for gates, law in assignments for gate in gates}
    return np.array([law.gain if isinstance(law := law_of[gate], Gaussian) else np.nan for gate in cell.gates])
