"""Laws of the log-norm that several cells share: T times one variable, and sums of T independent steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import loggamma, polygamma, psi

from rnnmc.common.arrays import Floats
from rnnmc.theory.law import LogNorm

Complex = NDArray[np.complex128]
SMOOTH = 1000.0  # mean of a Poisson law that is taken for a density
NARROW = 3e5  # degrees of freedom of a step, beyond which it is not inverted


@dataclass(frozen=True)
class Certain(LogNorm):
    """l_T = T rate + offset, with probability one (nats). offset: a number, or a function of T."""

    rate: float
    offset: float | Callable[[int], float] = 0.0

    def _value(self, horizon: int) -> float:
        return horizon * self.rate + (self.offset(horizon) if callable(self.offset) else self.offset)

    def below(self, level: float, horizon: int) -> float:
        return float(self._value(horizon) < level)

    def above(self, level: float, horizon: int) -> float:
        return float(self._value(horizon) > level)

    def moments(self, horizon: int) -> tuple[float, float]:
        return self._value(horizon), 0.0

    def values(self, horizon: int) -> tuple[float, ...]:
        return (self._value(horizon),)


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
    centre: a of steps log |a e + g/sqrt n N(0, I_n)|, e a unit vector: chi2 is then not central, which is K = n + 2 j,
    j Poisson of mean a^2 n / (2 g^2).
    """

    n: int
    gain: float
    halved: bool = False
    centre: float = 0.0

    def dead(self, horizon: int) -> float:
        return -math.expm1(horizon * math.log1p(-(0.5**self.n))) if self.halved else 0.0

    @cached_property
    def _live(self) -> tuple[Floats, Floats]:
        """(K, probability of K given K > 0), each (k,)."""
        from scipy.stats import binom, poisson  # half a second to import, which few need

        if self.halved:
            k = np.arange(1, self.n + 1, dtype=float)
            weight = binom.pmf(k, self.n, 0.5)
            return k, weight / weight.sum()
        half = self.centre**2 * self.n / (2 * self.gain**2)
        if half > SMOOTH:  # a sum over each whole number is one over quarters of a deviation, to far below rounding
            j = half + np.linspace(-9, 9, 73) * math.sqrt(half)
            log_weight = j - half - j * np.log1p((j - half) / half) - np.log(j) / 2 - 1 / (12 * j)
            weight = np.exp(log_weight - log_weight.max())
            return self.n + 2 * j, weight / weight.sum()
        j = np.arange(max(0.0, half - 9 * math.sqrt(half) - 9) // 1, half + 9 * math.sqrt(half) + 40)
        weight = poisson.pmf(j, half)
        return self.n + 2 * j[weight > 1e-18], weight[weight > 1e-18]

    @cached_property
    def step(self) -> tuple[float, float]:
        """(mean, variance) of one step among the living, nats and nats^2."""
        k, weight = self._live
        mean = (math.log(2 * self.gain**2 / self.n) + psi(k / 2)) / 2
        total = float(weight @ mean)
        return total, float(weight @ ((mean - total) ** 2 + polygamma(1, k / 2) / 4))

    def moments(self, horizon: int) -> tuple[float, float]:
        mean, variance = self.step
        return horizon * mean, horizon * variance

    def below(self, level: float, horizon: int) -> float:
        dead, mean = self.dead(horizon), horizon * self.step[0]
        living = _inverted(lambda s: horizon * self.log_characteristic(s), level - mean, horizon * self.step[1])
        return dead + (1 - dead) * living

    def above(self, level: float, horizon: int) -> float:
        return 1 - self.below(level, horizon)

    def log_characteristic(self, s: Floats) -> Complex:
        """Of one step less its mean: E (chi2_K / 2)^(is/2) = Gamma((K + is) / 2) / Gamma(K / 2).

        Raises ArithmeticError for a step that hardly varies, whose law would take too long to invert.
        """
        k, weight = self._live
        if weight @ k > NARROW:
            raise ArithmeticError(f"a step of gain {self.gain:g} beside {self.centre:g} hardly varies")
        shift = math.log(2 * self.gain**2 / self.n) / 2 - self.step[0]
        z, w = k / 2, np.asarray(1j * s[:, None] / 2, np.complex128)
        ratio = _log_gamma_ratio(z, w) if k[0] > SMOOTH else loggamma(z + w) - loggamma(z)
        return np.asarray(np.log(np.exp(ratio) @ weight + 0j) + 1j * s * shift, np.complex128)


def _log_gamma_ratio(z: Floats, w: Complex) -> Complex:
    """log Gamma(z + w) / Gamma(z) by Stirling's series, for large z without the cancellation of two logarithms."""
    return (z + w - 0.5) * np.log1p(w / z) + w * np.log(z) - w + (1 / (z + w) - 1 / z) / 12


@dataclass(frozen=True)
class FirstAndRest(LogNorm):
    """l_T = offset + one step of `first` + T - 1 steps of `rest`, all independent and none of them dead."""

    first: ChiSteps
    rest: ChiSteps
    offset: float

    def moments(self, horizon: int) -> tuple[float, float]:
        (first, one), (rest, each) = self.first.step, self.rest.step
        return self.offset + first + (horizon - 1) * rest, one + (horizon - 1) * each

    def below(self, level: float, horizon: int) -> float:
        mean, variance = self.moments(horizon)

        def log_characteristic(s: Floats) -> Complex:
            return self.first.log_characteristic(s) + (horizon - 1) * self.rest.log_characteristic(s)

        return _inverted(log_characteristic, level - mean, variance)

    def above(self, level: float, horizon: int) -> float:
        return 1 - self.below(level, horizon)


def _inverted(log_characteristic: Callable[[Floats], Complex], level: float, variance: float) -> float:
    """P(X < level) of X of mean 0, by inverting the logarithm of its characteristic function.

    Gil-Pelaez's integral by the midpoint rule, whose only error is the probability beyond half a period from the
    level (Davies 1973): the period covers 12 deviations and 40 nats, as the left tail of log chi2_1 falls as e^x.
    Absolute error below 1e-11. The branch of the logarithm does not matter where steps are counted in whole numbers.
    """
    spacing = math.pi / (abs(level) + 12 * math.sqrt(variance) + 40)
    last = 1.0
    while float(log_characteristic(np.array([last]))[0].real) > -38 and last < 1e5:
        last *= 1.5
    total, block = 0.0, 1024
    for first in range(0, math.ceil(last / spacing), block):
        k = np.arange(first, first + block, dtype=np.float64) + 0.5
        total += float(np.sum(np.imag(np.exp(log_characteristic(spacing * k) - 1j * spacing * level * k)) / k))
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
