"""Rows of a series or of tokens, standardised to mean 0 and variance 1 in each component."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnmc.common.arrays import Floats

MOST_ONE_HOT = 4096  # tokens that have a component each: their vectors take 128 MiB


@dataclass(frozen=True, eq=False)
class Series:
    """values: (distinct rows, dimension). codes: (rows,) the value of each row; None where every row has its own."""

    values: Floats
    codes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values if self.codes is None else self.codes)

    @property
    def dimension(self) -> int:
        """m."""
        return self.values.shape[1]

    def at(self, rows: np.ndarray) -> Floats:
        """The values of these rows, in one more axis."""
        return self.values[rows if self.codes is None else self.codes[rows]]


def standardised(values: Floats, path: str, codes: np.ndarray | None = None) -> Series:
    """The series less its mean over rows, over its deviation. Raises ValueError where that cannot be."""
    rows = values if codes is None else values[codes]
    _enough(len(rows), path)
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = rows.std(axis=0)
    if not np.isfinite(deviation).all():
        raise ValueError(f"{path} has values too large to standardise; rescale it, below 1e150")
    if not (deviation > 0).all() or (rows == rows[0]).all(axis=0).any():
        raise ValueError(f"{path} is constant; use the drive constant instead")
    return Series((values - rows.mean(axis=0)) / deviation, codes)


def one_hot(codes: np.ndarray, size: int, path: str) -> Series:
    """A component for each of `size` tokens: 1 where the token stands and 0 elsewhere, standardised.

    A token of frequency p has sqrt((1 - p) / p) in its own component, and -sqrt(p / (1 - p)) where another stands.
    """
    _enough(len(codes), path)
    if size < 2:
        raise ValueError(f"{path} is constant; use the drive constant instead")
    if size > MOST_ONE_HOT:
        raise ValueError(f"{path} has {size} tokens, too many to be one_hot; give a dimension and leave vectors out")
    frequency = np.bincount(codes, minlength=size) / len(codes)
    return Series((np.eye(size) - frequency) / np.sqrt(frequency * (1 - frequency)), codes)


def _enough(rows: int, path: str) -> None:
    if rows < 2:
        raise ValueError(f"{path} has {rows} rows; a drive needs at least 2")
