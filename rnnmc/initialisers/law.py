"""What every initialiser offers: a law of the entries, with clipping and scaling; or a preset made of laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from rnnmc.cells.cell import Cell
from rnnmc.common.described import Described

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
OneZero = AfterValidator(lambda value: value + 0.0)  # -0.0 becomes 0.0: equal numbers, equal keys
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), OneZero]
Finite = Annotated[float, Field(allow_inf_nan=False), OneZero]

Signs = tuple[int, ...]  # one for each matrix drawn together: -1 for a gate that forgets when open (Cell.memory)

MODIFIERS = ("clip", "spectral_radius", "stacked")


class WeightLaw(Described):
    """A law of weights. Sizes: fan_in is the length of what the matrix multiplies (1 for a bias).

    clip: entries are cut to [-clip, clip]. spectral_radius: each square matrix is then scaled to this radius.
    stacked: draw the matrices of all gates as one, fan_in x (gates * n), as Keras does.
    scales: parameters of which 0 makes every entry 0: an input that is not felt, a bias that is none, and no network.
    """

    scales: ClassVar[tuple[str, ...]] = ("gain",)

    clip: Positive | None = None
    spectral_radius: NonNegative | None = None
    stacked: bool = False

    def groups(self, gates: tuple[str, ...], cell: Cell) -> list[tuple[str, ...]]:
        """Which of `gates` are drawn together. Raises ValueError for a cell that has no such gates."""
        return [gates] if self.stacked else [(gate,) for gate in gates]

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        """Draw (replicates, fan_in, gates * n) float64 before clipping and scaling."""
        raise NotImplementedError

    def moments(self, rows: int, columns: int) -> tuple[float, float] | None:
        """(mean, variance) of every entry of a matrix of fan_in `rows` before clipping and scaling.

        None where it is not said, or entries differ: n times the variance is the square of the gain that is stated.
        """
        return None

    def draw(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs = (1,)) -> np.ndarray:
        """Draw (replicates, fan_in, gates * n) float64, input by output: entry [r, j, i] weighs input j in unit i."""
        matrix = self.entries(rng, shape, signs)
        if self.clip is not None:
            matrix = np.clip(matrix, -self.clip, self.clip)
        if self.spectral_radius is not None:
            parts = np.split(matrix, len(signs), axis=2)
            matrix = np.concatenate([part * self._to_radius(part) for part in parts], axis=2)
        return matrix

    def _to_radius(self, matrix: np.ndarray) -> np.ndarray:
        import torch  # LAPACK on the one thread that a block runs on

        radius = torch.linalg.eigvals(torch.from_numpy(matrix)).abs().amax(-1).numpy()
        return np.where(radius > 0, self.spectral_radius / np.where(radius > 0, radius, 1), 0)[:, None, None]

    @property
    def is_zero(self) -> bool:
        """Whether every entry is sure to be 0."""
        return self.moments(1, 1) == (0.0, 0.0)

    def modifiers(self) -> dict[str, Any]:
        """Clipping, scaling and stacking, as far as they are asked for."""
        return {key: value for key, value in self.said().items() if key in MODIFIERS and value is not False}

    def written(self) -> Any:
        said = {key: value for key, value in self.said().items() if key not in MODIFIERS}
        return {self.name: said[str(self.main)] if list(said) == [self.main] else said} | self.modifiers()


class OfSteps(WeightLaw):
    """A law that begins with steps of time of many sizes: their logarithm is uniform on [log low, log high]."""

    low: Positive = 1e-3
    high: Positive

    @model_validator(mode="after")
    def _ordered(self) -> OfSteps:
        if self.low > self.high:
            raise ValueError("has low above high; give 0 < low <= high")
        return self

    def steps(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw steps of this shape."""
        return np.exp(rng.uniform(np.log(self.low), np.log(self.high), shape))


def of_matrices(cell: Cell) -> bool:
    """Whether a framework's default can be meant: its recurrent weights are matrices."""
    return not cell.diagonal


Roles = Callable[[Cell, int, int], dict[str, Any]]


@dataclass(frozen=True)
class Preset:
    """An initialisation by name, such as a framework's default, or that of one of its layers.

    roles(cell, width, inputs): what a study file would say of each role. serves: whether it has something for a cell.
    cells: of a layer the cells that it can be, first the one that it is unless an option of it says another.
    """

    name: str
    formula: str
    source: str
    roles: Roles
    serves: Callable[[Cell], bool] = of_matrices
    cells: tuple[str, ...] = ()


def layers_of(module: str, formula: str, source: str, roles: Roles, **cells: str) -> tuple[Preset, ...]:
    """A preset for each layer of `module`, all of which draw alike: name of a layer -> its cells, with spaces."""
    return tuple(_layer(f"{module}.{name}", formula, source, roles, tuple(of.split())) for name, of in cells.items())


def _layer(name: str, formula: str, source: str, roles: Roles, cells: tuple[str, ...]) -> Preset:
    return Preset(name, formula, source, roles, lambda cell: cell.name in cells, cells)
