"""Which process computes which block, for others to see."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rnnmc.common.files import UNFINISHED, remove_left_part
from rnnmc.observables.observable import Observable
from rnnmc.store.folder import Keyed, names, point_folder, shard_path

MARK = ".running"  # ends the name of a file beside the shard that is being computed


@contextmanager
def claimed(directory: Path, point: Keyed, block: int) -> Iterator[None]:
    """Let others see which process computes this block; the kernel takes the lock back if that process dies.

    Each attempt has a mark of its own: a straggler's second begins before the first has ended.
    """
    path = shard_path(directory, point, block).with_suffix(f".{uuid.uuid4().hex}{MARK}")
    unseen = path.with_name(f".{path.name}{UNFINISHED}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with unseen.open("w") as mark:
        with suppress(OSError):  # a file system without locks: the mark is a courtesy, not a lock
            fcntl.flock(mark, fcntl.LOCK_EX)
        mark.write(f"{os.getpid()}\n")
        mark.flush()
        unseen.rename(path)  # nobody takes it for that of a process that has died
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running(directory: Path, point: Keyed) -> set[int]:
    """The blocks that living processes have claimed."""
    claims = {path.name.partition(".")[0] for path in _marks(directory, point) if _is_claimed(path)}
    return {int(block) for block in claims if block.isdigit()}


def _marks(directory: Path, point: Keyed) -> list[Path]:
    folder = point_folder(directory, point)
    return [folder / name for name in names(folder) if name.endswith(MARK)]


def remove_parts(directory: Path, point: Keyed, kinds: Iterable[Observable | None]) -> None:
    """Remove what processes that were killed have left of a point, marks and parts of shards, but not what one is
    writing now.
    """
    busy = running(directory, point)
    for path in _marks(directory, point):
        if not _is_claimed(path):
            path.unlink(missing_ok=True)
    for kind in kinds:
        folder = point_folder(directory, point, kind)
        for name in names(folder):
            hidden, _, rest = name.removeprefix(".").partition(".parquet.")
            if name.startswith(".") and hidden.isdigit() and rest.endswith(UNFINISHED) and int(hidden) not in busy:
                remove_left_part(folder / name)


def _is_claimed(path: Path) -> bool:
    try:
        with path.open("r") as mark:
            fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
