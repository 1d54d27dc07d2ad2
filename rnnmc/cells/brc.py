"""The bistable recurrent cell: units that feed back to themselves alone, and may hold two states."""

from __future__ import annotations

from rnnmc.cells.cell import Cell, Tangent, Terms
from rnnmc.cells.functions import logistic, sech2


class BRC(Cell):
    """dh' = [c + (h-y) c(1-c) w_c + (1-c) (1-y^2) (r + h sech^2(.) w_r)] o dh: P_T is diagonal.

    r, the paper's a, is from 0 to 2; above 1 a unit has two stable states. `published` is the authors' code: Glorot
    uniform input weights, w = 1, biases 0.
    """

    name = "brc"
    formula = "r = 1 + tanh(. + w_r o h), c = sg(. + w_c o h), y = tanh(W x + r o h), h' = c o h + (1-c) o y"
    source = "Vecoven, Ernst, Drion 2021; docs/physics.md section 2.1"
    gates = ("feedback", "update", "candidate")
    recurrent, vectors = (), ("feedback", "update")
    memory = {"update": 1}  # noqa: RUF012
    main_term = "dh'/dh"
    bounded = True

    def published(self, width, inputs):
        return {"input": {"uniform": {"limit": (6 / (inputs + width)) ** 0.5}}, "vector": {"constant": 1.0}}

    def linearise(self, weights, drive, state):
        (h,) = state
        w = weights.vectors
        feedback = drive["feedback"] + w["feedback"] * h
        r = 1 + feedback.tanh()
        c, rest, c_slope = logistic(drive["update"] + w["update"] * h)
        candidate = drive["candidate"] + r * h
        y = candidate.tanh()
        through_candidate = rest * sech2(candidate)
        own = c + through_candidate * r
        own = own + (h - y) * c_slope * w["update"] + through_candidate * h * sech2(feedback) * w["feedback"]

        def push(directions):
            return (directions[0] * own,)

        return (c * h + rest * y,), Tangent(push, Terms(own, dict))


CELL = BRC()
