"""A constant input."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnmc.drives.drive import Drive
from rnnmc.initialisers.law import Finite


class ConstantDrive(Drive):
    """x_t = value in every component."""

    name, main = "constant", "value"
    is_random = False
    formula = "x_t = value"
    source = "docs/physics.md section 3"
    value: Finite = 1.0

    def pieces(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
        while True:
            yield np.full(shape, float(self.value))


DRIVE = ConstantDrive
