"""The leaky echo state network, whose recurrent weights are scaled to a spectral radius and never trained."""

from __future__ import annotations

from rnnmc.cells.leaky_tanh import LeakyTanh


class ESN(LeakyTanh):
    """The leaky tanh unit with a reservoir's weights.

    leak: as in `LeakyTanh`, 0.3 unless said. Published: the numbers of the demonstration code beside the guide, where U
    is uniform, dense, and scaled to a spectral radius of 1.25, and W and b lie in [-0.5, 0.5]; the guide itself calls a
    radius below 1 the usual choice. Sparse reservoirs are not offered.
    """

    name = "esn"
    formula = "h' = (1-a) h + a tanh(W x + U h + b), a = 0.3 unless said"
    source = "Lukosevicius 2012 (A practical guide to applying echo state networks); docs/physics.md section 2.2"
    at_zero = LeakyTanh.at_zero

    def __init__(self, leak: float = 0.3):
        super().__init__(leak)

    def published(self, width, inputs):
        half = {"uniform": {"limit": 0.5}}
        return {"recurrent": {"uniform": 1.0, "spectral_radius": 1.25}, "input": half, "bias": half}


CELL = ESN()
