"""Laws of the log-norm that several cells share: T times one variable, and sums of T independent steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import loggamma, polygamma, psi
from scipy.stats import binom

from rnnmc.theory.law import LogNorm

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Certain(LogNorm):
    """l_T = T rate + offset, with probability one (nats)."""

    rate: float
    offset: float = 0.0

    def below(self, level: float, horizon: int) -> float:
        return float(horizon * self.rate + self.offset < level)

    def above(self, level: float, horizon: int) -> float:
        return float(horizon * self.rate + self.offset > level)

    def moments(self, horizon: int) -> tuple[float, float]:
        return horizon * self.rate + self.offset, 0.0


@dataclass(frozen=True)
class Power(LogNorm):
    """l_T = T log r with one r > 0 a replicate.

    cumulative: P(r < x), continuous. survival: P(r > x). mean, variance: of log r, in nats and nats^2.
    """

    cumulative: Callable[[float], float]
    survival: Callable[[float], float]
    mean: float
    variance: float

    def below(self, level: float, horizon: int) -> float:
        return float(self.cumulative(math.exp(level / horizon)))

    def above(self, level: float, horizon: int) -> float:
        return float(self.survival(math.exp(level / horizon)))

    def moments(self, horizon: int) -> tuple[float, float]:
        return horizon * self.mean, horizon**2 * self.variance


@dataclass(frozen=True)
class ChiSteps(LogNorm):
    """l_T = sum over T steps of (1/2) log(gain^2/n chi2_K), K = n, or K ~ Bin(n, 1/2) for a ReLU, dead where K = 0.

    n: width. gain: g. halved: K is binomial. Moments are those of the living.
    """

    n: int
    gain: float
    halved: bool = False

    def dead(self, horizon: int) -> float:
        return -math.expm1(horizon * math.log1p(-(0.5**self.n))) if self.halved else 0.0

    def _live(self) -> tuple[Floats, Floats]:
        """(K, probability of K given K > 0), each (k,)."""
        if not self.halved:
            return np.array([float(self.n)]), np.ones(1)
        k = np.arange(1, self.n + 1, dtype=float)
        weight = binom.pmf(k, self.n, 0.5)
        return k, weight / weight.sum()

    @property
    def step(self) -> tuple[float, float]:
        """(mean, variance) of one step among the living, nats and nats^2."""
        k, weight = self._live()
        mean = (math.log(2 * self.gain**2 / self.n) + psi(k / 2)) / 2
        total = float(weight @ mean)
        return total, float(weight @ ((mean - total) ** 2 + polygamma(1, k / 2) / 4))

    def moments(self, horizon: int) -> tuple[float, float]:
        mean, variance = self.step
        return horizon * mean, horizon * variance

    def below(self, level: float, horizon: int) -> float:
        dead = self.dead(horizon)
        return dead + (1 - dead) * self._cumulative(level, horizon)

    def above(self, level: float, horizon: int) -> float:
        return (1 - self.dead(horizon)) * (1 - self._cumulative(level, horizon))

    def _cumulative(self, level: float, horizon: int) -> float:
        k, weight = self._live()
        mean, variance = self.step
        shift = math.log(2 * self.gain**2 / self.n) / 2 - mean

        def log_characteristic(s: Floats) -> Complex:
            """Of one step less its mean: E (chi2_K / 2)^(is/2) = Gamma((K + is) / 2) / Gamma(K / 2)."""
            of_k = np.exp(loggamma((k + 1j * s[:, None]) / 2) - loggamma(k / 2))
            return np.log(of_k @ weight + 0j) + 1j * s * shift

        return _inverted(log_characteristic, level - horizon * mean, horizon, math.sqrt(horizon * variance))


def _inverted(log_characteristic: Callable[[Floats], Complex], level: float, horizon: int, deviation: float) -> float:
    """P(sum of `horizon` iid steps of mean 0 < level), by inverting its characteristic function.

    Gil-Pelaez's integral by the midpoint rule, whose only error is the probability beyond half a period from the
    level (Davies 1973): the period covers 12 deviations and 40 nats, as the left tail of log chi2_1 falls as e^x.
    Absolute error below 1e-11. The branch of the logarithm does not matter, as `horizon` is whole.
    """
    spacing = math.pi / (abs(level) + 12 * deviation + 40)
    last = 1.0
    while horizon * float(log_characteristic(np.array([last]))[0].real) > -38 and last < 1e5:
        last *= 1.5
    total, block = 0.0, 4096
    for first in range(0, math.ceil(last / spacing), block):
        k = np.arange(first, first + block, dtype=np.float64) + 0.5
        total += float(
            np.sum(np.imag(np.exp(horizon * log_characteristic(spacing * k) - 1j * spacing * level * k)) / k)
        )
    return min(1.0, max(0.0, 0.5 - total / math.pi))


CELLS_OF_LATTICE = 1 << 18


@lru_cache(maxsize=8)
def lattice(
    cumulative: Callable[[Floats], Floats], mean: float, deviation: float, reach: float, horizon: int
) -> tuple[Floats, Floats]:
    """(edges, P(sum < edge)) of a sum of `horizon` iid steps, each (k,): convolution by FFT on a lattice.

    cumulative: P(step < x), vectorised, hashable. mean, deviation: of one step. reach: how far from its mean one
    step can be, up to probability 1e-16. A step between two points of the lattice is split over both so that its mean
    stays; the weight of a point is then a difference of averages of the cumulative over cells. What that adds to the
    variance is undone by the division by sinc^2. The error that is left, of cells in which the density is not smooth
    and of linear interpolation between edges, is below 1e-6 in probability, and 1e-7 up to deviations of 3 nats.
    """
    spacing = 2 * (16 * deviation * math.sqrt(horizon) + reach) / CELLS_OF_LATTICE
    points: Floats = spacing * np.arange(-CELLS_OF_LATTICE // 2, CELLS_OF_LATTICE // 2, dtype=np.float64)
    anchor = spacing * round(mean / spacing)  # so that zero, where a law of log-norms may end, is a point
    left: Floats = anchor + np.concatenate([points[:1] - spacing, points])
    x, weights = np.polynomial.legendre.leggauss(8)
    average = sum(w / 2 * cumulative(left + spacing * (1 + at) / 2) for at, w in zip(x, weights, strict=True))
    spread = np.sinc(np.fft.rfftfreq(CELLS_OF_LATTICE)) ** 2
    power = (np.fft.rfft(np.fft.ifftshift(np.diff(average))) / spread) ** horizon
    total = np.fft.fftshift(np.fft.irfft(power, CELLS_OF_LATTICE))
    return horizon * anchor + points + spacing / 2, np.clip(np.cumsum(total), 0, 1)
