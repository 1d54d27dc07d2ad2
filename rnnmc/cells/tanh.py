"""The tanh RNN (Elman)."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell
from rnnmc.cells.functions import sech2


class Tanh(Cell):
    """dh' = (1 - h'^2) o (U dh)."""

    name = "tanh"
    formula = "h' = tanh(W x + U h + b)"
    source = "Elman 1990; torch.nn.RNN; docs/physics.md section 2"
    gates = ("hidden",)
    bounded = True
    at_zero = AtZero(sources=("hidden",), matrix="hidden")

    def slopes(self, *openings):
        return 0.0, 1.0

    def linearise(self, weights, drive, state):
        (h,) = state
        a = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        jacobian = weights.recurrent["hidden"] * sech2(a)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (a.tanh(),), push


CELL = Tanh()
