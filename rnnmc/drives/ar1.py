"""Coloured noise: a stationary autoregression of order one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from rnnmc.drives.drive import Drive
from rnnmc.initialisers.law import OneZero


class AR1(Drive):
    """x_t = correlation x_{t-1} + sqrt(1 - correlation^2) N(0, I), stationary from the first step on."""

    name, main = "ar1", "correlation"
    formula = "x_t = a x_{t-1} + sqrt(1 - a^2) N(0, I_m)"
    source = "Uhlenbeck and Ornstein 1930, in discrete time"
    correlation: Annotated[float, Field(gt=-1, lt=1), OneZero] = 0.9

    def pieces(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
        x = rng.standard_normal(shape[1:])
        noise = np.sqrt(1 - self.correlation**2)
        while True:
            piece = rng.standard_normal(shape)
            for fresh in piece:
                fresh *= noise
                fresh += self.correlation * x
                x = fresh
            yield piece


DRIVE = AR1
