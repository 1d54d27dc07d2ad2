"""The diagonal state space model S4D: a linear recurrence of damped oscillations."""

from __future__ import annotations

from rnnmc.cells.lru import LRU


class S4D(LRU):
    """The linear recurrent unit with the eigenvalues of S4D-Lin: one channel, whose n modes share a step.

    lambda_k = exp(step (-1/2 + i pi k)): every mode keeps the same share of its length, so that ||P_T||_2 = e^(-step
    T/2). How the input enters (B, and the step as its weight) is left to the input weights, which P_T does not see.
    Published: the step is log-uniform on [0.001, 0.1], the real part -1/2, as in the authors' code (models/s4/s4d.py).
    """

    name = "s4d"
    formula = "h' = lambda o h + W x + b, lambda_k = exp(step (-1/2 + i pi k)), h = real + i imaginary"
    source = "Gu, Gupta, Goel, Re 2022 (NeurIPS, S4D); docs/physics.md section 2.2"

    def published(self, width, inputs):
        return {"recurrent": {"modes": {"low": 0.001, "high": 0.1}}, "input": {"gaussian": 0.5**0.5}}


CELL = S4D()
