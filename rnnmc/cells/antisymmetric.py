"""The antisymmetric RNN: a small step along a flow that turns, and hardly shrinks."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import sech2


class Antisymmetric(Cell):
    """dh' = dh + e sech^2(a) o ((U - U^T - g I) dh).

    step: e; diffusion: g, each above 0 or 0. The paper (appendix C) searches over both, and over the gain of U, which
    is N(0, s^2 / n) with s of 0, 1, 2, 4, 8, 16; here 0.01, 0.01 and 1 unless said, and as there W is N(0, 1 / m) and
    b is 0. Entries of U - U^T have twice the variance of those of U. Raises ValueError for what is negative.
    """

    name = "antisymmetric"
    formula = "h' = h + e tanh(W x + (U - U^T - g I) h + b), e = g = 0.01 unless said"
    source = "Chang, Chen, Haber, Chi 2019 (ICLR); docs/physics.md section 2.2"
    gates = ("hidden",)
    bounded = True
    fields = ("step_size", "diffusion")

    def __init__(self, step_size: float = 0.01, diffusion: float = 0.01):
        for name, value in (("step_size", step_size), ("diffusion", diffusion)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name}: {value!r} is not possible; give a number of at least 0")
        self.step_size, self.diffusion = float(step_size), float(diffusion)

    def published(self, width, inputs):
        return {"recurrent": {"gaussian": 1.0}}

    def linearise(self, weights, drive, state):
        (h,) = state
        u = weights.recurrent["hidden"]
        flow = u - weights.transpose(u) - self.diffusion * weights.identity
        a = drive["hidden"] + weights.product(h, flow)
        jacobian = flow * (self.step_size * sech2(a))

        def push(directions):
            return (weights.product(directions[0], jacobian, plus=directions[0]),)

        return (h + self.step_size * a.tanh(),), push


CELL = Antisymmetric()
