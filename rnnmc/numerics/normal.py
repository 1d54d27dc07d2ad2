"""Standard normal numbers in quantity: a generator whose `standard_normal` costs a quarter of NumPy's.

A chain in float32 has no use for normal numbers with more digits, nor for a method that takes one at a time. The random
bits are the generator's own; what they become is the same to rounding with and without a C compiler.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rnnmc.numerics.compiler import compiled, kept_until_forgotten

LANES = 16  # as in normal.c
PIECE = 1 << 14  # words that NumPy takes at a time: they stay in the cache; a multiple of 2 LANES


class SinglePrecision(np.random.Generator):
    """As its base, with normal numbers of single precision (|x| up to 6.7).

    Those of one call are made of words in groups of 32: two calls give other numbers than one for as many together.
    """

    def standard_normal(self, size: Any = None, *_: Any, **__: Any) -> Any:
        """Independent standard normal numbers of this shape, float32."""
        shape = (1,) if size is None else size
        count = math.prod(shape) if isinstance(shape, tuple) else int(shape)
        pairs = -(-count // 2)
        words = np.asarray(self.bit_generator.random_raw(pairs), np.uint64).view(np.uint32)
        numbers = normals(words)[:count].reshape(shape)
        return float(numbers[0]) if size is None else numbers


def normals(words: np.ndarray) -> np.ndarray:
    """(N,) float32 standard normal numbers from (N,) uint32 random words; N is even."""
    function, out = _function(), np.empty(len(words), np.float32)
    if function is None:
        return _normals(words)
    function(len(words) // 2, words.ctypes.data, out.ctypes.data)
    return out


@cache
def source() -> str:
    """C source."""
    return Path(__file__).with_suffix(".c").read_text(encoding="utf-8")


@kept_until_forgotten
def _function() -> Callable[..., None] | None:
    function = compiled(source(), "normals")
    if function is not None:
        function.restype, function.argtypes = None, [ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
    return function


def _normals(words: np.ndarray) -> np.ndarray:
    """The same in NumPy."""
    whole = len(words) // (2 * LANES) * 2 * LANES
    parts = [words[at : min(at + PIECE, whole)].reshape(-1, 2, LANES) for at in range(0, whole, PIECE)]
    return np.concatenate([_box_muller(part).ravel() for part in (*parts, words[whole:].reshape(1, 2, -1))])


def _box_muller(words: np.ndarray) -> np.ndarray:
    """(groups, 2, L) normal numbers from (groups, 2, L) words, the radii's first: see normal.c."""
    single = np.float32
    of_radius, of_angle = words[:, 0], words[:, 1]
    below, above = ((word.astype(single) + single(0.5)) * single(2.0**-32) for word in (of_radius, ~of_radius))
    radius = np.sqrt(
        single(-2) * np.where(of_radius > 3_100_000_000, np.log1p(-np.minimum(above, single(0.5))), np.log(below))
    )
    rest = (of_angle & 0x3FFFFFFF).astype(np.int32) - 2**29
    angle = rest.astype(single) * single(math.pi / 2 / 2**30)
    cosine, sine, quadrant = np.cos(angle), np.sin(angle), of_angle >> 30
    odd = (quadrant & 1).astype(bool)
    first = np.where(odd, sine, cosine) * np.where((quadrant + 1) & 2, single(-1), single(1))
    second = np.where(odd, cosine, sine) * np.where(quadrant & 2, single(-1), single(1))
    return np.stack([radius * first, radius * second], axis=1)
