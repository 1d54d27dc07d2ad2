"""The LSTM with fresh weights at every step, its cell state followed on a population of sites."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import expit

from rnnmc.theory.large_width.untied import UntiedLaw, UntiedSettings
from rnnmc.theory.law import Prediction
from rnnmc.theory.quadrature import half_log, root, sech2

SITES, STEPS, BURN_IN, BATCHES = 4096, 600, 200, 20
ROUGH = 1024, 300  # sites and steps with which an onset is first looked for
GATES = ("forget", "input", "output", "candidate")


@lru_cache(maxsize=256)
def growth(settings: UntiedSettings, sites: int = SITES, steps: int = STEPS, seed: int = 0) -> tuple[float, float]:
    """(growth rate, its standard error), nats a step: (log chi)/2 at large width.

    Each of `sites` sites carries c and a = E dc^2 given its own history; the length B = E dh^2 and Q = E h^2 are
    means over sites. Gates are fresh normals. The error is from batch means over the steps after BURN_IN; that of
    the finite population itself is of order 1/sites. Without noise (zero state) both are exact, error 0.
    """
    rng = np.random.default_rng(seed)
    gain = np.array([settings.gain[gate] for gate in GATES])
    noise = np.array([settings.noise[gate] for gate in GATES])
    bias = np.array([settings.bias[gate] for gate in GATES])[:, None]
    q = settings.start
    c = rng.standard_normal(sites) * math.sqrt(q)
    a, b = np.ones(sites), 1.0
    rates = np.empty(steps)
    squared = gain**2
    for t in range(steps):
        field = rng.standard_normal((len(GATES), sites)) * np.sqrt(squared * q + noise)[:, None] + bias
        f, i, o = expit(field[:3])
        g = np.tanh(field[3])
        a = f**2 * a + b * (
            squared[0] * (c * f * (1 - f)) ** 2
            + squared[1] * (g * i * (1 - i)) ** 2
            + squared[3] * (i * sech2(field[3])) ** 2
        )
        c = f * c + i * g
        shown = np.tanh(c)
        b = float(np.mean(o**2 * sech2(c) ** 2 * a) + squared[2] * b * np.mean((shown * o * (1 - o)) ** 2))
        q = float(np.mean((o * shown) ** 2))
        length = float(np.mean(a)) + b
        rates[t] = half_log(length / 2)
        a, b = a * (2 / length), b * (2 / length)
    late = rates[BURN_IN:]
    means = late[: len(late) // BATCHES * BATCHES].reshape(BATCHES, -1).mean(axis=1)
    return float(late.mean()), float(means.std(ddof=1) / math.sqrt(BATCHES))


class UntiedLSTM(UntiedLaw):
    """c is a perpetuity and not normal, so its law is carried by sites, and every mean is one over sites.

    The onset is bracketed with a small population, the same random numbers at every gain, and then moved by one step of
    Newton with the whole one, whose error it has.
    """

    name, cell = "untied_lstm", "lstm"
    formula = (
        "A' = E f^2 A + B [g_f^2 E c^2 E(f(1-f))^2 + g_i^2 E g^2 E(i(1-i))^2 + g_c^2 E i^2 E(1-g^2)^2], "
        "B' = E o^2 E[sech^4(c') dc'^2] + g_o^2 B E tanh^2(c') E(o(1-o))^2"
    )
    source = "docs/physics.md section 6; Gilboa et al. 2019 close it for normal c"

    def at(self, settings: UntiedSettings, onset: float | None, onset_error: float) -> Prediction:
        rate, error = growth(settings)
        return Prediction(growth_rate=rate, growth_error=error, onset_gain=onset, onset_error=onset_error)

    @lru_cache(maxsize=256)  # noqa: B019  as of the base
    def onset(self, settings: UntiedSettings) -> tuple[float | None, float]:
        def rough(gain: float) -> float:
            return growth(settings.scaled(gain), *ROUGH)[0]

        low = 0.25
        if rough(low) >= 0:
            return None, 0.0
        while rough(2 * low) < 0:
            low *= 2
            if low > 50:
                return None, 0.0
        near = root(rough, low, 2 * low, 1e-4)
        rate, error = growth(settings.scaled(near))
        slope = (rough(1.01 * near) - rough(0.99 * near)) / (0.02 * near)
        return near - rate / slope, error / slope

    def chi(self, settings: UntiedSettings) -> float:
        return math.exp(2 * growth(settings)[0])


LAW = UntiedLSTM()
