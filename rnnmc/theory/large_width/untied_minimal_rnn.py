"""The minimal RNN with fresh weights at every step."""

from __future__ import annotations

from rnnmc.theory.large_width.untied import UntiedLaw, UntiedSettings
from rnnmc.theory.quadrature import gate_moments, settled, tanh_moments


class UntiedMinimalRNN(UntiedLaw):
    """Q = E u^2 Q + E(1-u)^2 R; R = E y^2 of the transformed input."""

    name, cell = "untied_minimal_rnn", "minimal_rnn"
    formula = "chi = E u^2 + g^2 (Q + R) E (u(1-u))^2"
    source = "Chen, Pennington, Schoenholz 2018; docs/physics.md section 6"

    def chi(self, settings: UntiedSettings) -> float:
        g, noise, bias = settings.gain["update"], settings.noise["update"], settings.bias["update"]
        r = tanh_moments(settings.noise["candidate"])[0]

        def step(q: float) -> float:
            kept, admitted, _ = gate_moments(g**2 * q + noise, bias)
            return kept * q + admitted * r

        q = settled(step, settings.start)
        kept, _, slope = gate_moments(g**2 * q + noise, bias)
        return kept + g**2 * (q + r) * slope


LAW = UntiedMinimalRNN()
