"""A multiple of the identity."""

from __future__ import annotations

import numpy as np

from rnnmc.initialisers.law import Finite, Signs, WeightLaw


class Identity(WeightLaw):
    """factor times the identity matrix."""

    name, main = "identity", "factor"
    formula = "factor * I"
    source = "Le, Jaitly, Hinton 2015 (IRNN)"
    factor: Finite = 1.0

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        count, rows, columns = shape
        one = np.tile(np.eye(rows, columns // len(signs)), len(signs))
        return np.broadcast_to(self.factor * one, (count, rows, columns)).copy()


LAW = Identity
