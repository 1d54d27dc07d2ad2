"""The draws of a tile from given coordinates: one row of standard normal numbers for each replicate and role."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from torch import Tensor

from rnnmc.common.errors import UsageError
from rnnmc.engine.draws import Draws
from rnnmc.numerics.coordinates import Drawn, FromNormals, NotOfNormals, recorded
from rnnmc.numerics.layout import Layout, Rows
from rnnmc.study.initialisation import Assignment
from rnnmc.study.point import DesignPoint

Laws = dict[str, list[Assignment]]
Generators = Callable[[str], np.random.Generator]


class DrawsOf(Draws):
    """What `Draws` are, of a tile of so many replicates whose generators, one a role, are given."""

    def __init__(
        self,
        point: DesignPoint,
        generators: Generators,
        replicates: int,
        layout: Layout,
        dtype: str = "",
        laws: Laws | None = None,
    ):
        self.generators = generators
        if laws is not None:  # as of another tile of the point: to find them takes as long as some chains
            self.laws = laws
        super().__init__(point, [(0, 0)], replicates, layout, "cpu", dtype)

    def streams(self, role: str) -> list[np.random.Generator]:
        """The one of this role."""
        return [self.generators(role)]

    def drive(self) -> Iterator[Tensor | None]:
        """As one piece: how long the pieces are would depend on how many replicates there are."""
        size = self.width * len(self.cell.gates) if self.point.drive.is_field else self.point.drive.dimension
        if size == 0:
            while True:
                yield None
        shape = (self.point.horizons[-1], self.replicates, size)
        for piece in self.point.drive.pieces(self.generators("drive"), shape):
            yield self._load(piece[:, :, None])


def given_draws(point: DesignPoint, coordinates: Mapping[str, np.ndarray], layout: Layout, dtype: str = "") -> DrawsOf:
    """The draws of replicates with these coordinates: role -> (replicates, coordinates); of each role once."""
    known, count = drawn_of(point), len(next(iter(coordinates.values())))
    nothing = np.empty((count, 0))

    def generators(role: str) -> np.random.Generator:
        return FromNormals(coordinates.get(role, nothing), known.calls[role])

    return DrawsOf(point, generators, count, layout, dtype, known.laws)


def sizes(point: DesignPoint) -> dict[str, int]:
    """role -> how many standard normal numbers decide it, for one replicate; roles of which nothing is drawn left out.

    Raises UsageError for a point of which something is drawn otherwise, or replicates share draws.
    """
    if point.nested.group > 1:
        raise UsageError(
            f"replicates: {point.nested.group} that share a weight draw do not go with splitting, which draws every "
            "network anew; leave the nested design out"
        )
    found = {role: sum(one.size for one in calls) for role, calls in drawn_of(point).calls.items()}
    return {role: size for role, size in found.items() if size}


class Common(NamedTuple):
    """Of all replicates of a point: role -> every call for random numbers; and its laws, as `Draws` has them."""

    calls: dict[str, list[Drawn]]
    laws: Laws


def drawn_of(point: DesignPoint) -> Common:
    """What all replicates of this point have in common; raises as `sizes`."""
    return _drawn_of(ByKey.of(point))


@dataclass(frozen=True)
class ByKey:
    """A design point by what its numbers depend on, for a cache."""

    key: str
    horizons: tuple[int, ...]
    point: DesignPoint = field(compare=False)

    @classmethod
    def of(cls, point: DesignPoint) -> ByKey:
        """That of this point."""
        return cls(point.key, point.horizons, point)


@lru_cache(64)
def _drawn_of(named: ByKey) -> Common:
    point = named.point

    def draw(count: int, generators: Generators) -> None:
        draws = DrawsOf(point, generators, count, Rows())
        draws.state()
        _ = draws.given
        untied = point.weights == "untied"
        for _ in draws.segments(point.horizons, 1 if untied else point.horizons[-1]):
            if untied:
                draws.recurrent()

    try:
        return Common(recorded(draw), DrawsOf(point, lambda _: np.random.default_rng(0), 1, Rows()).laws)
    except NotOfNormals as error:
        raise UsageError(f"{point.label}: {error}; rare events need draws that are made of normal numbers") from None
