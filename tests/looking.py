"""What observables see along the chains of one block, for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from rnnmc.engine.block import Partition, observe_block, partition
from rnnmc.observables.observable import Observable
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import PlannedPoint


def looking(point: DesignPoint, *observables: Any) -> tuple[Observable, ...]:
    """These observables, as a study file says them, where the point has what they look at. Raises UsageError."""
    return PlannedPoint.checked(point=point, replicates=1, observables=list(observables)).observables


def seen(
    point: DesignPoint, replicates: int, *observables: Any, block: int = 0, tile: int | None = None
) -> dict[str, pa.Table]:
    """The samples of a block, and what each of these saw. tile: replicates that run together, if not as planned."""
    return observe_block(point, block, looking(point, *observables), replicates, cut=tiled(point, tile))


def tiled(point: DesignPoint, tile: int | None) -> Partition:
    """The partition of this point, with tiles of so many replicates."""
    cut = partition(point)
    return cut if tile is None else replace(cut, tile=tile, block=-(-cut.block // tile) * tile)
