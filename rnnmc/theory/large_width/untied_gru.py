"""The GRU (reset before the product) with fresh weights at every step."""

from __future__ import annotations

from typing import ClassVar

from rnnmc.theory.large_width.untied import UntiedLaw, UntiedSettings
from rnnmc.theory.quadrature import gate_moments, settled, tanh_moments


class UntiedGRU(UntiedLaw):
    """Q = E(1-z)^2 Q + E z^2 R; R = E y^2 with field g_h^2 E r^2 Q + nu_h^2."""

    name, cell = "untied_gru", "gru"
    reset: ClassVar[str] = "reset"  # the gate that plays r; the tied GRU has one gate for both
    formula = (
        "chi = E(1-z)^2 + g_z^2 (Q+R) E(z(1-z))^2 + g_h^2 E z^2 E(1-y^2)^2 (E r^2 + g_r^2 Q E(r(1-r))^2), "
        "Q = E z^2 R / (1 - E(1-z)^2)"
    )
    source = "Chen, Pennington, Schoenholz 2018, in the same manner; docs/physics.md section 6"

    def chi(self, settings: UntiedSettings) -> float:
        g, noise, bias = settings.gain, settings.noise, settings.bias

        def of_gate(gate: str, q: float) -> tuple[float, float, float]:
            return gate_moments(g[gate] ** 2 * q + noise[gate], bias[gate])

        def of_candidate(q: float) -> tuple[float, float]:
            return tanh_moments(g["candidate"] ** 2 * of_gate(self.reset, q)[0] * q + noise["candidate"])

        def step(q: float) -> float:
            admitted, kept, _ = of_gate("update", q)
            return kept * q + admitted * of_candidate(q)[0]

        q = settled(step, settings.start)
        (admitted, kept, z_slope), (reset, _, r_slope) = of_gate("update", q), of_gate(self.reset, q)
        r, y_slope = of_candidate(q)
        through = g["candidate"] ** 2 * admitted * y_slope * (reset + g[self.reset] ** 2 * q * r_slope)
        return kept + g["update"] ** 2 * (q + r) * z_slope + through


LAW = UntiedGRU()
