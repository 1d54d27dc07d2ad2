"""The tanh network with fresh weights at every step."""

from __future__ import annotations

from rnnmc.theory.large_width.untied import UntiedLaw, UntiedSettings
from rnnmc.theory.quadrature import settled, tanh_moments


class UntiedTanh(UntiedLaw):
    """chi at the variance that the state goes to from where it starts: zero stays zero."""

    name, cell = "untied_tanh", "tanh"
    formula = "chi = g^2 E sech^4(sqrt(q) z), q = g^2 Q + nu^2, Q = E tanh^2(sqrt(q) z)"
    source = "Schoenholz et al. 2017; docs/physics.md section 6"

    def chi(self, settings: UntiedSettings) -> float:
        g, noise = settings.gain["hidden"], settings.noise["hidden"]
        q = settled(lambda q: g**2 * tanh_moments(q)[0] + noise, g**2 * settings.start + noise)
        return g**2 * tanh_moments(q)[1]


LAW = UntiedTanh()
