"""The tanh RNN (Elman)."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Tangent
from rnnmc.cells.functions import sech2


class Tanh(Cell):
    """dh' = (1 - h'^2) o (U dh)."""

    name = "tanh"
    formula = "h' = tanh(W x + U h + b)"
    source = "Elman 1990; torch.nn.RNN; docs/physics.md section 2"
    gates = ("hidden",)
    knows_drive = True
    bounded = True
    at_zero = AtZero(sources=("hidden",), matrix="hidden")

    def slopes(self, *openings):
        return 0.0, 1.0

    def linearise(self, weights, drive, state):
        (h,) = state
        a = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        slope = sech2(a)
        jacobian = weights.recurrent["hidden"] * slope

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (a.tanh(),), Tangent(push, driven=lambda changes: (changes["hidden"] * slope,))


CELL = Tanh()
