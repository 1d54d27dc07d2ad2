"""No input: the autonomous network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from rnnmc.drives.drive import Drive


class NoDrive(Drive):
    """x_t = 0."""

    name = "none"
    is_random = False
    formula = "x_t = 0"
    source = "Sompolinsky, Crisanti, Sommers 1988"
    dimension: Literal[0] = 0  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def label(self) -> str:
        return self.name

    def pieces(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
        while True:
            yield np.zeros(shape)


DRIVE = NoDrive
