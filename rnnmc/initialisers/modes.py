"""Eigenvalues of a diagonal state space model: damped oscillations of evenly spaced frequencies."""

from __future__ import annotations

import numpy as np

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import OfSteps, Signs


class Modes(OfSteps):
    """lambda_k = exp(step (-1/2 + i pi k)) for unit k = 0 ... n - 1, as modulus and phase: S4D-Lin.

    step: one for each network, with its logarithm uniform on [log low, log high].
    """

    name, main, example = "modes", "high", "0.1"
    formula = "lambda_k = exp(step (-1/2 + i pi k)), log step ~ U[log low, log high]"
    source = "Gu, Gupta, Goel, Re 2022 (S4D)"

    def groups(self, gates: tuple[str, ...], cell: Cell) -> list[tuple[str, ...]]:
        if gates != ("modulus", "phase"):
            raise ValueError("is modes, which draws eigenvalues as a whole; use it for all recurrent weights of s4d")
        return [gates]

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        count, rows, columns = shape
        step = self.steps(rng, (count, rows, 1))
        mode = np.arange(columns // 2)
        return np.concatenate([np.exp(-step / 2) * np.ones(len(mode)), np.pi * step * mode], axis=2)


LAW = Modes
