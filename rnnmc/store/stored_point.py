"""A planned point as far as its samples are concerned: how it is cut into blocks, and what is stored of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rnnmc.engine.block import Partition, blocks, partition
from rnnmc.observables.observable import Observable
from rnnmc.study.point import DesignPoint
from rnnmc.study.replicates import Until
from rnnmc.study.study import PlannedPoint


@dataclass(frozen=True)
class StoredPoint:
    """A planned point, how it is cut into blocks, and what is stored of it.

    horizons: in steps. replicates: wanted. cut: its partition, found once. label: for people. observables: what is
    stored beside the samples. until: what decides how many replicates there are, of at most `most`; once that is
    decided, `replicates` are so many. group: replicates that share one weight draw. split: whether replicates are
    populations for a rare event. point: the design
    point itself, or None where it was read without importing its cell or opening the file of its drive.
    """

    key: str
    cell: str
    horizons: tuple[int, ...]
    replicates: int
    cut: Partition
    label: str
    observables: tuple[Observable, ...] = ()
    until: Until | None = None
    most: int = 0
    group: int = 1
    split: bool = False
    point: DesignPoint | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, planned: PlannedPoint) -> StoredPoint:
        """The planned point, cut up. Raises UsageError where its observables cannot look on as it runs."""
        point = planned.point
        return cls(
            point.key,
            point.cell,
            point.horizons,
            planned.replicates,
            partition(point, planned.observables),
            point.label,
            planned.observables,
            planned.until,
            planned.replicates,
            point.nested.group,
            point.splitting is not None,
            point,
        )

    @property
    def design(self) -> DesignPoint:
        """The design point itself. Raises ValueError where it was not read."""
        if self.point is None:
            raise ValueError(f"{self.label}: its design point was not read")
        return self.point

    @property
    def kinds(self) -> tuple[Observable | None, ...]:
        """What is stored: None for the samples, and each observable."""
        return (None, *self.observables)

    def first(self, replicates: int) -> StoredPoint:
        """The same with so many replicates."""
        return replace(self, replicates=replicates)

    def blocks(self) -> list[tuple[int, int]]:
        """(block number, replicates wanted of it) for each block."""
        return blocks(self.replicates, self.cut.block)
