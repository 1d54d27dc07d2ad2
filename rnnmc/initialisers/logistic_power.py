"""Weights behind a logistic function, so that a power of it is uniform near 1."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from rnnmc.initialisers.law import Positive, Signs, WeightLaw

BelowOne = Annotated[float, Field(gt=0, lt=1)]


class LogisticPower(WeightLaw):
    """v with sg(v)^power uniform on [low, high]."""

    name, main, example = "logistic_power", "high", "0.999"
    formula = "sg(v)^power ~ U[low, high]"
    source = "De et al. 2024 (Griffin), the recurrent weight of the RG-LRU"
    low: BelowOne = 0.9
    high: BelowOne
    power: Positive = 8.0

    @model_validator(mode="after")
    def _ordered(self) -> LogisticPower:
        if self.low > self.high:
            raise ValueError("has low above high; give 0 < low <= high < 1")
        return self

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        rate = -np.log(rng.uniform(self.low, self.high, shape)) / self.power
        return -rate - np.log(-np.expm1(-rate))  # of a = e^-rate: log(a / (1 - a))


LAW = LogisticPower
