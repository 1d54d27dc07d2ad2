"""Orthogonal matrices that turn units pair by pair."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from rnnmc.initialisers.law import Signs, WeightLaw


class Rotations(WeightLaw):
    """Each pair of neighbouring units is rotated by an angle uniform on [-most, most]; an odd last unit stays.

    It is the exponential of a skew-symmetric matrix of 2 x 2 blocks. most: in radians.
    """

    name, main, scales = "rotations", "most", ()
    formula = "blocks [cos a, -sin a; sin a, cos a], a ~ U[-most, most]"
    source = "Henaff, Szlam, LeCun 2016; Lezcano-Casado and Martinez-Rubio 2019 (expRNN)"
    most: Annotated[float, Field(gt=0, le=math.pi)] = math.pi

    def entries(self, rng: np.random.Generator, shape: tuple[int, int, int], signs: Signs) -> np.ndarray:
        count, rows, columns = shape
        each = columns // len(signs)
        return np.concatenate([self._one(rng, count, rows, each) for _ in signs], axis=2)

    def _one(self, rng: np.random.Generator, count: int, rows: int, columns: int) -> np.ndarray:
        size = max(rows, columns)
        angles = rng.uniform(-self.most, self.most, (count, size // 2))
        whole = np.broadcast_to(np.eye(size), (count, size, size)).copy()
        one, other = np.arange(0, size - 1, 2), np.arange(1, size, 2)
        whole[:, one, one] = whole[:, other, other] = np.cos(angles)
        whole[:, one, other], whole[:, other, one] = np.sin(angles), -np.sin(angles)
        return whole[:, :rows, :columns]


LAW = Rotations
