"""The real-gated linear recurrent unit of Griffin and Hawk."""

from __future__ import annotations

from rnnmc.cells.cell import Cell, Tangent, Terms
from rnnmc.cells.functions import softplus


class RGLRU(Cell):
    """dh' = a o dh, a = sg(v)^(8 r): P_T is diagonal.

    The gates see the same input as the value, where the paper sends all three what a layer before has made of x.
    Published: sg(v)^8 uniform on [0.9, 0.999], as the paper says. The authors' code (recurrentgemma, rnn_param_init)
    draws sg(v) itself there, evenly by its square, so that at r = 1 it keeps 0.43 to 0.992 of the state.
    """

    name = "rg_lru"
    formula = "r,i = sg(W x + b), a = sg(v)^(8 r), h' = a o h + sqrt(1 - a^2) o i o y, y = W_y x + b_y"
    source = "De et al. 2024 (Griffin), section 2.4; docs/physics.md section 2.2"
    gates = ("recurrence", "input", "value")
    recurrent = ("decay",)
    diagonal = True
    memory = {"recurrence": -1}  # noqa: RUF012
    main_term = "a"
    bounded = True

    def published(self, width, inputs):
        return {"recurrent": {"logistic_power": {"low": 0.9, "high": 0.999, "power": 8.0}}}

    def linearise(self, weights, drive, state):
        (h,) = state
        rate = 8 * softplus(-weights.recurrent["decay"]) * drive["recurrence"].sigmoid()
        a, t = (-rate).exp(), rate.tanh()
        admit = (2 * t / (1 + t)).sqrt() * drive["input"].sigmoid()  # 1 - a^2, where a is near 1 too

        def push(directions):
            return (directions[0] * a,)

        return (a * h + admit * drive["value"],), Tangent(push, Terms(a, dict))


CELL = RGLRU()
