"""Draws as a function of standard normal numbers: a generator that is told what to draw.

Whatever draws through `standard_normal`, `normal`, `uniform`, `random` or `integers` is then a function of as many
independent standard normal numbers, its coordinates, without a second definition. First `Recorder` notes what is drawn
for two and for three replicates, which says where the replicates lie (`recorded`); then `FromNormals` draws for any
number of them, each from its own row of coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

KNOWN = ("standard_normal", "normal", "uniform", "random", "integers")
UNLIKE = "does not draw the same for every replicate"


class NotOfNormals(ValueError):
    """What is drawn is no function of standard normal numbers, replicate by replicate; the rest of a sentence."""


class Drawn(NamedTuple):
    """One call for random numbers. shape: of one replicate. axis: that on which replicates lie."""

    shape: tuple[int, ...]
    axis: int

    @property
    def size(self) -> int:
        """Coordinates that a replicate gives for it."""
        return math.prod(self.shape)


class _Told(np.random.Generator):
    """A generator of which only what `KNOWN` lists may be asked, all of it made by `_normals` of a shape."""

    def __init__(self) -> None:
        super().__init__(np.random.Philox(0))

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in KNOWN and hasattr(np.random.Generator, name):
            raise NotOfNormals(f"draws by `{name}`, not by {', '.join(KNOWN[:-1])} or {KNOWN[-1]}")
        return super().__getattribute__(name)

    def _normals(self, shape: tuple[int, ...]) -> np.ndarray:
        raise NotImplementedError

    def _shaped(self, size: Any) -> np.ndarray:
        return self._normals(tuple(np.atleast_1d(np.array(() if size is None else size, int)).tolist()))

    def standard_normal(self, size: Any = None, *_: Any, **__: Any) -> Any:
        """The coordinates themselves."""
        return self._shaped(size)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """Moved and scaled."""
        return loc + scale * self._shaped(size)

    def random(self, size: Any = None, *_: Any, **__: Any) -> Any:
        """What the normal distribution function makes of them."""
        return distribution(self._shaped(size))

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        """The same between two numbers."""
        return low + (high - low) * self.random(size)

    def integers(self, low: Any, high: Any = None, size: Any = None, *_: Any, **options: Any) -> Any:
        """The same in steps."""
        first, last = (0, low) if high is None else (low, high)
        count = last - first + (1 if options.get("endpoint") else 0)
        return first + np.minimum(self.random(size) * count, count - 1).astype(np.int64)


def distribution(normals: np.ndarray) -> np.ndarray:
    """P(Z < z) of standard normal numbers, in their precision, the lower tail to all digits."""
    import torch  # three times faster than SciPy, on the one thread that a block runs on

    return (0.5 * torch.special.erfc(torch.from_numpy(normals * -math.sqrt(0.5)))).numpy()


class Recorder(_Told):
    """Notes the shape of all that is drawn, and gives ordinary numbers."""

    def __init__(self) -> None:
        super().__init__()
        self._real, self._shapes = np.random.default_rng(0), []

    def _normals(self, shape: tuple[int, ...]) -> np.ndarray:
        self._shapes.append(shape)
        return np.asarray(self._real.standard_normal(shape))


class FromNormals(_Told):
    """Draws for R replicates from (R, coordinates) numbers, in the order that was recorded."""

    def __init__(self, coordinates: np.ndarray, drawn: list[Drawn]):
        super().__init__()
        self._given, self._drawn, self._call, self._at = coordinates, drawn, 0, 0

    def _normals(self, shape: tuple[int, ...]) -> np.ndarray:
        if self._call == len(self._drawn):
            raise NotOfNormals(UNLIKE)
        one, count = self._drawn[self._call], len(self._given)
        if shape != (*one.shape[: one.axis], count, *one.shape[one.axis :]):
            raise NotOfNormals(UNLIKE)
        numbers = self._given[:, self._at : self._at + one.size].reshape(count, *one.shape)
        self._call, self._at = self._call + 1, self._at + one.size
        return np.array(np.moveaxis(numbers, 0, one.axis), order="C")  # of its own: a drive may work in place


def recorded(draw: Callable[[int, Callable[[str], np.random.Generator]], Any]) -> dict[str, list[Drawn]]:
    """role -> every call for random numbers, of a `draw` that is given a count of replicates and a generator a role.

    Raises NotOfNormals where these are not so many numbers for each replicate, whatever the count.
    """
    of_counts = []
    for count in (2, 3):
        recorders: dict[str, Recorder] = {}
        draw(count, lambda role, recorders=recorders: recorders.setdefault(role, Recorder()))
        of_counts.append({role: one._shapes for role, one in recorders.items()})
    two, three = of_counts
    if two.keys() != three.keys() or any(len(two[role]) != len(three[role]) for role in two):
        raise NotOfNormals(UNLIKE)
    return {role: [_drawn(*pair) for pair in zip(two[role], three[role], strict=True)] for role in two}


def _drawn(two: tuple[int, ...], three: tuple[int, ...]) -> Drawn:
    differing = [axis for axis, (a, b) in enumerate(zip(two, three, strict=False)) if a != b]
    if len(two) != len(three) or len(differing) != 1 or (two[differing[0]], three[differing[0]]) != (2, 3):
        raise NotOfNormals(UNLIKE)
    axis = differing[0]
    return Drawn(two[:axis] + two[axis + 1 :], axis)
