"""The structurally constrained network: slow units beside a sigmoid network."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import logistic


class SCRN(Cell):
    """dc' = alpha dc and dh' = h'(1-h') o (P dc' + R dh): the slow units see the input alone.

    alpha: how much of the context is kept in a step, in [0, 1], 0.95 in the paper; raises ValueError for any other.
    Both parts have n units; the paper has fewer slow ones.
    """

    name = "scrn"
    formula = "c' = alpha c + (1-alpha) W_c x, h' = sg(P c' + W x + R h), alpha = 0.95 unless said"
    source = "Mikolov, Joulin, Chopra, Mathieu, Ranzato 2014; docs/physics.md section 2.1"
    gates = ("hidden", "context")
    recurrent, parts = ("hidden", "context_to_hidden"), ("h", "c")
    bounded = True
    fields = ("alpha",)

    def __init__(self, alpha: float = 0.95):
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha: {alpha!r} is not possible; give a number from 0 to 1")
        self.alpha = float(alpha)

    def linearise(self, weights, drive, state):
        h, c = state
        u = weights.recurrent
        c_next = self.alpha * c + (1 - self.alpha) * drive["context"]
        a = weights.product(c_next, u["context_to_hidden"], plus=weights.product(h, u["hidden"], plus=drive["hidden"]))
        h_next, _, slope = logistic(a)
        of_h, of_c = u["hidden"] * slope, u["context_to_hidden"] * slope

        def push(directions):
            dh, dc = directions
            dc_next = self.alpha * dc
            return weights.product(dc_next, of_c, plus=weights.product(dh, of_h)), dc_next

        return (h_next, c_next), push


CELL = SCRN()
