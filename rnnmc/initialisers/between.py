"""Uniform entries between two numbers, which need not lie around zero."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import model_validator

from rnnmc.initialisers.law import Finite, Signs, WeightLaw


class Between(WeightLaw):
    """Every entry uniform on [low, high], whatever the width: a bias or a rate that is spread over units."""

    name, main = "between", "high"
    scales: ClassVar[tuple[str, ...]] = ()
    formula = "U(low, high), low = 0 unless said"
    source = "docs/physics.md section 2"
    high: Finite
    low: Finite = 0.0

    @model_validator(mode="after")
    def _in_order(self) -> Between:
        if self.low > self.high:
            raise ValueError(f"has a low of {self.low:g} above its high of {self.high:g}; give low at most high")
        return self

    def moments(self, rows: int, columns: int) -> tuple[float, float] | None:
        return (self.low + self.high) / 2, (self.high - self.low) ** 2 / 12

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        return rng.uniform(self.low, self.high, shape)


LAW = Between
