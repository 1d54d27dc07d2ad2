"""The unitary evolution network: complex units, a unitary matrix and the complex modReLU."""

from __future__ import annotations

from rnnmc.cells.cell import Cell

SHORT = 1e-10  # square of a length that counts as none, so that a unit at zero has a derivative


class Unitary(Cell):
    """With a = A h + W x of length r: h' = m a, m = max(r + t, 0) / r; dh' = m da - 1[r + t > 0] t / r^3 (a . da) a.

    A acts as a whole matrix, whose law makes it unitary; the paper's product of cheap factors is that law. r^2 is
    |a|^2 + 1e-10. Published: t = 0, with which the network is linear and P_T unitary. The authors' code (complex_RNN,
    models.py) draws t from U(-0.01, 0.01), and input weights as one matrix of 2n columns, as here.
    """

    name = "unitary"
    formula = "h' = max(|a| + t, 0) a / |a|, a = W x + A h + b, A unitary as it is drawn; h = real + i imaginary"
    source = "Arjovsky, Shah, Bengio 2016 (ICML, uRNN); docs/physics.md section 2.2"
    gates = ("real", "imaginary")
    parts = ("real", "imaginary")
    inner_biases = {"threshold": "real"}  # noqa: RUF012
    can_die = True

    def published(self, width, inputs):
        return {
            "recurrent": {"unitary_product": {}},
            "input": {"uniform": {"limit": (6 / (inputs + 2 * width)) ** 0.5}},
        }

    def linearise(self, weights, drive, state):
        x, y = self._turned(weights, *state)
        x, y = drive["real"] + x, drive["imaginary"] + y
        length = (x * x + y * y + SHORT).sqrt()
        threshold = weights.bias["threshold"]
        after, over = (length + threshold).relu(), 1 / length
        x, y = x * over, y * over
        scale, bend = after * over, threshold * over * (length + threshold > 0)

        def push(directions):
            dx, dy = self._turned(weights, *directions)
            along = bend * (x * dx + y * dy)
            return scale * dx - along * x, scale * dy - along * y

        return (after * x, after * y), push

    def _turned(self, weights, real, imaginary):
        """A times a complex vector."""
        a = weights.recurrent
        return (
            weights.product(real, a["real"]) - weights.product(imaginary, a["imaginary"]),
            weights.product(imaginary, a["real"]) + weights.product(real, a["imaginary"]),
        )


CELL = Unitary()
