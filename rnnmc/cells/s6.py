"""Mamba's selective state space: decays whose step depends on the input."""

from __future__ import annotations

from rnnmc.cells.cell import Cell
from rnnmc.cells.functions import softplus


class S6(Cell):
    """dh_k' = e^(-k D) o dh_k for k = 1 ... 4, D = softplus(W_d x + b_d): P_T is diagonal.

    Each unit is a channel with four states, of the decays k = 1 ... 4 that S4D-Real begins with; the paper has 16.
    e^(-D) is 1 - sg(W_d x + b_d), exactly. Left out, as P_T does not see it: B and C, which weigh what enters and what
    is read, the convolution before, and the gate after. Published: the authors' code (mamba_simple.py), in which
    softplus(b_d) is log-uniform on [0.001, 0.1]; W_d has the variance of its product of two thin matrices, 1 / (9 m).
    """

    name = "s6"
    formula = "h_k' = e^(-k D) o h_k + D o y, k = 1 ... 4, D = log(1 + e^(W_d x + b_d)), y = W x + b"
    source = "Gu and Dao 2023 (Mamba), with the authors' code; docs/physics.md section 2.2"
    gates = ("step", "value")
    recurrent = ()
    parts = ("h1", "h2", "h3", "h4")

    def published(self, width, inputs):
        step = {"softplus": {"low": 0.001, "high": 0.1}}
        return {
            "input": {"step": {"gaussian": 1 / 3}, "value": {"gaussian": 1.0}},
            "bias": {"step": step, "value": 0.0},
        }

    def linearise(self, weights, drive, state):
        keep = (-drive["step"]).sigmoid()
        decays = [keep]
        while len(decays) < len(state):
            decays.append(decays[-1] * keep)
        admitted = softplus(drive["step"]) * drive["value"]

        def push(directions):
            return tuple(decay * direction for decay, direction in zip(decays, directions, strict=True))

        return tuple(decay * h + admitted for decay, h in zip(decays, state, strict=True)), push


CELL = S6()
