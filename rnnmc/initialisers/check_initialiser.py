"""A law of weights against what every law of weights promises: shapes, draws, and the gain that it states."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri

from rnnmc.cells import cells
from rnnmc.common.checks import CHECK_FALSE_ALARM, CheckResult, Mistake, checked, described, hold, written
from rnnmc.initialisers.law import Signs, WeightLaw

REPLICATES = 4000  # behind each mean, so many that it is normal
SHAPES = ((4, 4), (3, 8), (8, 3), (1, 4))  # fan_in, n
CLIP = 0.5


def check_initialiser(law: WeightLaw, seed: int = 0) -> list[CheckResult]:
    """The results of every check that applies to this law of weights; never raises for a mistake of the law.

    The stated gain is checked where `WeightLaw.moments` states one. What is left to chance raises a false alarm with a
    probability of at most CHECK_FALSE_ALARM over all seeds, as far as a mean of REPLICATES independent values is
    normal.
    """
    free = law.model_copy(update={"clip": None, "spectral_radius": None})
    most = -float(ndtri(CHECK_FALSE_ALARM / (3 * len(SHAPES)) / 2))  # standard errors; three means a shape
    score = f"in standard errors: beyond the allowed with probability {CHECK_FALSE_ALARM / 3:.0e}"
    found = [
        described(law, "name", "formula", "source"),
        written(law),
        checked("gates", "there is a cell whose gates it serves; it refuses others by ValueError", lambda: _gates(law)),
        checked("shape", "it draws float64, (replicates, fan_in, gates * n), and finite", lambda: _shape(law, seed)),
        checked("draws", "the generator alone decides", lambda: _draws(law)),
        checked("replicates", f"one network knows nothing of another ({score})", lambda: _pairs(free, seed), most),
        checked("clip", "clipping cuts what is drawn without it", lambda: _clip(free, seed)),
    ]
    if law.moments(4, 4) is not None:
        for name, meaning, power in (
            ("mean", "entries have the mean that `moments` states", 1),
            ("gain", "n times their variance is the square of the gain that `moments` states", 2),
        ):
            said = f"{meaning} ({score})"
            found.append(checked(name, said, lambda power=power: _scores(free, seed, power), most))
    return found


def _served(law: WeightLaw) -> list[Signs]:
    """The signs of every group of gates that it would draw together, over all cells and roles."""
    found: list[Signs] = []
    for cell in cells().values():
        for names in (cell.recurrent, cell.gates, (*cell.gates, *cell.inner_biases)):
            try:
                groups = law.groups(names, cell) if names else []
            except ValueError:
                continue
            drawn = [gate for group in groups for gate in group]
            if not set(drawn) <= set(names) or len(set(drawn)) < len(drawn):
                raise Mistake(f"of the gates {', '.join(names)} of {cell.name} it would draw {', '.join(drawn)}")
            found += [tuple(cell.memory.get(gate, 1) for gate in group) for group in groups]
    return list(dict.fromkeys(found))


def _gates(law: WeightLaw) -> None:
    hold(bool(_served(law)), "no cell has gates that it would draw")


def _drawn(law: WeightLaw, seed: int, replicates: int, signs: Signs, shape: tuple[int, int]) -> np.ndarray:
    return law.draw(np.random.default_rng(seed), (replicates, shape[0], shape[1] * len(signs)), signs)


def _shape(law: WeightLaw, seed: int) -> None:
    for signs in _served(law):
        for rows, columns in SHAPES if law.spectral_radius is None else SHAPES[:1]:
            matrix, wanted = _drawn(law, seed, 3, signs, (rows, columns)), (3, rows, columns * len(signs))
            hold(matrix.shape == wanted, f"the shape is {matrix.shape}, not {wanted}")
            hold(matrix.dtype == np.float64, f"the dtype is {matrix.dtype}, not float64")
            hold(bool(np.isfinite(matrix).all()), "there are entries that are not finite")


def _draws(law: WeightLaw) -> None:
    for signs in _served(law):
        first, again = (_drawn(law, 1, 20, signs, SHAPES[0]) for _ in range(2))
        hold(np.array_equal(first, again), "the same generator gives other weights")


def _pairs(law: WeightLaw, seed: int) -> Iterator[float]:
    """Of two networks the product of how far their entries are from the mean."""
    signs = _served(law)[0]
    for shape in SHAPES:
        matrix = _drawn(law, seed, REPLICATES, signs, shape)
        away = matrix - matrix.mean(axis=0)
        yield _score((away[::2] * away[1::2]).mean(axis=(1, 2)), 0.0, float(np.square(matrix).mean()))


def _clip(law: WeightLaw, seed: int) -> Iterator[float]:
    for signs in _served(law):
        cut = _drawn(law.model_copy(update={"clip": CLIP}), seed, 20, signs, SHAPES[0])
        yield float(np.abs(cut - _drawn(law, seed, 20, signs, SHAPES[0]).clip(-CLIP, CLIP)).max())


def _scores(law: WeightLaw, seed: int, power: int) -> Iterator[float]:
    """How far the mean of the entries, or of their squares about it, is from what is stated."""
    signs = _served(law)[0]
    for rows, columns in SHAPES:
        matrix = _drawn(law, seed, REPLICATES, signs, (rows, columns))
        stated = law.moments(rows, columns * len(signs))
        if stated is not None:
            mean, variance = stated
            values = matrix if power == 1 else np.square(matrix - mean)
            wanted = mean if power == 1 else variance
            yield _score(values.mean(axis=(1, 2)), wanted, max(abs(wanted), variance))


def _score(values: np.ndarray, wanted: float, size: float) -> float:
    """Standard errors between the mean of independent values and what is wanted; rounding, at this size, is none."""
    error = max(float(values.std()) / math.sqrt(len(values)), 1e-12 * size, 1e-300)
    return abs(float(values.mean()) - wanted) / error
