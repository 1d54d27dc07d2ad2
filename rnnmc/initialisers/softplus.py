"""Biases behind a softplus, so that it gives steps of many sizes."""

from __future__ import annotations

import numpy as np
from pydantic import model_validator

from rnnmc.initialisers.law import Positive, Signs, WeightLaw


class Softplus(WeightLaw):
    """b with log(1 + e^b) = u, where log u is uniform on [log low, log high]."""

    name, main, example = "softplus", "high", "0.1"
    formula = "log(1 + e^b) = u, log u ~ U[log low, log high]"
    source = "Gu and Dao 2023 (Mamba), bias of the step"
    low: Positive = 1e-3
    high: Positive

    @model_validator(mode="after")
    def _ordered(self) -> Softplus:
        if self.low > self.high:
            raise ValueError("has low above high; give 0 < low <= high")
        return self

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        step = np.exp(rng.uniform(np.log(self.low), np.log(self.high), shape))
        return step + np.log(-np.expm1(-step))  # log(e^u - 1), for large u too


LAW = Softplus
