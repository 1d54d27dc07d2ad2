"""Values that rise or fall evenly from the first unit to the last."""

from __future__ import annotations

import numpy as np

from rnnmc.initialisers.law import Finite, Positive, Signs, WeightLaw


class Ramp(WeightLaw):
    """The same in every network: first + (last - first) (i / (n - 1))^power for unit i = 0 ... n - 1 of each gate."""

    name, main = "ramp", "last"
    formula = "first + (last - first) (i / (n - 1))^power"
    source = "Beck et al. 2024 (xLSTM), forget biases"
    first: Finite = 0.0
    last: Finite
    power: Positive = 1.0

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        count, rows, columns = shape
        n = columns // len(signs)
        one = self.first + (self.last - self.first) * (np.arange(n) / max(n - 1, 1)) ** self.power
        return np.broadcast_to(np.tile(one, len(signs)), (count, rows, columns)).copy()


LAW = Ramp
