"""What a drive offers that is a task to learn: whole sequences, and what a network is to say at their end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from rnnmc.drives.drive import Drive


class TaskDrive(Drive):
    """One sequence of `steps` steps after the other, each with its own answers; nothing else is drawn for these.

    Mean zero and unit variance hold of a component over a whole sequence: at a given step it may be certain.
    """

    main: ClassVar[str | None] = "steps"
    example: ClassVar[str] = "100"
    steps: int

    @property
    def period(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.steps

    @property
    def answers(self) -> int:
        """Of how many of the last steps of a sequence an answer is asked."""
        return 1

    @property
    def classes(self) -> int:
        """How many answers there are to choose from, all as likely; 0 where it is a number, of unit variance."""
        return 0

    @abstractmethod
    def sequences(self, rng: np.random.Generator, number: int) -> np.ndarray:
        """(steps, number, dimension) float64."""

    @abstractmethod
    def targets(self, x: np.ndarray) -> np.ndarray:
        """(answers, number) right answers to sequences: float64, or int64 from 0 to classes - 1."""

    def pieces(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
        steps, replicates, dimension = shape
        left = np.empty((0, replicates, dimension))
        while True:
            while len(left) < steps:
                left = np.concatenate([left, self.sequences(rng, replicates)])
            yield left[:steps].copy()
            left = left[steps:]
