# pyright: reportAttributeAccessIssue=false
"""Weights as a chain draws them, by role and gate."""

from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Rows
from rnnmc.study.initialisation import names_of
from rnnmc.study.point import DesignPoint


class Drawn:
    """Weights of one tile of a design point, by name: recurrent (R, in, out), input (R, in, out), bias (R, n)."""

    def __init__(self, cell, init, width=6, inputs=3, replicates=400):
        self.point = DesignPoint(cell=cell, width=width, init=init, drive={"white": inputs}, dtype="float64")
        draws = Draws(self.point, [(0, 0)], replicates, Rows(), "cpu")
        cell = self.point.cell_object
        rows = {"recurrent": 1 if cell.diagonal else width, "input": inputs, "bias": 1}
        self.stacked, self.recurrent = None, {}
        for role in rows:  # in the order in which a chain draws them
            drawn = draws._drawn(role, rows[role])
            if drawn is None:
                continue
            named = {name: matrix.numpy() for name, matrix in draws._by_name(names_of(cell, role), drawn).items()}
            if role == "bias":
                named = {name: vector[:, 0] for name, vector in named.items()}
            setattr(self, role, named)
            if role == "recurrent":
                self.stacked = drawn.numpy()
