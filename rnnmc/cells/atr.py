"""The twin-gated network: two gates from a sum and a difference of the same two products."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum


class ATR(Cell):
    """dh' = f o dh + [p i(1-i) - h f(1-f)] o U dh: at rest U is not felt."""

    name = "atr"
    formula = "p = W x + b, q = U h, i = sg(p + q), f = sg(p - q), h' = i o p + f o h"
    source = "Zhang, Xiong, Su, Lin, Zhang 2018; docs/physics.md section 2.1"
    gates = ("hidden",)
    memory = {"hidden": 1}  # noqa: RUF012
    main_term = "f"
    other_terms = ("hidden",)
    bounded = True  # a step adds at most p
    gating = Gating(keep="hidden")
    at_zero = AtZero(sources=("hidden",), matrix="hidden")

    def slopes(self, *openings):
        return 0.5, 0.0

    def linearise(self, weights, drive, state):
        (h,) = state
        p, q = drive["hidden"], weights.apply(h, "hidden")["hidden"]
        i, _, i_slope = logistic(p + q)
        f, _, f_slope = logistic(p - q)
        scales = {"hidden": p * i_slope - h * f_slope}
        jacobian = scaled_sum(weights.recurrent, scales, plus=weights.identity * f)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (i * p + f * h,), Tangent(push, Terms(f, scaled_terms(weights.recurrent, scales)))


CELL = ATR()
