"""The same value in every entry."""

from __future__ import annotations

import numpy as np

from rnnmc.initialisers.law import Finite, Signs, WeightLaw


class Constant(WeightLaw):
    """Every entry equal to value."""

    name, main = "constant", "value"
    formula = "value"
    source = "Jozefowicz et al. 2015 (forget bias 1)"
    value: Finite

    def moments(self, rows: int, columns: int) -> tuple[float, float] | None:
        return float(self.value), 0.0

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        return np.full(shape, float(self.value))


LAW = Constant
