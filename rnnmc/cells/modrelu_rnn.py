"""A network of orthogonal weights and modReLU, as expRNN begins."""

from __future__ import annotations

from rnnmc.cells.cell import Cell


class ModReLURNN(Cell):
    """dh' = 1[|a| + t > 0] o U dh.

    What keeps U orthogonal while it is trained, the exponential of a skew-symmetric matrix, is no part of the chain: U
    is drawn orthogonal. Published: rotations of pairs of units by angles in [-pi, pi], thresholds t in [-0.01, 0.01]
    and input weights of gain sqrt 2, as in the authors' code. A unit of |a| < -t is shut, and its derivative zero.
    """

    name = "modrelu_rnn"
    formula = "h' = sign(a) o max(|a| + t, 0), a = W x + U h + b, U orthogonal as it is drawn"
    source = "Lezcano-Casado and Martinez-Rubio 2019 (ICML, expRNN); docs/physics.md section 2.2"
    gates = ("hidden",)
    inner_biases = {"threshold": "hidden"}  # noqa: RUF012
    can_die = True

    def published(self, width, inputs):
        bias = {"hidden": 0.0, "threshold": {"uniform": {"limit": 0.01}}}
        return {"recurrent": {"rotations": {}}, "input": {"gaussian": 2**0.5}, "bias": bias}

    def linearise(self, weights, drive, state):
        (h,) = state
        a = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        size = a.abs() + weights.bias["threshold"]
        height = size.relu()
        jacobian = weights.recurrent["hidden"] * (size > 0)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (height * (a > 0) - height * (a < 0),), push


CELL = ModReLURNN()
