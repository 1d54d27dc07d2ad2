"""Where things lie in the folder of a study."""

from __future__ import annotations

import math
import os
from pathlib import Path

from rnnmc.observables.observable import Observable
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.point import DesignPoint

MANIFEST = "_manifest.json"  # a name that readers of Parquet folders pass over
Keyed = DesignPoint | StoredPoint  # what has a place in the folder


def point_folder(directory: Path, point: Keyed, observable: Observable | None = None) -> Path:
    """Where the shards of a design point lie: its samples, or what an observable saw."""
    kind = directory / "observables" / observable.name if observable else directory / "samples"
    return kind / f"cell={point.cell}" / point.key


def manifest_path(directory: Path, point: Keyed) -> Path:
    """Where the manifest of a point lies."""
    return point_folder(directory, point) / MANIFEST


def shard_path(directory: Path, point: Keyed, block: int, observable: Observable | None = None) -> Path:
    """Where one shard lies: of the samples, or of an observable."""
    return point_folder(directory, point, observable) / shard_name(block)


def shard_name(block: int) -> str:
    """The name of its file."""
    return f"{block:06d}.parquet"


def block_of(name: str) -> float:
    """The number of the block whose shard has this name, infinite where no shard has."""
    number = name.partition(".")[0]
    return int(number) if number.isdigit() and name == shard_name(int(number)) else math.inf


def shards_there(directory: Path, stored: StoredPoint, observable: Observable | None = None) -> set[int]:
    """The blocks of a stored point of which there is a file. Looks at names.

    What a listing lacks of a point that has a manifest is asked for by its own name: over a network a listing may be
    older than a file.
    """
    folder, wanted = point_folder(directory, stored, observable), {block for block, _ in stored.blocks()}
    listed = names(folder)
    found = {block for block in wanted if shard_name(block) in listed}
    if found != wanted and manifest_path(directory, stored).exists():
        found |= {block for block in wanted - found if (folder / shard_name(block)).exists()}
    return found


def names(folder: Path) -> set[str]:
    """What lies in a folder; nothing where there is none. One call, however many shards it holds."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return set()
