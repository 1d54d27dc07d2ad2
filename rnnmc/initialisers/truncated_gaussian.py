"""Independent normal entries cut at two deviations: `lecun_normal` and the like."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from rnnmc.initialisers.law import NonNegative, Signs, WeightLaw

DEVIATION_WITHIN_TWO = 0.87962566103423978  # of a standard normal restricted to [-2, 2]


class TruncatedGaussian(WeightLaw):
    """Normal entries within two deviations, rescaled to variance gain^2 / fan_in."""

    name, main = "truncated_gaussian", "gain"
    formula = "N(0, s^2) given |.| < 2 s, with variance gain^2 / fan_in"
    source = "LeCun et al. 1998; jax.nn.initializers.lecun_normal"
    gain: NonNegative

    def moments(self, rows: int, columns: int) -> tuple[float, float] | None:
        return 0.0, self.gain**2 / rows

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        low, high = ndtr(-2.0), ndtr(2.0)
        return ndtri(low + (high - low) * rng.random(shape)) * (self.gain / DEVIATION_WITHIN_TWO / np.sqrt(shape[1]))


LAW = TruncatedGaussian
