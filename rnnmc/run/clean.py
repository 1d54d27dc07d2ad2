"""What lies in the folder of a study and is counted by no statistic: found, and removed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rnnmc.common.errors import RunError
from rnnmc.common.files import UNFINISHED
from rnnmc.store.folder import block_of, point_folder
from rnnmc.store.marks import MARK, running
from rnnmc.store.plan import planned_rows


def uncounted(directory: Path) -> list[Path]:
    """Files below samples/ and observables/ of points, observables or blocks that the study does not have as it stands,
    what was being written or computed as a process died, and the same anywhere else in the folder.

    Raises RunError while a run of the study computes blocks, UsageError for what is no folder of a study.
    """
    known: dict[Path, int] = {}  # folder -> how many blocks it may hold
    for stored in planned_rows(directory):
        if busy := running(directory, stored):
            raise RunError(
                f"{directory}: block {min(busy)} of {stored.label} is being computed; clean when that has ended"
            )
        for kind in stored.kinds:
            known[point_folder(directory, stored, kind)] = -(-stored.most // stored.cut.block)
    found = []
    for folder, _, names in os.walk(directory):
        here = Path(folder)
        of_points = here.relative_to(directory).parts[:1] in (("samples",), ("observables",))
        for name in names:
            blocks = known.get(here, 0)
            strange = of_points and (here not in known or (name.endswith(".parquet") and block_of(name) >= blocks))
            if strange or (name.startswith(".") and name.endswith(UNFINISHED)) or name.endswith(MARK):
                found.append(here / name)
    return sorted(found)


def remove(directory: Path, files: Sequence[Path]) -> int:
    """Remove these files, and the folders that are then empty; bytes of them. Raises RunError."""
    size = 0
    try:
        for path in files:
            size += path.lstat().st_size
            path.unlink()
            for folder in path.parents:
                if folder == directory or any(folder.iterdir()):
                    break
                folder.rmdir()
    except OSError as error:
        raise RunError(f"{error.filename}: cannot be removed: {error.strerror}") from None
    return size
