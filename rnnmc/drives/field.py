"""A white field on every pre-activation: the limit of an input of large dimension."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from rnnmc.drives.drive import Drive


class FieldDrive(Drive):
    """Every pre-activation of every gate and unit gets its own N(0, s^2) at every step; s is init.input.gaussian."""

    name = "field"
    formula = "W_k x_t -> N(0, s_k^2), fresh for each gate, unit and step"
    source = "Molgedey et al. 1992; Schuecker, Goedeke, Helias 2018"
    is_field: ClassVar[bool] = True
    dimension: Literal[1] = 1  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def label(self) -> str:
        return self.name

    def pieces(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
        while True:
            yield rng.standard_normal(shape)


DRIVE = FieldDrive
