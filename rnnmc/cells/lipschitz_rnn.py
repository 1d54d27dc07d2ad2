"""The Lipschitz RNN: a linear flow and a squashed one, both between symmetric and antisymmetric."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import sech2


class LipschitzRNN(Cell):
    """dh' = dh + e (A dh + sech^2(a) o (B dh)), where A = M + (1 - 2 q) M^T - g I for M = U_a, and B so for U_b.

    step_size: e; skew: q in [0, 1], the share of the antisymmetric part; diffusion: g; each at least 0. The numbers
    unless said, and the published gain, are those of the authors' code for ordered MNIST pixel by pixel. Raises
    ValueError for what is not possible.
    """

    name = "lipschitz_rnn"
    formula = "h' = h + e (A h + tanh(B h + W x + b)), A, B of (1-q) (M + M^T) + q (M - M^T) - g I"
    source = "Erichson, Azencot, Queiruga, Hodgkinson, Mahoney 2021 (ICLR); docs/physics.md section 2.2"
    gates = ("hidden",)
    recurrent = ("linear", "hidden")
    fields = ("step_size", "skew", "diffusion")

    def __init__(self, step_size: float = 0.01, skew: float = 0.65, diffusion: float = 0.001):
        for name, value in (("step_size", step_size), ("diffusion", diffusion)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name}: {value!r} is not possible; give a number of at least 0")
        if not 0 <= skew <= 1:
            raise ValueError(f"skew: {skew!r} is not possible; give a number from 0 to 1")
        self.step_size, self.skew, self.diffusion = float(step_size), float(skew), float(diffusion)

    def published(self, width, inputs):
        gain = 32 * width**-0.5  # entries of deviation 32 / n
        return {"recurrent": {"gaussian": gain}, "input": {"gaussian": (2 * inputs / (inputs + width)) ** 0.5}}

    def linearise(self, weights, drive, state):
        (h,) = state
        along, inside = self._flow(weights, "linear"), self._flow(weights, "hidden")
        a = drive["hidden"] + weights.product(h, inside)
        jacobian = self.step_size * along + inside * (self.step_size * sech2(a))

        def push(directions):
            return (weights.product(directions[0], jacobian, plus=directions[0]),)

        return (h + self.step_size * weights.product(h, along, plus=a.tanh()),), push

    def _flow(self, weights, name):
        matrix = weights.recurrent[name]
        return matrix + (1 - 2 * self.skew) * weights.transpose(matrix) - self.diffusion * weights.identity


CELL = LipschitzRNN()
