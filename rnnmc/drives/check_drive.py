"""A drive against what every drive promises: its dimension, unit variance, pieces that change no value, its draws."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri

from rnnmc.common.checks import CHECK_FALSE_ALARM, CheckResult, checked, described, hold, written
from rnnmc.drives.drive import Drive

STEPS = 24
REPLICATES = 8000  # behind each mean, so many that it is normal
ENTRIES = 1 << 22  # of a longer sequence; fewer replicates then
FIELD = 3  # components of a field in these checks; a drive has as many as its dimension


def check_drive(drive: Drive, seed: int = 0) -> list[CheckResult]:
    """The results of every check that applies to this drive; never raises for a mistake of the drive.

    What is left to chance raises a false alarm with a probability of at most CHECK_FALSE_ALARM over all seeds, as far
    as a mean of REPLICATES independent values is normal.
    """
    found = [
        described(drive, "name", "formula", "source"),
        written(drive),
        checked("shape", "a piece is float64, (steps, replicates, dimension), and finite", lambda: _shape(drive, seed)),
        checked("pieces", "how long a piece is changes no value, with NumPy's generator", lambda: _pieces(drive, seed)),
        checked(
            "draws", "the generator alone decides, and draws differ where is_random says so", lambda: _draws(drive)
        ),
    ]
    if drive.is_random:
        when = "at every step" if drive.period == 1 else f"over its {drive.period} steps"
        score = f"in standard errors: beyond the allowed with probability {CHECK_FALSE_ALARM / 3:.0e}"
        for name, meaning, moment in (
            ("mean", f"every component has mean zero {when}", lambda x: x),
            ("variance", f"every component has unit variance {when}", lambda x: x**2 - 1),
            ("replicates", "one replicate's sequence knows nothing of another's", lambda x: _paired(x, drive.period)),
        ):
            scores = checked(
                name, f"{meaning} ({score})", lambda moment=moment: _scores(drive, seed, moment), _most(drive)
            )
            found.append(scores)
    return found


def _size(drive: Drive) -> int:
    return FIELD if drive.is_field else drive.dimension


def _sequence(drive: Drive, seed: int, steps: int, replicates: int, piece: int) -> np.ndarray:
    """(steps, replicates, components), taken in pieces of so many steps."""
    source = drive.pieces(np.random.default_rng(seed), (piece, replicates, _size(drive)))
    return np.concatenate([next(source).copy() for _ in range(-(-steps // piece))])[:steps]


def _shape(drive: Drive, seed: int) -> None:
    for shape in ((1, 1, _size(drive)), (7, 3, _size(drive))):
        source = drive.pieces(np.random.default_rng(seed), shape)
        for _ in range(2):
            piece = next(source)
            hold(piece.shape == shape, f"the shape is {piece.shape}, not {shape}")
            hold(piece.dtype == np.float64, f"the dtype is {piece.dtype}, not float64")
            hold(bool(np.isfinite(piece).all()), "there are values that are not finite")
    drive.check(1)


def _pieces(drive: Drive, seed: int) -> Iterator[float]:
    whole = _sequence(drive, seed, STEPS, 5, STEPS)
    for piece in (1, 7, STEPS - 1):
        yield float(np.abs(_sequence(drive, seed, STEPS, 5, piece) - whole).max(initial=0.0))


def _draws(drive: Drive) -> None:
    first, again, other = (_sequence(drive, seed, STEPS, 50, STEPS) for seed in (1, 1, 2))
    hold(np.array_equal(first, again), "the same generator gives another sequence")
    differ = not np.array_equal(first, other)
    hold(
        differ == drive.is_random,
        f"is_random is {drive.is_random}, and two draws {'differ' if differ else 'are equal'}",
    )


def _paired(x: np.ndarray, period: int) -> np.ndarray:
    """Products of two replicates' values, less what is certain at a step where the drive has a period."""
    away = x if period == 1 else x - x.mean(axis=1, keepdims=True)
    return away[:, ::2] * away[:, 1::2]


def _most(drive: Drive) -> float:
    """Standard errors that none of the means of one check exceeds, but with a third of CHECK_FALSE_ALARM."""
    return -float(ndtri(CHECK_FALSE_ALARM / 3 / 2 / (_steps(drive) // drive.period * max(1, _size(drive)))))


def _steps(drive: Drive) -> int:
    """As many as the mean over time is taken of, whole periods."""
    return STEPS if drive.period == 1 else drive.period


def _scores(drive: Drive, seed: int, moment) -> Iterator[float]:
    """How far the mean over replicates of a moment that should have mean zero is from it, by step and component.

    Of a drive with a period, the mean over that is the moment.
    """
    steps, components = _steps(drive), max(1, _size(drive))
    replicates = REPLICATES if drive.period == 1 else min(REPLICATES, max(1000, ENTRIES // (steps * components)))
    values = moment(_sequence(drive, seed, steps, replicates, steps))
    values = values.reshape(-1, drive.period, *values.shape[1:]).mean(axis=1)
    mean, error = values.mean(axis=1), values.std(axis=1) / math.sqrt(values.shape[1])
    yield from (np.abs(mean) / np.maximum(error, 1e-12)).ravel()
