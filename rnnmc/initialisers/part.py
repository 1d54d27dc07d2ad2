"""One value in some units, and zero in the others."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator

from rnnmc.initialisers.law import Finite, Signs, WeightLaw

ShareOfUnits = Annotated[float, Field(ge=0, le=1)]


class InPart(WeightLaw):
    """The same in every network: value in units floor(first n) <= i < floor(last n) of each gate, 0 in the others."""

    name, main = "part", "value"
    scales: ClassVar[tuple[str, ...]] = ()
    formula = "value for unit floor(first n) <= i < floor(last n), 0 for others"
    source = "docs/frameworks.md, tsai: a bias that is set by row of a stack, and not by gate"
    value: Finite
    first: ShareOfUnits = 0.0
    last: ShareOfUnits = 1.0

    @model_validator(mode="after")
    def _in_order(self) -> InPart:
        if self.first > self.last:
            raise ValueError(f"has first {self.first:g} above last {self.last:g}; give 0 <= first <= last <= 1")
        return self

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        count, rows, columns = shape
        n = columns // len(signs)
        one = np.zeros(n)
        one[int(self.first * n) : int(self.last * n)] = self.value
        return np.broadcast_to(np.tile(one, len(signs)), (count, rows, columns)).copy()


LAW = InPart
