"""What laws ask of a design point, in words: is its drive white, does its state stay zero, which gain has a gate?

Each of these is strict: where a weight is clipped, rescaled, biased or drawn otherwise than the law assumes, the
answer is no (False or None).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri

from rnnmc.common.arrays import Floats
from rnnmc.initialisers.chrono import Chrono
from rnnmc.initialisers.constant import Constant
from rnnmc.initialisers.gaussian import Gaussian
from rnnmc.initialisers.law import WeightLaw
from rnnmc.initialisers.orthogonal import Orthogonal
from rnnmc.initialisers.truncated_gaussian import TruncatedGaussian
from rnnmc.initialisers.uniform import Uniform
from rnnmc.study.point import DesignPoint


def law_of(point: DesignPoint, role: str, gate: str) -> WeightLaw:
    """The law of one weight matrix or bias, presets written out; chrono leaves gates that remember nothing at zero."""
    law = point.init.laws(point.cell_object, point.width, point.drive.dimension)[role][gate]
    none = isinstance(law, Chrono) and gate not in point.cell_object.memory
    return Constant(value=0.0) if none or (role == "bias" and law.is_zero) else law


def unmodified(law: WeightLaw) -> bool:
    """Neither clipped nor rescaled."""
    return law.clip is None and law.spectral_radius is None


def quantile(law: WeightLaw, u: Floats) -> Floats | None:
    """Values of the law of one bias at the shares u in (0, 1), rising with u; None for laws without a closed form.

    Of chrono, those of a gate with sign +1.
    """
    if not unmodified(law):
        return None
    if isinstance(law, Constant):
        return np.full(u.shape, float(law.value))
    if isinstance(law, Uniform) and law.terms <= 2:
        limit = law.limit if law.limit is not None else (law.gain or 0.0) * math.sqrt(3)
        if law.terms == 1:
            return limit * (2 * u - 1)
        return 2 * limit * np.where(u < 0.5, np.sqrt(2 * u) - 1, 1 - np.sqrt(2 * (1 - u)))
    if isinstance(law, Gaussian):
        return law.gain * ndtri(u)
    if isinstance(law, Chrono):
        return np.log(1 + (law.t_max - 2) * u)
    return None


def gaussian_gain(point: DesignPoint, gate: str, role: str = "recurrent") -> float | None:
    """g of entries N(0, g^2 / fan_in); None for any other law."""
    law = law_of(point, role, gate)
    return float(law.gain) if isinstance(law, Gaussian) and unmodified(law) else None


def spread_gain(point: DesignPoint, gate: str) -> float | None:
    """g = sqrt(n Var) of independent centred recurrent entries, whatever their shape; None for other laws."""
    law = law_of(point, "recurrent", gate)
    if not unmodified(law):
        return None
    if isinstance(law, (Gaussian, TruncatedGaussian)):
        return float(law.gain)
    if isinstance(law, Uniform):
        one = law.gain if law.gain is not None else math.sqrt(point.width / 3) * (law.limit or 0.0)
        return float(one * math.sqrt(law.terms))
    return None


def haar_gain(point: DesignPoint, gate: str) -> float | None:
    """gain of a recurrent matrix that is gain times a Haar orthogonal matrix by itself; None for other laws."""
    law = law_of(point, "recurrent", gate)
    whole = isinstance(law, Orthogonal) and unmodified(law) and _drawn_with(point, gate) == 1
    return float(law.gain) if whole and isinstance(law, Orthogonal) else None


def radius(point: DesignPoint, gate: str) -> float | None:
    """Large-width radius of the disk (or circle) of eigenvalues of a recurrent matrix; None where not known.

    The block of a stacked n x (k n) matrix with orthonormal rows has radius gain / sqrt k.
    """
    law = law_of(point, "recurrent", gate)
    if isinstance(law, Orthogonal) and unmodified(law):
        return float(law.gain) / math.sqrt(_drawn_with(point, gate))
    return spread_gain(point, gate)


def _drawn_with(point: DesignPoint, gate: str) -> int:
    """How many recurrent matrices are drawn together with this one."""
    assignments = point.init.assignments(point.cell_object, point.width, point.drive.dimension)["recurrent"]
    return next(len(together) for together, _ in assignments if gate in together)


def constant(point: DesignPoint, gate: str, role: str = "bias") -> float | None:
    """The value that every entry has; None unless it is constant."""
    law = law_of(point, role, gate)
    return float(law.value) if isinstance(law, Constant) and unmodified(law) else None


def constant_biases(point: DesignPoint, *gates: str) -> bool:
    """Every entry of these biases is the same number."""
    return all(constant(point, gate) is not None for gate in gates)


def no_bias(point: DesignPoint, *gates: str) -> bool:
    """These biases are zero."""
    return all(constant(point, gate) == 0 for gate in gates)


def autonomous(point: DesignPoint) -> bool:
    """There is no input, or none that is felt: all its weights, or its deviations, are zero."""
    return point.drive.name == "none" or all(law_of(point, "input", gate).is_zero for gate in point.cell_object.gates)


def stays_zero(point: DesignPoint) -> bool:
    """The state starts at zero, and neither input nor bias ever moves it."""
    at = point.cell_object.at_zero
    return at is not None and autonomous(point) and point.state_std == 0 and no_bias(point, *at.sources)


def field_variances(point: DesignPoint) -> dict[str, float] | None:
    """Gate -> variance of the white field on it: zero without input; None for any other drive."""
    gates = point.cell_object.gates
    if autonomous(point):
        return dict.fromkeys(gates, 0.0)
    if point.drive.name != "field":
        return None
    deviations = [gaussian_gain(point, gate, "input") for gate in gates]
    return None if None in deviations else {g: float(s or 0) ** 2 for g, s in zip(gates, deviations, strict=True)}


def chain_of_weights(point: DesignPoint) -> str | None:
    """The recurrent matrix that the Jacobian of every step is: of the linear cell, or of a zero state with J = U."""
    cell = point.cell_object
    if cell.at_zero is None or cell.at_zero.gates or cell.slopes() != (0, 1):
        return None
    return cell.at_zero.matrix if point.cell == "linear" or stays_zero(point) else None


def cannot_overflow(point: DesignPoint, rate: float, deviation: float) -> bool:
    """A linear or ReLU state that grows by `rate` nats a step, +- deviation sqrt(steps), stays a finite number.

    An overflown replicate counts as exploded and stays out of means, which no law here allows for.
    """
    last = point.horizons[-1]
    room = math.log(float(np.finfo(point.dtype).max)) - 25  # drive, bias and norm of the state: below e^25
    return stays_zero(point) or last * max(rate, 0.0) + 8 * deviation * math.sqrt(last) < room


def cannot_underflow(point: DesignPoint, rate: float, deviation: float) -> bool:
    """A ReLU state without input that changes by `rate` nats a step, +- deviation sqrt(steps), is not rounded to zero.

    Its units would be counted as dead.
    """
    last = point.horizons[-1]
    room = -math.log(float(np.finfo(point.dtype).tiny)) - 10
    start = -math.log(point.state_std) if point.state_std > 0 else 0.0
    return not autonomous(point) or start + last * max(-rate, 0.0) + 8 * deviation * math.sqrt(last) < room
