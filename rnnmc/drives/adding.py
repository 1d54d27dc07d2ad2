"""The adding problem: two numbers of a long sequence are marked, and their sum is asked for at its end."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from rnnmc.drives.task import TaskDrive

LARGEST = np.sqrt(3.0)  # of a uniform number of unit variance


class Adding(TaskDrive):
    """x_1 ~ U(-sqrt 3, sqrt 3) at every step; x_2 marks one step of the first half, and one of the second.

    Both have mean 0 and variance 1 at every step, so that a mark is sqrt((T - 2) / 2), and its absence -sqrt(2 / (T -
    2)). Asked for at the last step: the sum of the two marked numbers, over sqrt 2.
    """

    name = "adding"
    formula = "x_t = (u_t, marked or not), u_t ~ U(-sqrt 3, sqrt 3); at T: (u_a + u_b) / sqrt 2, a <= T/2 < b marked"
    source = "Hochreiter and Schmidhuber 1997; Le, Jaitly, Hinton 2015"
    steps: Annotated[int, Field(ge=4, le=100_000, multiple_of=2)] = 100
    dimension: Literal[2] = 2  # pyright: ignore[reportIncompatibleVariableOverride]

    def sequences(self, rng: np.random.Generator, number: int) -> np.ndarray:
        half, share = self.steps // 2, 2 / self.steps
        x = np.empty((self.steps, number, 2))
        x[:, :, 0] = rng.uniform(-LARGEST, LARGEST, (self.steps, number))
        x[:, :, 1] = -np.sqrt(share / (1 - share))
        places = rng.integers(half, size=(2, number)) + np.array([[0], [half]])
        x[places, np.arange(number), 1] = np.sqrt((1 - share) / share)
        return x

    def targets(self, x: np.ndarray) -> np.ndarray:
        return np.where(x[:, :, 1] > 0, x[:, :, 0], 0.0).sum(axis=0)[None] / np.sqrt(2)


DRIVE = Adding
