"""FastGRNN: one gate that shares its weights with the candidate."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2

ZETA, NU = 0.7310585786300049, 0.017986209962091559  # sg(1), sg(-4): where the authors' code begins


class FastGRNN(Cell):
    """dh' = z o dh + [(h - zeta y) z(1-z) + (zeta (1-z) + nu) (1-y^2)] o U dh.

    zeta, nu: numbers in [0, 1]; raises ValueError for others. The candidate's bias is the gate's plus `candidate`.
    `published` is the authors' code: all weights N(0, 0.01), both biases 1.
    """

    name = "fastgrnn"
    formula = (
        "a = W x + U h + b, z = sg(a), y = tanh(a + b_y), h' = z o h + (zeta (1-z) + nu) o y, "
        "zeta = sg(1), nu = sg(-4) unless said"
    )
    source = "Kusupati et al. 2018; docs/physics.md section 2.1"
    gates = ("update",)
    inner_biases = {"candidate": "update"}  # noqa: RUF012
    memory = {"update": 1}  # noqa: RUF012
    main_term = "z"
    other_terms = ("update",)
    bounded = True  # a step adds at most zeta + nu
    gating = Gating(keep="update")
    at_zero = AtZero(sources=("update", "candidate"), matrix="update")
    fields = ("zeta", "nu")

    def __init__(self, zeta: float = ZETA, nu: float = NU):
        for name, value in (("zeta", zeta), ("nu", nu)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: {value!r} is not possible; give a number from 0 to 1")
        self.zeta, self.nu = float(zeta), float(nu)

    def slopes(self, *openings):
        return 0.5, self.zeta / 2 + self.nu

    def published(self, width, inputs):
        bias = {"update": 1.0, "candidate": 0.0}
        return {"recurrent": {"gaussian": 0.1 * width**0.5}, "input": {"gaussian": 0.1 * inputs**0.5}, "bias": bias}

    def linearise(self, weights, drive, state):
        (h,) = state
        a = drive["update"] + weights.apply(h, "update")["update"]
        z, rest, z_slope = logistic(a)
        candidate = a + weights.bias["candidate"]
        y = candidate.tanh()
        admit = self.zeta * rest + self.nu
        scales = {"update": (h - self.zeta * y) * z_slope + admit * sech2(candidate)}
        jacobian = scaled_sum(weights.recurrent, scales, plus=weights.identity * z)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (z * h + admit * y,), Tangent(push, Terms(z, scaled_terms(weights.recurrent, scales)))


CELL = FastGRNN()
