"""The article's output-gated GRU with fresh weights at every step."""

from __future__ import annotations

import numpy as np

from rnnmc.theory.large_width.untied import UntiedLaw, UntiedSettings
from rnnmc.theory.quadrature import gate_moments, settled, tanh_moments


class UntiedGRUOutputGated(UntiedLaw):
    """Two lengths grow together, A = E dc^2 and B = E dh^2; chi is the top eigenvalue of their map.

    The state starts at h = c = zero, or both at state_std: the first step uses Q of h itself, later ones E r^2 Qc.
    """

    name, cell = "untied_gru_output_gated", "gru_output_gated"
    formula = (
        "A' = E(1-z)^2 A + [g_z^2 (Qc + E y^2) E(z(1-z))^2 + g_h^2 E z^2 E(1-y^2)^2] B, "
        "B' = E r^2 A' + g_r^2 Qc E(r(1-r))^2 B; chi its top eigenvalue"
    )
    source = "docs/physics.md section 6"

    def chi(self, settings: UntiedSettings) -> float:
        g, noise, bias = settings.gain, settings.noise, settings.bias

        def of_gate(gate: str, h: float) -> tuple[float, float, float]:
            return gate_moments(g[gate] ** 2 * h + noise[gate], bias[gate])

        def of_candidate(h: float) -> tuple[float, float]:
            return tanh_moments(g["candidate"] ** 2 * h + noise["candidate"])

        h, c = settings.start, settings.start
        for _ in range(3):  # both parts; then c alone, as h follows it
            h, c = _next(of_gate, of_candidate, h, c)

        def length(c: float) -> float:
            """E h^2 that is consistent with E c^2: h = r c, r a gate of the h before."""
            return settled(lambda h: of_gate("output", h)[0] * c, of_gate("output", 0.0)[0] * c)

        c = settled(lambda c: _next(of_gate, of_candidate, length(c), c)[1], c)
        h = length(c)
        (admitted, kept, z_slope), (shown, _, r_slope) = of_gate("update", h), of_gate("output", h)
        r, y_slope = of_candidate(h)
        from_h = g["update"] ** 2 * (c + r) * z_slope + g["candidate"] ** 2 * admitted * y_slope
        through = g["output"] ** 2 * c * r_slope
        return float(np.linalg.eigvals([[kept, from_h], [shown * kept, shown * from_h + through]]).real.max())


def _next(of_gate, of_candidate, h: float, c: float) -> tuple[float, float]:
    """(E h^2, E c^2) after one step."""
    admitted, kept, _ = of_gate("update", h)
    c = kept * c + admitted * of_candidate(h)[0]
    return of_gate("output", h)[0] * c, c


LAW = UntiedGRUOutputGated()
