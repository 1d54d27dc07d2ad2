"""Which process computes which block, for others to see."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rnnmc.common.files import UNFINISHED, remove_left_part
from rnnmc.observables.observable import Observable
from rnnmc.store.folder import Keyed, names, point_folder, shard_path

MARK = ".running"  # beside the shard that is being computed


@contextmanager
def claimed(directory: Path, point: Keyed, block: int) -> Iterator[None]:
    """Let others see which process computes this block; the kernel takes the lock back if that process dies.

    A straggler's second attempt shares the mark of the first. It goes with the one that succeeds, for the block is then
    there, or with the last.
    """
    path = shard_path(directory, point, block).with_suffix(MARK)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as mark:
        with suppress(OSError):  # a file system without locks: the mark is a courtesy, not a lock
            fcntl.flock(mark, fcntl.LOCK_SH)
        mark.write(f"{os.getpid()}\n")
        mark.flush()
        try:
            yield
        except BaseException:
            with suppress(OSError):  # another has it, or no locks are there
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
            raise
        path.unlink(missing_ok=True)


def running(directory: Path, point: Keyed) -> set[int]:
    """The blocks that living processes have claimed."""
    folder = point_folder(directory, point)
    marked = {name.removesuffix(MARK): folder / name for name in names(folder) if name.endswith(MARK)}
    return {int(block) for block, path in marked.items() if block.isdigit() and _is_claimed(path)}


def remove_parts(directory: Path, point: Keyed, kinds: Iterable[Observable | None]) -> None:
    """Remove what processes that were killed had written of the shards of a point, but not what one is writing now."""
    busy = running(directory, point)
    for kind in kinds:
        folder = point_folder(directory, point, kind)
        for name in names(folder):
            hidden, _, rest = name.removeprefix(".").partition(".parquet.")
            if name.startswith(".") and hidden.isdigit() and rest.endswith(UNFINISHED) and int(hidden) not in busy:
                remove_left_part(folder / name)


def _is_claimed(path: Path) -> bool:
    try:
        with path.open("r") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
