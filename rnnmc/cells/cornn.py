"""The coupled oscillatory RNN: positions and velocities of damped, driven oscillators."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import sech2


class CoRNN(Cell):
    """dz' = dz + e (sech^2(a) o (U dy + V dz) - g dy - k dz), dy' = dy + e dz'.

    step_size: e; stiffness: g; damping: k, all above 0. The numbers unless said are those of the authors' code for
    sequential MNIST; the paper finds others for each task. Damping acts on the old velocity, as in the code. Raises
    ValueError for what is not above 0.
    """

    name = "cornn"
    formula = (
        "z' = z + e (tanh(W x + U y + V z + b) - g y - k z), y' = y + e z', e = 0.042, g = 2.7, k = 4.7 unless said"
    )
    source = "Rusch and Mishra 2021 (ICLR, coRNN); docs/physics.md section 2.2"
    gates = ("hidden",)
    recurrent = ("position", "velocity")
    parts = ("y", "z")
    fields = ("step_size", "stiffness", "damping")

    def __init__(self, step_size: float = 0.042, stiffness: float = 2.7, damping: float = 4.7):
        for name, value in (("step_size", step_size), ("stiffness", stiffness), ("damping", damping)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name}: {value!r} is not possible; give a number above 0")
        self.step_size, self.stiffness, self.damping = float(step_size), float(stiffness), float(damping)

    def published(self, width, inputs):
        uniform = {"uniform": {"limit": (inputs + 2 * width) ** -0.5}}  # one torch.nn.Linear of all three
        return {"recurrent": uniform, "input": uniform, "bias": uniform}

    def linearise(self, weights, drive, state):
        y, z = state
        e, u = self.step_size, weights.recurrent
        a = drive["hidden"] + weights.product(z, u["velocity"], plus=weights.product(y, u["position"]))
        slope = e * sech2(a)
        by_position, by_velocity = u["position"] * slope, u["velocity"] * slope

        def push(directions):
            dy, dz = directions
            pulled = (1 - e * self.damping) * dz - (e * self.stiffness) * dy
            dz_next = weights.product(dz, by_velocity, plus=weights.product(dy, by_position, plus=pulled))
            return dy + e * dz_next, dz_next

        z_next = z + e * (a.tanh() - self.stiffness * y - self.damping * z)
        return (y + e * z_next, z_next), push


CELL = CoRNN()
