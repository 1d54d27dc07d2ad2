"""Chrono initialisation: biases of the gates that remember, from a range of time scales."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import Signs, WeightLaw


class Chrono(WeightLaw):
    """log u on the gate that keeps the state and -log u on the one that admits input, u ~ Uniform[1, t_max - 1].

    One u a unit serves both. A gate that forgets when open (the GRU's update gate here) takes -log u.
    """

    name, main, example = "chrono", "t_max", "10"
    formula = "b_forget = log u, b_input = -log u, u ~ U[1, t_max - 1]; GRU: b_update = -log u"
    source = "Tallec and Ollivier 2018; docs/physics.md section 6"
    t_max: Annotated[float, Field(gt=2, allow_inf_nan=False)]

    def groups(self, gates: tuple[str, ...], cell: Cell) -> list[tuple[str, ...]]:
        remembering = tuple(gate for gate in cell.memory if gate in gates)
        if not remembering:
            at = "gate that remembers" if not cell.memory else f"bias of {' or '.join(cell.memory)} here"
            raise ValueError(f"is chrono, but {cell.name} has no {at}; use it as bias of lstm, gru or the like")
        return [remembering]

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        count, rows, columns = shape
        keep = np.log(rng.uniform(1, self.t_max - 1, (count, rows, columns // len(signs))))
        return np.concatenate([sign * keep for sign in signs], axis=2)


LAW = Chrono
