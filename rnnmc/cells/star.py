"""The stackable recurrent cell: one gate, and a squashed state."""

from __future__ import annotations

from rnnmc.cells.cell import AtZero, Cell, Tangent, Terms, scaled_terms
from rnnmc.cells.functions import logistic, scaled_sum, sech2


class STAR(Cell):
    """dh' = (1-h'^2) o [(1-k) o dh + (y-h) k(1-k) o U dh].

    `published` is that of the authors' PyTorch code: all weights orthogonal, and of the gate's two biases one is 1 and
    the other uniform on +-1/sqrt(n), as torch.nn.Linear has it.
    """

    name = "star"
    formula = "k = sg(W_k x + U h + b), y = tanh(W_y x + b_y), h' = tanh((1-k) o h + k o y)"
    source = "Turkoglu, D'Aronco, Wegner, Schindler 2019; docs/physics.md section 2.1"
    gates = ("update", "candidate")
    recurrent = ("update",)
    memory = {"update": -1}  # noqa: RUF012
    main_term = "(1-k) (1-h'^2)"
    other_terms = ("update",)
    bounded = True
    at_zero = AtZero(sources=("candidate",), matrix="update", gates=("update",))

    def slopes(self, *openings):
        (update,) = openings
        return 1 - update, 0.0

    def published(self, width, inputs):
        spread = width**-0.5
        bias = {"constant": 0.0, "update": {"between": {"low": 1 - spread, "high": 1 + spread}}}
        return {"recurrent": {"orthogonal": 1.0}, "input": {"orthogonal": 1.0}, "bias": bias}

    def linearise(self, weights, drive, state):
        (h,) = state
        k, keep, k_slope = logistic(drive["update"] + weights.apply(h, "update")["update"])
        y = drive["candidate"].tanh()
        mixed = keep * h + k * y
        slope = sech2(mixed)
        main, scales = slope * keep, {"update": slope * (y - h) * k_slope}
        jacobian = scaled_sum(weights.recurrent, scales, plus=weights.identity * main)

        def push(directions):
            return (weights.product(directions[0], jacobian),)

        return (mixed.tanh(),), Tangent(push, Terms(main, scaled_terms(weights.recurrent, scales)))


CELL = STAR()
