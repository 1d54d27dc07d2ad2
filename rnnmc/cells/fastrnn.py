"""FastRNN: a tanh network with a weighed residual connection, two numbers in all."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import scaled_sum, sech2

ALPHA, BETA = 0.04742587317756678, 0.9525741268224334  # sg(-3), sg(3): where the authors' code begins


class FastRNN(Cell):
    """dh' = beta dh + alpha sech^2(.) o (U dh).

    alpha, beta: numbers, in (0, 1] and [0, 1]; raises ValueError for others. Where they add up to 1, as here unless
    said, it is the leaky unit of this leak rate. `published` is the authors' code (EdgeML,
    edgeml_pytorch/graph/rnn.py): all weights N(0, 0.01), bias 1.
    """

    name = "fastrnn"
    formula = "h' = alpha tanh(W x + U h + b) + beta h, alpha = sg(-3), beta = sg(3) unless said"
    source = "Kusupati et al. 2018; docs/physics.md section 2.1"
    gates = ("hidden",)
    main_term = "beta"
    other_terms = ("hidden",)
    bounded = True
    at_zero = AtZero(sources=("hidden",), matrix="hidden")
    fields = ("alpha", "beta")

    def __init__(self, alpha: float = ALPHA, beta: float = BETA):
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha: {alpha!r} is not possible; give a number above 0 and at most 1")
        if not 0 <= beta <= 1:
            raise ValueError(f"beta: {beta!r} is not possible; give a number from 0 to 1")
        self.alpha, self.beta = float(alpha), float(beta)

    def slopes(self, *openings):
        return self.beta, self.alpha

    def published(self, width, inputs):
        return {"recurrent": {"gaussian": 0.1 * width**0.5}, "input": {"gaussian": 0.1 * inputs**0.5}, "bias": 1.0}

    def linearise(self, weights, drive, state):
        (h,) = state
        a = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        scales = {"hidden": self.alpha * sech2(a)}
        jacobian = scaled_sum(weights.recurrent, scales)

        def push(directions):
            return (weights.product(directions[0], jacobian, plus=self.beta * directions[0]),)

        terms = Terms(0 * h + self.beta, scaled_terms(weights.recurrent, scales))
        return (self.beta * h + self.alpha * a.tanh(),), Tangent(push, terms)


CELL = FastRNN()
