"""The neuromodulated bistable recurrent cell: its gates, and nothing else, see the other units."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class NBRC(Cell):
    """dh' = [c + (1-c)(1-y^2) r] o dh + (h-y) c(1-c) o U_c dh + (1-c)(1-y^2) h sech^2(.) o U_r dh.

    r is the paper's a. `published` is the authors' code: Glorot uniform input weights, orthogonal recurrent ones.
    """

    name = "nbrc"
    formula = "r = 1 + tanh(W x + U h + b), c = sg(.), y = tanh(W x + r o h), h' = c o h + (1-c) o y"
    source = "Vecoven, Ernst, Drion 2021; docs/physics.md section 2.1"
    gates = ("feedback", "update", "candidate")
    recurrent = ("feedback", "update")
    memory = {"update": 1}  # noqa: RUF012
    main_term = "c + (1-c)(1-y^2) r"
    other_terms = ("feedback", "update")
    bounded = True
    at_zero = AtZero(sources=("candidate",), matrix="update", gates=("feedback", "update"))

    def slopes(self, *openings):
        feedback, update = openings  # sg(b): of the same b, 1 + tanh(b) is the r of the zero state
        feedback = 2 * feedback**2 / (feedback**2 + (1 - feedback) ** 2)
        return update + (1 - update) * feedback, 0.0

    def published(self, width, inputs):
        return {"recurrent": {"orthogonal": 1.0}, "input": {"uniform": {"limit": (6 / (inputs + width)) ** 0.5}}}

    def linearise(self, weights, drive, state):
        (h,) = state
        u, at_h = weights.recurrent, weights.apply(h, *self.recurrent)
        feedback = drive["feedback"] + at_h["feedback"]
        r = 1 + feedback.tanh()
        c, rest, c_slope = logistic(drive["update"] + at_h["update"])
        candidate = drive["candidate"] + r * h
        y = candidate.tanh()
        through_candidate = rest * sech2(candidate)
        own = c + through_candidate * r
        scales = {"feedback": through_candidate * h * sech2(feedback), "update": (h - y) * c_slope}
        jacobian = scaled_sum(u, scales, plus=weights.identity * own)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (c * h + rest * y,), Tangent(push, Terms(own, scaled_terms(u, scales)))


CELL = NBRC()
