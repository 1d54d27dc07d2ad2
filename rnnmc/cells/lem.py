"""Long expressive memory: two coupled states whose steps of time are gates."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class LEM(Cell):
    """dz' = (1-p) o dz + (g-z) o dp + p sech^2(.) o U_z dy and dy' = (1-q) o dy + (v-y) o dq + q sech^2(.) o U_y dz'.

    g, v are the candidates of z and y; p, q are steps of time: e times a gate. step_size: e, above 0 and at most 1; 1
    unless said. Raises ValueError for any other.
    """

    name = "lem"
    formula = (
        "p = e sg(W_p x + U_p y + b), q = e sg(W_q x + U_q y + b), z' = (1-p) z + p tanh(W_z x + U_z y + b), "
        "y' = (1-q) y + q tanh(W_y x + U_y z' + b), e = 1 unless said"
    )
    source = "Rusch, Mishra, Erichson, Mahoney 2022 (ICLR); docs/physics.md section 2.2"
    gates = ("step_z", "step_y", "candidate_z", "candidate_y")
    parts = ("y", "z")
    bounded = True
    fields = ("step_size",)

    def __init__(self, step_size: float = 1.0):
        if not 0 < step_size <= 1:
            raise ValueError(f"step_size: {step_size!r} is not possible; give a number above 0 and at most 1")
        self.step_size = float(step_size)

    def published(self, width, inputs):
        uniform = {"uniform": {"limit": width**-0.5}}
        # two torch.nn.Linear add up before a gate, and before the candidate of y
        return {"recurrent": uniform, "input": uniform, "bias": {"uniform": {"limit": width**-0.5, "terms": 2}}}

    def linearise(self, weights, drive, state):
        y, z = state
        u, at_y = weights.recurrent, weights.apply(y, "step_z", "step_y", "candidate_z")
        p, keep_z, p_slope = self._step(drive["step_z"] + at_y["step_z"])
        q, keep_y, q_slope = self._step(drive["step_y"] + at_y["step_y"])
        into_z = drive["candidate_z"] + at_y["candidate_z"]
        g = into_z.tanh()
        z_next = keep_z * z + p * g
        into_y = drive["candidate_y"] + weights.apply(z_next, "candidate_y")["candidate_y"]
        v = into_y.tanh()
        y_to_z = scaled_sum(u, {"step_z": (g - z) * p_slope, "candidate_z": p * sech2(into_z)})
        y_to_y, z_to_y = u["step_y"] * ((v - y) * q_slope), u["candidate_y"] * (q * sech2(into_y))

        def push(directions):
            dy, dz = directions
            dz_next = weights.product(dy, y_to_z, plus=dz * keep_z)
            return weights.product(dz_next, z_to_y, plus=weights.product(dy, y_to_y, plus=dy * keep_y)), dz_next

        return (keep_y * y + q * v, z_next), push

    def _step(self, a):
        """(e s, 1 - e s, e s (1 - s)) of the logistic function s."""
        opening, rest, slope = logistic(a)
        e = self.step_size
        return e * opening, rest if e == 1 else 1 - e * opening, e * slope


CELL = LEM()
