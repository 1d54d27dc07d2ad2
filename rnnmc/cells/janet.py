"""JANET, just another network: an LSTM with a forget gate alone."""

from __future__ import annotations

import math

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class Janet(Cell):
    """dh' = f o dh + [h f(1-f) - y i(1-i)] o U_f dh + i (1-y^2) o U_y dh.

    beta: by so much the pre-activation that admits is below the one that keeps, 1 in the paper; then f + i > 1, and
    h may reach e^beta. Raises ValueError if it is not finite. `published` is the authors' code where no longest time is
    given: Glorot uniform, the gates stacked, forget bias 1. Where one is, the bias is `chrono`.
    """

    name = "janet"
    formula = "a = W_f x + U_f h + b_f, f = sg(a), i = 1 - sg(a - beta), y = tanh(.), h' = f o h + i o y, beta = 1"
    source = "van der Westhuizen and Lasenby 2018; docs/physics.md section 2.1"
    gates = ("forget", "candidate")
    memory = {"forget": 1}  # noqa: RUF012
    main_term = "f"
    other_terms = ("forget", "candidate")
    bounded = True
    gating = Gating(keep="forget")
    at_zero = AtZero(sources=("candidate",), matrix="candidate", gates=("forget",))
    fields = ("beta",)

    def __init__(self, beta: float = 1.0):
        if not math.isfinite(beta):
            raise ValueError(f"beta: {beta!r} is not possible; give a finite number")
        self.beta = float(beta)

    def slopes(self, *openings):
        (forget,) = openings
        return forget, (1 - forget) / (1 - forget + forget * math.exp(-self.beta))

    def published(self, width, inputs):
        glorot = {role: (6 / (rows + 2 * width)) ** 0.5 for role, rows in (("recurrent", width), ("input", inputs))}
        return {role: {"uniform": {"limit": limit}} for role, limit in glorot.items()} | {
            "bias": {"constant": 0.0, "forget": 1.0}
        }

    def linearise(self, weights, drive, state):
        (h,) = state
        u, at_h = weights.recurrent, weights.apply(h, *self.gates)
        a = drive["forget"] + at_h["forget"]
        f, _, f_slope = logistic(a)
        _, i, i_slope = logistic(a - self.beta)
        candidate = drive["candidate"] + at_h["candidate"]
        y = candidate.tanh()
        scales = {"forget": h * f_slope - y * i_slope, "candidate": i * sech2(candidate)}
        jacobian = scaled_sum(u, scales, plus=weights.identity * f)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (f * h + i * y,), Tangent(push, Terms(f, scaled_terms(u, scales)))


CELL = Janet()
