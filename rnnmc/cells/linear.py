"""The linear RNN, a control whose law is exact."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Tangent


class Linear(Cell):
    """dh' = U dh."""

    name = "linear"
    formula = "h' = W x + U h + b"
    source = "Newman 1986; docs/physics.md section 5"
    gates = ("hidden",)
    knows_drive = True
    at_zero = AtZero(sources=("hidden",), matrix="hidden")

    def slopes(self, *openings):
        return 0.0, 1.0

    def linearise(self, weights, drive, state):
        (h,) = state

        def push(directions):
            return (weights.product(directions[0], weights.recurrent["hidden"]),)

        after = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        return (after,), Tangent(push, driven=lambda changes: (changes["hidden"],))


CELL = Linear()
