"""What every drive offers: its dimension, and its sequence in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from rnnmc.common.described import Described

Dimension = Annotated[int, Field(ge=1, le=100_000)]


class Drive(Described):
    """A kind of input sequence x_t, of dimension `dimension`, with mean zero and unit variance in each component.

    is_field: there are no input weights; every pre-activation has a normal of its own at every step.
    is_random: draws of it differ.
    period: steps over which mean and variance are meant together; with 1 they hold at every step.
    """

    dimension: Dimension = 1
    is_field: ClassVar[bool] = False
    is_random: ClassVar[bool] = True
    period: ClassVar[int] = 1

    @property
    def label(self) -> str:
        """The drive for people, with its dimension m."""
        return f"{self.words(without=('dimension',))}, m = {self.dimension}"

    def counted(self) -> Any:
        """What `written` says of the numbers: the part of a design point's key."""
        return self.written()

    def check(self, horizon: int) -> None:
        """Raise ValueError where the sequence cannot serve a chain of so many steps."""

    def pieces(self, rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
        """Yield float64 arrays of `shape` without end; how long a piece is changes no value that the generator gives.

        shape: (steps, replicates, dimension), the last being n times the number of gates for a field.
        """
        raise NotImplementedError
