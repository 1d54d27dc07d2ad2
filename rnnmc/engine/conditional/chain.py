"""Chains with Gaussian weights at any width: state and a few directions, drawn together with the weights.

A matrix acts on nothing but the state and the directions that are followed, so it is drawn as far as they see it
(`rnnmc.engine.conditional.draws`). Kept with what it has answered, it can be asked again, forwards or backwards. Untied
weights are fresh matrices at every step; tied ones are the same all along, and know all that they have answered: a
step costs O(n m), m the rows met so far, where n^2 numbers would have to be kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rnnmc.cells.cell import Cell
from rnnmc.chain.product import judged, size_of
from rnnmc.engine.conditional.draws import ConditionalMatrices, normals
from rnnmc.engine.conditional.sweeps import OrthonormalRows, factorised
from rnnmc.engine.draws import Draws
from rnnmc.engine.few_directions.factored import Factors, Linearised
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.numerics.layout import Rows
from rnnmc.numerics.weights import Weights
from rnnmc.study.point import DesignPoint

if TYPE_CHECKING:
    from rnnmc.cells.cell import State

DIRECTIONS = 8
MEMORY = 2 << 30  # bytes that the matrices of a tile may keep; beyond it they forget


@dataclass
class Logged:
    """The chain at one horizon, as far as the starting directions see it. R replicates.

    horizon: steps since the start. exponent: (R, 1, 1) int64. images: (R, j, d) P_T times each found direction, divided
    by 2^exponent. tests: (R, m, d) the same of the test directions. finite, resolved: (R,)
    bool, as in `rnnmc.chain.product.Moment`.
    """

    horizon: int
    exponent: Tensor
    images: Tensor
    tests: Tensor
    finite: Tensor
    resolved: Tensor


@dataclass
class Followed:
    """A chain that has been followed once, and what is needed to sweep along it again.

    parts: of the state. found, tests: (R, j, d) and (R, m, d) orthonormal starting directions; all are found where they
    are all that there are (m = 0). logged: at each horizon. links: of each step, in order; empty if memory did not
    suffice. bytes_a_row: what one more row along one step costs. left: bytes that may still be kept.
    """

    parts: int
    found: Tensor
    tests: Tensor
    logged: list[Logged] = field(default_factory=list)
    links: list[Factors] = field(default_factory=list)
    bytes_a_row: int = 0
    left: int = 0


class _InputsOnly(Draws):
    """`Draws` without the recurrent matrices."""

    def recurrent(self) -> None:
        return None


def applies(point: DesignPoint) -> bool:
    """Whether the point's recurrent weights are whole `gaussian` matrices, and its cell has a record."""
    cell = point.cell_object
    laws = point.init.laws(cell, point.width, point.drive.dimension)["recurrent"].values()
    gaussian = all(isinstance(law, Gaussian) and law.clip is None and law.spectral_radius is None for law in laws)
    return cell.has_matrices and gaussian and _has_record(cell)


@cache
def _has_record(cell: Cell) -> bool:
    """Whether the cell does to matrices and directions only what has a record, tried on one step of two units."""
    row = torch.zeros(1, 1, 2)
    matrices = ConditionalMatrices(2, dict.fromkeys(cell.recurrent, 1.0), row, [np.random.default_rng(0)])
    weights = Weights(Rows(), None, {}, dict.fromkeys(cell.inner, row))
    try:
        linearised = Linearised(cell)
        linearised.step_of(matrices, weights, dict.fromkeys(cell.gates, row), tuple(row for _ in cell.parts))
    except Exception:  # whatever somebody's own cell does
        return False
    return linearised.recorded


def follow(
    point: DesignPoint,
    tiles: list[tuple[int, int]],
    replicates: int,
    device: str = "cpu",
    dtype: str = "",
    directions: int = DIRECTIONS,
) -> Followed:
    """Follow state and directions of some tiles to the last horizon; arguments as in `Draws`. The point `applies`.

    Matrices are kept for further sweeps if they fit in MEMORY.
    """
    draws = _InputsOnly(point, tiles, replicates, Rows(), device, dtype)
    state, generators, deviation = draws.state(), draws.streams("conditional"), _deviation(draws)
    start = _start(draws, directions, state[0])
    found = start.shape[1] if start.shape[1] == start.shape[2] else 1
    chain, carried = Followed(len(state), start[:, :found], start[:, found:]), OrthonormalRows(start, len(state))
    sound, linearised = _Soundness(draws, carried.size), Linearised(draws.cell)
    for step, (weights, drive) in enumerate(draws.steps(), 1):
        if step == 1 or point.weights == "untied":
            matrices = ConditionalMatrices(point.width, deviation, state[0], generators, point.nested.group)
        state, link = linearised.step_of(matrices, weights, drive, state)
        sound.see_state(state, carried)
        carried.through(link.times)
        sound.see_rows(carried)
        if step == 1:
            chain.bytes_a_row = matrices.bytes_a_row
            chain.left = MEMORY - point.horizons[-1] * ((start.shape[1] + 1) * matrices.bytes_a_row + link.nbytes)
        if chain.left >= 0:
            chain.links.append(link)
        if step in point.horizons:
            image = carried.image(carried.exponent)
            marks = sound.finite.flatten(), sound.resolved.flatten()
            chain.logged.append(Logged(step, carried.exponent, image[:, :found], image[:, found:], *marks))
        if step == point.horizons[-1]:
            break
    return chain


def _deviation(draws: Draws) -> dict[str, float]:
    """Recurrent matrix -> standard deviation of its entries."""
    laws = [(name, law) for names, law in draws.laws["recurrent"] for name in names]
    return {name: law.gain / math.sqrt(draws.width) for name, law in laws if isinstance(law, Gaussian)}


def _start(draws: Draws, directions: int, like: Tensor) -> Tensor:
    """(R, k, d) random orthonormal directions."""
    size = draws.width * len(draws.cell.parts)
    shape = (draws.replicates, min(directions, size), size)
    return factorised(normals(draws.streams("directions"), shape, like))[0]


class _Soundness:
    """Which replicates are still finite, and resolved, as `rnnmc.chain.product.follow` has it; (R, 1, 1) each."""

    def __init__(self, draws: Draws, like: Tensor):
        self.cell, self.layout = draws.cell, draws.layout
        self.finite = self.resolved = torch.ones_like(like, dtype=torch.bool)

    def see_state(self, state: State, before: OrthonormalRows) -> None:
        """After a step of the state, before the directions follow."""
        if not self.cell.bounded:
            size = size_of(self.layout, state)
            self.finite, self.resolved = judged(self.cell, size, before.size == 0, self.finite, self.resolved)

    def see_rows(self, carried: OrthonormalRows) -> None:
        """After a step of the directions."""
        self.resolved = self.resolved & carried.resolved(self.cell.can_die)
        self.finite = self.finite & carried.size.isfinite()
