"""Eigenvalues on a ring: the linear recurrent unit's own initialisation."""

from __future__ import annotations

import numpy as np
from pydantic import model_validator

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import NonNegative, Positive, Signs, WeightLaw


class Ring(WeightLaw):
    """Modulus with square uniform on [inner^2, outer^2], phase uniform on [0, 2 pi)."""

    name, main = "ring", "outer"
    formula = "|lambda|^2 ~ U[inner^2, outer^2], arg lambda ~ U[0, 2 pi)"
    source = "Orvieto et al. 2023; docs/physics.md section 5"
    outer: Positive = 1.0
    inner: NonNegative = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Ring:
        if self.inner > self.outer:
            raise ValueError("has inner above outer; give 0 <= inner <= outer")
        return self

    def groups(self, gates: tuple[str, ...], cell: Cell) -> list[tuple[str, ...]]:
        if gates != ("modulus", "phase"):
            raise ValueError("is ring, which draws eigenvalues as a whole; use it for all recurrent weights of lru")
        return [gates]

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        count, rows, columns = shape
        half = (count, rows, columns // 2)
        modulus = np.sqrt(rng.uniform(self.inner**2, self.outer**2, half))
        return np.concatenate([modulus, rng.uniform(0, 2 * np.pi, half)], axis=2)


LAW = Ring
