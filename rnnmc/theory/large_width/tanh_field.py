"""Mean-field theory of the tanh network: variance of the pre-activations, growth rate and whole spectrum."""

from __future__ import annotations

import math

import numpy as np

from rnnmc.theory.quadrature import half_log, nodes, normal_mean, root, sech2, tanh_moments
from rnnmc.theory.spectrum import Spectrum

POINTS = 2000  # of the spectrum's curve
FAINT = 1e-300  # a squared derivative that adds nothing at any theta


def variance(gain: float, noise: float) -> float:
    """q = g^2 E tanh(sqrt(q) z)^2 + noise, the largest solution; zero for gain <= 1 without noise."""
    if noise == 0 and gain <= 1 + 1e-9:
        return 0.0

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        return gain**2 * tanh_moments(q)[0] / q + noise / q - 1  # falls with q, as tanh is concave above zero

    low = math.log(noise / 2) if noise > 0 else math.log(min(1.0, (gain - 1) * 1e-2))
    return math.exp(root(excess, low, math.log(gain**2 + noise) + 1e-9))


def growth(gain: float, q: float) -> float:
    """lambda_1 = log g + log E sech(sqrt(q) z)^4 / 2, nats a step."""
    return math.log(gain) + half_log(normal_mean(lambda a: sech2(a) ** 2, math.sqrt(q)))


def spectrum(gain: float, q: float) -> Spectrum:
    """x = E[theta d^2/(1 + theta d^2)], lambda = log(g^2 E[d^2/(1 + theta d^2)])/2, d = sech^2(sqrt(q) z).

    theta reaches 1/d^2 of a unit at 5 deviations, so that the curve ends about 1e-6 below x = 1.
    """
    z, weights = nodes(math.sqrt(q))
    squared = sech2(math.sqrt(q) * z) ** 2
    weights, squared = weights[squared > FAINT], squared[squared > FAINT]
    last = min(6 + 20 * math.sqrt(q) / math.log(10), 280.0)
    thetas = np.concatenate([[0.0], np.logspace(-6, last, POINTS)])
    share, exponents = np.empty(len(thetas)), np.empty(len(thetas))
    for i, theta in enumerate(thetas):
        ratio = squared / (1 + theta * squared)
        share[i], exponents[i] = theta * (weights @ ratio), math.log(gain**2 * (weights @ ratio)) / 2
    kept = np.concatenate([[True], np.diff(share) > 1e-12])
    return Spectrum(share[kept], exponents[kept])


def onset(noise: float) -> float:
    """The gain at which lambda_1 is zero, given the variance of the white field."""
    if noise == 0:
        return 1.0
    return root(lambda gain: growth(gain, variance(gain, noise)), 1.0, 4 + 4 * noise)
