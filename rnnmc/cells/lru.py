"""The linear recurrent unit: a diagonal complex recurrence, a control whose law is exact."""

from __future__ import annotations

from rnnmc.cells.cell import Cell


class LRU(Cell):
    """dh' = lambda o dh with complex lambda, in real and imaginary parts: ||P_T||_2 = max |lambda|^T."""

    name = "lru"
    formula = "h' = lambda o h + W x + b, lambda complex, h = real + i imaginary"
    source = "Orvieto et al. 2023; docs/physics.md section 5"
    gates = ("real", "imaginary")
    recurrent = ("modulus", "phase")
    diagonal = True
    parts = ("real", "imaginary")

    def published(self, width, inputs):
        return {"recurrent": {"ring": 1.0}, "input": {"gaussian": 0.5**0.5}}

    def linearise(self, weights, drive, state):
        modulus, phase = weights.recurrent["modulus"], weights.recurrent["phase"]
        cosine, sine = modulus * phase.cos(), modulus * phase.sin()

        def push(directions):
            real, imaginary = directions
            return cosine * real - sine * imaginary, sine * real + cosine * imaginary

        real, imaginary = push(state)
        return (drive["real"] + real, drive["imaginary"] + imaginary), push


CELL = LRU()
