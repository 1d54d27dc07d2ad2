"""The undamped independent oscillators of UnICORNN, whose step keeps the volume of the state."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import sech2


class UnICORNN(Cell):
    """dz' = dz - s o (sech^2(a) o u + g) o dy and dy' = dy + s o dz', s = e sg(v): two by two blocks of determinant 1.

    step_size: e; stiffness: g, both above 0. The numbers unless said are those of the authors' code for permuted MNIST.
    One layer of the stack. Raises ValueError for what is not above 0.
    """

    name = "unicornn"
    formula = "z' = z - e sg(v) (tanh(W x + u o y + b) + g y), y' = y + e sg(v) z', e = 0.19, g = 30.65 unless said"
    source = "Rusch and Mishra 2021 (ICML, UnICORNN); docs/physics.md section 2.2"
    gates = ("hidden",)
    recurrent = ("hidden", "step")
    diagonal = True
    parts = ("y", "z")
    fields = ("step_size", "stiffness")

    def __init__(self, step_size: float = 0.19, stiffness: float = 30.65):
        for name, value in (("step_size", step_size), ("stiffness", stiffness)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name}: {value!r} is not possible; give a number above 0")
        self.step_size, self.stiffness = float(step_size), float(stiffness)

    def published(self, width, inputs):
        u, v = {"between": {"low": 0.0, "high": 1.0}}, {"uniform": {"limit": 0.1}}
        # torch.nn.init.kaiming_uniform_ with a = 8
        return {"recurrent": {"hidden": u, "step": v}, "input": {"uniform": (2 / 65) ** 0.5}}

    def linearise(self, weights, drive, state):
        y, z = state
        u, step = weights.recurrent["hidden"], self.step_size * weights.recurrent["step"].sigmoid()
        a = drive["hidden"] + u * y
        pull = step * (sech2(a) * u + self.stiffness)

        def push(directions):
            dy, dz = directions
            dz_next = dz - pull * dy
            return dy + step * dz_next, dz_next

        z_next = z - step * (a.tanh() + self.stiffness * y)
        return (y + step * z_next, z_next), push


CELL = UnICORNN()
