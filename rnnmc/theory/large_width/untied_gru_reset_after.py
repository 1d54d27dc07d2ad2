"""The GRU of PyTorch and Keras (reset after the product) with fresh weights at every step."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from rnnmc.theory.large_width.untied import UntiedLaw, UntiedSettings
from rnnmc.theory.quadrature import gate_moments, nodes, sech2, settled

MOST_NODES = 10_000_000  # of the double mean: 80 MB an array; enough up to gains of 100


class UntiedGRUResetAfter(UntiedLaw):
    """The candidate a = x + r v is normal only given r: x the field, v = U_h h of variance g_h^2 Q.

    Given a and r, v has mean (r g_h^2 Q / s^2) a and variance g_h^2 Q nu_h^2 / s^2, s^2 = r^2 g_h^2 Q + nu_h^2.
    """

    name, cell = "untied_gru_reset_after", "gru_reset_after"
    formula = (
        "chi = E(1-z)^2 + g_z^2 (Q+R) E(z(1-z))^2 + E z^2 E[sech^4(a) (g_h^2 r^2 + g_r^2 (r(1-r))^2 v^2)], "
        "a = x + r v, Q = E z^2 R / (1 - E(1-z)^2), R = E tanh^2 a"
    )
    source = "derived as that of the GRU in docs/physics.md section 6"

    def chi(self, settings: UntiedSettings) -> float:
        g, noise, bias = settings.gain, settings.noise, settings.bias

        def of_update(q: float) -> tuple[float, float, float]:
            return gate_moments(g["update"] ** 2 * q + noise["update"], bias["update"])

        def step(q: float) -> float:
            admitted, kept, _ = of_update(q)
            return kept * q + admitted * _candidate(settings, q)[0]

        q = settled(step, settings.start)
        admitted, kept, z_slope = of_update(q)
        r, through = _candidate(settings, q)
        return kept + g["update"] ** 2 * (q + r) * z_slope + admitted * through


def _candidate(settings: UntiedSettings, q: float) -> tuple[float, float]:
    """(E tanh^2 a, E[sech^4(a) (g_h^2 r^2 + g_r^2 (r(1-r))^2 v^2)]) at the variance q of the state."""
    g, noise, squared = settings.gain, settings.noise["candidate"], settings.gain["candidate"] ** 2
    gate = float(np.sqrt(g["reset"] ** 2 * q + settings.noise["reset"]))
    # coarser than elsewhere, as this mean is double: still exp(-49), by the widths of the strips (see `nodes`)
    outer, outer_weight = nodes(gate / 4) if gate > 0 else (np.zeros(1), np.ones(1))
    a_gate = gate * outer + settings.bias["reset"]
    r, slope = expit(a_gate)[:, None], (expit(a_gate) * expit(-a_gate))[:, None]
    inner, inner_weight = nodes(float(np.sqrt(squared * q + noise)) / 2)
    if len(outer) * len(inner) > MOST_NODES:
        raise OverflowError(f"a double mean asks for {len(outer):,} times {len(inner):,} nodes")
    spread = r**2 * squared * q + noise
    a = np.sqrt(spread) * inner
    safe = np.where(spread > 0, spread, 1.0)
    inner_square = (r * squared * q / safe) ** 2 * a**2 + np.where(spread > 0, squared * q * noise / safe, squared * q)
    through = sech2(a) ** 2 * (squared * r**2 + g["reset"] ** 2 * slope**2 * inner_square)
    return float(outer_weight @ (np.tanh(a) ** 2 @ inner_weight)), float(outer_weight @ (through @ inner_weight))


LAW = UntiedGRUResetAfter()
