"""Independent normal entries."""

from __future__ import annotations

import numpy as np

from rnnmc.initialisers.law import NonNegative, Signs, WeightLaw


class Gaussian(WeightLaw):
    """Entries N(0, gain^2 / fan_in): for recurrent weights `gain` is g of docs/physics.md section 5."""

    name, main = "gaussian", "gain"
    formula = "N(0, gain^2 / fan_in)"
    source = "Sompolinsky, Crisanti, Sommers 1988; Molgedey et al. 1992"
    gain: NonNegative

    def moments(self, rows: int, columns: int) -> tuple[float, float] | None:
        return 0.0, self.gain**2 / rows

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        return rng.standard_normal(shape) * (self.gain / np.sqrt(shape[1]))


LAW = Gaussian
