"""The closed-form continuous-time network: between two squashed states by a gate of time."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class CfC(Cell):
    """dh' = (k - g) s(1-s) o U_t dh + (1-s) sech^2(.) o U_g dh + s sech^2(.) o U_k dh: no term without a matrix.

    A step of time 1, and none of the layers (the backbone) that may come before the three heads. Published: the
    authors' library ncps (torch/cfc_cell.py with backbone_layers=0), whose gate of time is the sum of two heads.
    """

    name = "cfc"
    formula = "s = sg(W_t x + U_t h + b), g, k = tanh(W x + U h + b), h' = (1-s) o g + s o k"
    source = "Hasani et al. 2022 (Nature Machine Intelligence), with the authors' code; docs/physics.md section 2.2"
    gates = ("time", "early", "late")
    bounded = True

    def published(self, width, inputs):
        limit, bias = (6 / (inputs + 2 * width)) ** 0.5, (inputs + width) ** -0.5
        weights = {"uniform": {"limit": limit}, "time": {"uniform": {"limit": limit, "terms": 2}}}
        biases = {"uniform": {"limit": bias}, "time": {"uniform": {"limit": bias, "terms": 2}}}
        return {"recurrent": weights, "input": weights, "bias": biases}

    def linearise(self, weights, drive, state):
        at_h = weights.apply(state[0], *self.gates)
        s, rest, slope = logistic(drive["time"] + at_h["time"])
        early, late = drive["early"] + at_h["early"], drive["late"] + at_h["late"]
        g, k = early.tanh(), late.tanh()
        scales = {"time": (k - g) * slope, "early": rest * sech2(early), "late": s * sech2(late)}
        jacobian = scaled_sum(weights.recurrent, scales)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (rest * g + s * k,), push


CELL = CfC()
