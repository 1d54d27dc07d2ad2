"""Independent uniform entries."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from rnnmc.initialisers.law import NonNegative, Signs, WeightLaw


class Uniform(WeightLaw):
    """Uniform entries, by `gain` (variance gain^2 / fan_in, as gaussian) or by `limit` (on [-limit, limit]).

    terms: the sum of so many independent draws, as for PyTorch's two bias vectors.
    """

    name, main = "uniform", "gain"
    scales = ("gain", "limit")
    formula = "U(-a, a), a = gain sqrt(3 / fan_in) or a = limit"
    source = "Glorot and Bengio 2010; torch.nn.RNN"
    gain: NonNegative | None = None
    limit: NonNegative | None = None
    terms: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _one_scale(self) -> Uniform:
        if (self.gain is None) == (self.limit is None):
            raise ValueError("does not say one scale; give either a gain or a limit, as in {gain: 1}")
        return self

    def moments(self, rows: int, columns: int) -> tuple[float, float] | None:
        return 0.0, self.terms * self._limit(rows) ** 2 / 3

    def _limit(self, rows: int) -> float:
        return self.limit if self.limit is not None else (self.gain or 0.0) * math.sqrt(3 / rows)

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        limit = self._limit(shape[1])
        return np.sum([rng.uniform(-limit, limit, shape) for _ in range(self.terms)], axis=0)


LAW = Uniform
