"""The copy problem: symbols at the beginning of a long sequence are to be said again at its end."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from rnnmc.drives.task import TaskDrive


class Copy(TaskDrive):
    """The first `symbols` steps show one of `alphabet` symbols each, all as likely; then there is nothing, until a cue.

    Each symbol, and the cue, has a component of its own: 1 where it stands and 0 elsewhere, standardised by its mean
    and variance over a whole sequence. The cue comes with the first of the last `symbols` steps, at each of which the
    symbol is asked for that was shown T - symbols steps before.
    """

    name = "copy"
    formula = "x_t one-hot: symbols at t <= S, the cue at T - S + 1; at T - S + i: the symbol of step i"
    source = "Hochreiter and Schmidhuber 1997; Arjovsky, Shah, Bengio 2016"
    steps: Annotated[int, Field(ge=4, le=100_000)] = 100
    alphabet: Annotated[int, Field(ge=2, le=64)] = 4
    symbols: Annotated[int, Field(ge=1, le=1000)] = 1
    dimension: int = 0

    @model_validator(mode="after")
    def _read(self) -> Copy:
        if self.dimension not in (0, self.alphabet + 1):
            raise ValueError(f"has a component for each symbol and the cue, {self.alphabet + 1}; leave dimension out")
        if 2 * self.symbols > self.steps:
            raise ValueError(f"has {self.symbols} symbols to show and to say again; give at least twice as many steps")
        object.__setattr__(self, "dimension", self.alphabet + 1)
        return self

    @property
    def answers(self) -> int:
        return self.symbols

    @property
    def classes(self) -> int:
        return self.alphabet

    def sequences(self, rng: np.random.Generator, number: int) -> np.ndarray:
        shown = rng.integers(self.alphabet, size=(self.symbols, number))
        x = np.zeros((self.steps, number, self.dimension))
        x[np.arange(self.symbols)[:, None], np.arange(number), shown] = 1.0
        x[-self.symbols, :, -1] = 1.0
        share = np.full(self.dimension, self.symbols / (self.steps * self.alphabet))
        share[-1] = 1 / self.steps
        return (x - share) / np.sqrt(share * (1 - share))

    def targets(self, x: np.ndarray) -> np.ndarray:
        return x[: self.symbols, :, :-1].argmax(axis=2)


DRIVE = Copy
