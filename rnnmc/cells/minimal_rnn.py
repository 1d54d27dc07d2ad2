"""The minimal RNN: one gate between the state and a transformed input."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Gating, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class MinimalRNN(Cell):
    """dh' = u o dh + (h - y) u(1-u) o U dh.

    The gate sees x through its own input weights, where the paper sends it y through a second matrix; the Jacobian
    has the same form.
    """

    name = "minimal_rnn"
    formula = "u = sg(W_u x + U h + b), y = tanh(W_y x + b_y), h' = u o h + (1-u) o y"
    source = "Chen, Pennington, Schoenholz 2018; docs/physics.md sections 2 and 6"
    gates = ("update", "candidate")
    recurrent = ("update",)
    memory = {"update": 1}  # noqa: RUF012
    main_term = "u"
    other_terms = ("update",)
    knows_drive = True
    bounded = True
    gating = Gating(keep="update")
    at_zero = AtZero(sources=("candidate",), matrix="update", gates=("update",))

    def slopes(self, *openings):
        (update,) = openings
        return update, 0.0

    def linearise(self, weights, drive, state):
        (h,) = state
        u, rest, slope = logistic(drive["update"] + weights.apply(h, "update")["update"])
        candidate = drive["candidate"]
        y = candidate.tanh()
        scales = {"update": (h - y) * slope}
        jacobian = scaled_sum(weights.recurrent, scales, plus=weights.identity * u)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        def driven(changes):
            return (scaled_sum(changes, scales | {"candidate": rest * sech2(candidate)}),)

        return (u * h + rest * y,), Tangent(push, Terms(u, scaled_terms(weights.recurrent, scales)), driven)


CELL = MinimalRNN()
