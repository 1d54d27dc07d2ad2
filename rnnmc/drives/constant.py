"""A constant input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from rnnmc.drives.drive import Drive


class ConstantDrive(Drive):
    """x_t = value in every component."""

    name, main = "constant", "value"
    formula = "x_t = value"
    source = "physics.md section 3"
    value: Annotated[float, Field(allow_inf_nan=False)] = 1.0

    def pieces(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
        while True:
            yield np.full(shape, float(self.value))


DRIVE = ConstantDrive
