"""The linear RNN, a control whose law is exact."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell


class Linear(Cell):
    """dh' = U dh."""

    name = "linear"
    formula = "h' = W x + U h + b"
    source = "Newman 1986; docs/physics.md section 5"
    gates = ("hidden",)
    at_zero = AtZero(sources=("hidden",), matrix="hidden")

    def slopes(self, *openings):
        return 0.0, 1.0

    def linearise(self, weights, drive, state):
        (h,) = state

        def push(directions):
            return (weights.product(directions[0], weights.recurrent["hidden"]),)

        return (drive["hidden"] + weights.apply(h, "hidden")["hidden"],), push


CELL = Linear()
