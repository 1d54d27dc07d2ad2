"""Gated cells whose units do not meet: the norm is that of the best unit, decided by one random number a unit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, ndtr, xlogy

from rnnmc.common.arrays import Floats
from rnnmc.drives.constant import ConstantDrive
from rnnmc.initialisers.chrono import Chrono
from rnnmc.initialisers.constant import Constant
from rnnmc.initialisers.identity import Identity
from rnnmc.initialisers.law import WeightLaw
from rnnmc.study.point import DesignPoint
from rnnmc.theory.assumptions import autonomous, constant, gaussian_gain, law_of, quantile, stays_zero, unmodified
from rnnmc.theory.exact.zero_weights import memory_gate, uncoupled
from rnnmc.theory.law import Law, LogNorm, Measure, Prediction, required
from rnnmc.theory.quadrature import root, sech2
from rnnmc.theory.sums import ChiSteps
from rnnmc.theory.units import Units


@dataclass(frozen=True)
class Source:
    """A number of each unit: value(z), where z ~ N(0, 1) is the random number named `key`; "" if it is constant."""

    key: str
    value: Callable[[Floats], Floats]


def _fixed(value: float) -> Source:
    return Source("", lambda z: np.full(z.shape, value))


def _drawn(law: WeightLaw, key: str) -> Source | None:
    """What a law draws for one unit; None for a law whose quantiles are not known."""
    if isinstance(law, Constant) and unmodified(law):
        return _fixed(float(law.value))
    if quantile(law, np.array([0.5])) is None:
        return None
    return Source(key, lambda z: np.asarray(quantile(law, np.clip(ndtr(z), 1e-300, 1 - 2.0**-53))))


def _gate(point: DesignPoint, gate: str) -> Source | None:
    """Pre-activation of a gate: its bias, and what a constant input adds through Gaussian weights."""
    law = law_of(point, "bias", gate)
    bias = _drawn(law, str(law) if isinstance(law, Chrono) else gate)
    if bias is not None and isinstance(law, Chrono):
        sign, keep = point.cell_object.memory[gate], bias.value
        bias = Source(bias.key, lambda z: sign * keep(z))
    if bias is None or autonomous(point) or not isinstance(point.drive, ConstantDrive):
        return bias
    own, gain = constant(point, gate), gaussian_gain(point, gate, "input")
    if own is None or gain is None:
        return None
    scale = gain * abs(point.drive.value)
    return Source(f"input of {gate}", lambda z: own + scale * z)


def _weight(point: DesignPoint) -> Source | None:
    """phi of candidate weights phi I, zero included; for one unit with one weight for ever, its law."""
    if uncoupled(point):
        return _fixed(0.0)
    at, gating = point.cell_object.at_zero, point.cell_object.gating
    if at is None or not stays_zero(point) or not (gating and gating.admit and gating.show):
        return None
    law = law_of(point, "recurrent", at.matrix)
    if isinstance(law, Identity) and unmodified(law) and not law.stacked and law.factor > 0:
        return _fixed(float(law.factor))
    return _drawn(law, "weight") if point.width == 1 and point.weights == "tied" else None


class Unit:
    """One unit of a point: what it is made of, and its log-norms as functions of z and T. None: not known."""

    def __init__(self, point: DesignPoint):
        gating, (memory, self.sign) = required(point.cell_object.gating), memory_gate(point)
        self.keep, self.weight = _gate(point, memory), _weight(point)
        self.admit, self.show = (_gate(point, gate or memory) for gate in (gating.admit, gating.show))
        self.coupled = not uncoupled(point)
        self.moves = gating.squashed and not stays_zero(point)
        self.candidate = _gate(point, "candidate") if self.moves else None
        self.start = Source("state", lambda z: point.state_std * z) if point.state_std else _fixed(0.0)

    def decided(self, joint: bool = False) -> bool:
        """One random number decides its memory, or the joint norm of a cell with two parts: each with known law."""
        used = [self.keep, self.weight]
        used += [self.admit, self.show] if self.coupled else [self.show] if joint else []
        if joint and self.moves:
            used += [self.admit, self.candidate, self.start]
        return None not in used and len({source.key for source in used if source and source.key}) == 1

    def _opening(self, source: Source | None, z: Floats) -> Floats:
        return expit(source.value(z)) if source else np.full(z.shape, np.nan)

    def log_kept(self, z: Floats) -> Floats:
        """Log f."""
        return log_expit(self.sign * self.keep.value(z)) if self.keep else np.full(z.shape, np.nan)

    def action(self, z: Floats) -> Floats:
        """I phi, what an h adds to its own c."""
        return self._opening(self.admit, z) * self.weight.value(z) if self.weight and self.coupled else 0 * z

    def factor(self, z: Floats) -> Floats:
        """F + i o phi: a step of a cell with one part, and every step but the first of one with two."""
        through = self._opening(self.show, z) * self.action(z) if self.coupled else 0 * z
        return np.exp(self.log_kept(z)) + through

    def powers(self, z: Floats, steps: int) -> Floats:
        return xlogy(steps, np.abs(self.factor(z))) if self.coupled else steps * self.log_kept(z)

    def shown(self, z: Floats, horizon: int) -> Floats:
        """log(1 + k^2)/2, where dh_T = k dc_T."""
        c = np.zeros(z.shape)
        if self.moves and self.candidate:
            step = np.minimum(self.log_kept(z), -1e-300)  # a gate may be open to the last bit
            ahead = self._opening(self.admit, z) * np.tanh(self.candidate.value(z))
            c = np.exp(horizon * step) * self.start.value(z) + ahead * np.expm1(horizon * step) / np.expm1(step)
        return np.log1p((self._opening(self.show, z) * sech2(c)) ** 2) / 2

    def memory(self, z: Floats, horizon: int) -> Floats:
        """The block from c to c."""
        return self.log_kept(z) + self.powers(z, horizon - 1)

    def joint(self, z: Floats, horizon: int) -> Floats:
        first = np.log(np.hypot(np.exp(self.log_kept(z)), self.action(z))) if self.coupled else self.log_kept(z)
        return first + self.powers(z, horizon - 1) + self.shown(z, horizon)

    def from_h(self, z: Floats, horizon: int) -> Floats:
        """The length of what starts as a unit vector in h."""
        return np.log(np.abs(self.action(z))) + self.powers(z, horizon - 1) + self.shown(z, horizon)


class IndependentUnits(Law):
    """Recurrent weights zero; or, where the state stays zero, phi I on the candidate, those of the gates not mattering.

    Random is one number of each unit: the bias of one gate (uniform, Gaussian or chrono), its constant input, the
    initial c_0 of an LSTM, or at n = 1 with tied weights phi itself. f keeps the memory, i admits the candidate, o lets
    a unit act on itself. The joint norm of an LSTM has c_T in it, and not c_1: it knows the order of time.
    """

    name = "independent_units"
    exact = True
    formula = (
        "l_T = max over units of T log|f + i o phi|; joint (T-1) log|f + i o phi| + log(f^2 + i^2 phi^2)/2 "
        "+ log(1 + o^2 sech^4 c_T)/2, c_T = f^T c_0 + i g (1-f^T)/(1-f)"
    )
    source = "docs/physics.md sections 5 and 6"

    def applies(self, point: DesignPoint) -> bool:
        still = autonomous(point) or (isinstance(point.drive, ConstantDrive) and point.drive.value != 0)
        return point.cell_object.gating is not None and still and bool(self._laws(point))

    def predict(self, point: DesignPoint) -> Prediction:
        laws, unit = self._laws(point), Unit(point)
        if unit.weight and unit.weight.key:  # log|a + b u| is singular: known in closed form
            gain, (f, b) = gaussian_gain(point, required(point.cell_object.at_zero).matrix), _slopes(unit)
            rate = None if gain is None else ChiSteps(1, b * gain, centre=f).step[0]
        else:
            rate, _ = Units(lambda z, _: unit.powers(z, 1), point.width).moments(1) or (None, None)
        return Prediction(growth_rate=rate, log_norm=laws)

    def _laws(self, point: DesignPoint) -> dict[Measure, LogNorm]:
        unit, n = Unit(point), point.width
        random = unit.weight is not None and bool(unit.weight.key)
        breaks = _breaks(unit) if random and unit.decided() else ()
        laws: dict[Measure, LogNorm] = {}
        if len(point.cell_object.parts) == 1:
            if unit.decided():
                laws["log_vector"] = Units(unit.powers, 1, breaks)
                laws["log_spectral"] = laws["log_memory"] = Units(unit.powers, n, breaks)
                laws |= {"log_rms": laws["log_vector"]} if n == 1 else {}
            return laws
        if unit.decided():
            laws["log_memory"] = Units(unit.memory, n, breaks)
        if unit.decided(joint=True):
            laws["log_spectral"] = Units(unit.joint, n, breaks)
            if n == 1:
                laws["log_rms"] = Units(lambda z, horizon: unit.joint(z, horizon) - math.log(2) / 2, 1, breaks)
            if unit.coupled and not random:
                laws["log_vector"] = Units(unit.from_h)
        return laws


def _slopes(unit: Unit) -> tuple[float, float]:
    """(a, b) of a + b phi, where the gates are constant."""
    z = np.zeros(1)
    return float(np.exp(unit.log_kept(z))[0]), float((unit._opening(unit.admit, z) * unit._opening(unit.show, z))[0])


def _breaks(unit: Unit) -> tuple[float, ...]:
    """Where a + b phi(z) = 0, phi rising with z."""

    def at(z: float) -> float:
        return float(unit.factor(np.array([z]))[0])

    return (root(at, -9.0, 9.0),) if at(-9.0) * at(9.0) < 0 else ()


LAW = IndependentUnits()
