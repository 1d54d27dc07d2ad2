"""The ReLU RNN."""

from __future__ import annotations

from rnnmc.cells.cell import Cell


class ReLU(Cell):
    """dh' = 1[a > 0] o (U dh)."""

    name = "relu"
    formula = "h' = max(W x + U h + b, 0)"
    source = "Le, Jaitly, Hinton 2015; torch.nn.RNN(nonlinearity='relu'); docs/physics.md section 2"
    gates = ("hidden",)
    can_die = True

    def linearise(self, weights, drive, state):
        (h,) = state
        a = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        jacobian = weights.recurrent["hidden"] * (a > 0)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (a.relu(),), push


CELL = ReLU()
