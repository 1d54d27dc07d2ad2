"""White noise through input weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnmc.drives.drive import Drive


class White(Drive):
    """x_t ~ N(0, I), fresh at every step."""

    name, main = "white", "dimension"
    formula = "x_t ~ N(0, I_m)"
    source = "Molgedey et al. 1992"

    def pieces(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
        while True:
            yield rng.standard_normal(shape)


DRIVE = White
