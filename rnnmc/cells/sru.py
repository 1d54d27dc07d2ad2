"""The simple recurrent unit: a forget gate that sees the memory of its own unit."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import logistic


class SRU(Cell):
    """dc' = (f + (c - y) f(1-f) v) o dc: P_T is diagonal.

    The output, a highway of c' and x, is no part of the state, since nothing feeds it back. Published: the authors'
    code without rescaling of the highway; v = 0 is the first version of the paper.
    """

    name = "sru"
    formula = "f = sg(W_f x + v o c + b_f), y = W x, c' = f o c + (1-f) o y"
    source = "Lei, Zhang, Wang, Dai, Artzi 2018 (EMNLP); docs/physics.md section 2.2"
    gates = ("forget", "candidate")
    recurrent = ("forget",)
    diagonal = True
    parts = ("c",)
    bounded = True

    def published(self, width, inputs):
        return {
            "recurrent": {"uniform": {"limit": 1.5**0.5}},
            "input": {"forget": {"uniform": 0.5**0.5}, "candidate": {"uniform": 1.0}},
        }

    def linearise(self, weights, drive, state):
        (c,) = state
        v, y = weights.recurrent["forget"], drive["candidate"]
        f, rest, slope = logistic(drive["forget"] + v * c)
        factor = f + (c - y) * slope * v
        return (f * c + rest * y,), lambda directions: (directions[0] * factor,)


CELL = SRU()
