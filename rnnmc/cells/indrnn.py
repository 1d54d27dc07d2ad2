"""The independently recurrent network, whose units see no unit but themselves."""

from __future__ import annotations

from rnnmc.cells.cell import Cell


class IndRNN(Cell):
    """dh' = 1[a > 0] o u o dh: P_T is diagonal.

    Published: u ~ U[0, 1], as the authors' notes on their code say for ReLU; input weights are not said there.
    """

    name = "indrnn"
    formula = "h' = max(W x + u o h + b, 0)"
    source = "Li, Li, Cook, Zhu, Gao 2018 (CVPR); docs/physics.md section 2.2"
    gates = ("hidden",)
    diagonal = True
    can_die = True

    def published(self, width, inputs):
        return {"recurrent": {"between": {"low": 0.0, "high": 1.0}}}

    def linearise(self, weights, drive, state):
        (h,) = state
        u = weights.recurrent["hidden"]
        a = drive["hidden"] + u * h
        slope = u * (a > 0)
        return (a.relu(),), lambda directions: (directions[0] * slope,)


CELL = IndRNN()
