"""Biases behind a softplus, so that it gives steps of many sizes."""

from __future__ import annotations

import numpy as np

from rnnmc.initialisers.law import OfSteps, Signs


class Softplus(OfSteps):
    """b with log(1 + e^b) = u, where log u is uniform on [log low, log high]."""

    name, main, example = "softplus", "high", "0.1"
    formula = "log(1 + e^b) = u, log u ~ U[log low, log high]"
    source = "Gu and Dao 2023 (Mamba), bias of the step"

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        step = self.steps(rng, shape)
        return step + np.log(-np.expm1(-step))  # log(e^u - 1), for large u too


LAW = Softplus
