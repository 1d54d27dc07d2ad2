"""The leaky-integrator tanh unit: a time constant for every unit, without a gate."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import scaled_sum, sech2


class LeakyTanh(Cell):
    """dh' = (1-a) dh + a (1 - tanh(.)^2) o (U dh).

    leak: a, of all units, in (0, 1]; 1 is the tanh RNN. `CELL = LeakyTanh(leak=0.3)` in a module of one's own is
    another cell, with a key of its own. Raises ValueError for any other leak.
    """

    name = "leaky_tanh"
    formula = "h' = (1-a) h + a tanh(W x + U h + b), a = 0.5 unless said"
    source = "Jaeger, Lukosevicius, Popovici, Siewert 2007 (Neural Networks 20)"
    gates = ("hidden",)
    main_term = "1-a"
    other_terms = ("hidden",)
    knows_drive = True
    bounded = True
    at_zero = AtZero(sources=("hidden",), matrix="hidden")
    fields = ("leak",)

    def __init__(self, leak: float = 0.5):
        if not 0 < leak <= 1:
            raise ValueError(f"leak: {leak!r} is not possible; give a number above 0 and at most 1")
        self.leak = float(leak)

    def slopes(self, *openings):
        return 1 - self.leak, self.leak

    def linearise(self, weights, drive, state):
        (h,) = state
        a = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        keep = 1 - self.leak
        scales = {"hidden": self.leak * sech2(a)}
        jacobian = scaled_sum(weights.recurrent, scales)

        def push(directions):
            return (weights.product(directions[0], jacobian, plus=keep * directions[0]),)

        terms = Terms(0 * h + keep, scaled_terms(weights.recurrent, scales))
        return (keep * h + self.leak * a.tanh(),), Tangent(push, terms, lambda changes: (scaled_sum(changes, scales),))


CELL = LeakyTanh()
