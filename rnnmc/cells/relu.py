"""The ReLU RNN."""

from __future__ import annotations

from rnnmc.cells.cell import Cell, Tangent


class ReLU(Cell):
    """dh' = 1[a > 0] o (U dh)."""

    name = "relu"
    formula = "h' = max(W x + U h + b, 0)"
    source = "Le, Jaitly, Hinton 2015; torch.nn.RNN(nonlinearity='relu'); docs/physics.md section 2"
    gates = ("hidden",)
    knows_drive = True
    can_die = True

    def linearise(self, weights, drive, state):
        (h,) = state
        a = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        slope = a > 0
        jacobian = weights.recurrent["hidden"] * slope

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (a.relu(),), Tangent(push, driven=lambda changes: (changes["hidden"] * slope,))


CELL = ReLU()
