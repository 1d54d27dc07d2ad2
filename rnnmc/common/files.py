"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rnnmc.common.errors import RunError, UsageError

UNFINISHED = ".part"  # at the end of the name of what is being written
WRITTEN = 5.0  # seconds; nothing that is written whole goes as long without a byte
PREFIX, LOCK = "rnnmc-", "in-use"  # of a folder for temporary files, and of the file in it that its process has locked


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all, also when the power goes. Raises RunError."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{UNFINISHED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RunError(
            f"{path}: cannot be written: {error.strerror or error}; make room or give another folder, then run again"
        ) from error


def remove_unfinished(folder: Path) -> None:
    """Remove files that processes which were killed were writing there, but not one that is being written."""
    with suppress(OSError):
        for path in folder.glob(f".*{UNFINISHED}"):
            remove_left_part(path)


def remove_left_part(path: Path) -> None:
    """Remove such a file, unless it is being written."""
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > WRITTEN:
            path.unlink()


def is_taken(place: Path) -> bool:
    """Whether a folder that is to be made is there already, and not empty, or is a file."""
    return place.exists() and (not place.is_dir() or any(place.iterdir()))


def hold_new(into: Path) -> None:
    """Raise UsageError where a folder that is to be made `is_taken`."""
    if is_taken(into):
        raise UsageError(f"--into: {into} is there already; give a new folder")


@contextmanager
def appearing(into: Path) -> Iterator[Path]:
    """Another folder to fill beside one that is new or empty; it takes its place when the body ends, or goes."""
    place = into.resolve()
    filled = place.with_name(f".{place.name}.{uuid.uuid4().hex}{UNFINISHED}")
    filled.mkdir(parents=True)
    try:
        yield filled
        filled.replace(place)
    finally:
        shutil.rmtree(filled, ignore_errors=True)


@contextmanager
def held_folder(top: Path | None = None) -> Iterator[Path]:
    """A new folder of this user alone, there or where temporary files go, which ends with the body.

    Where its process is killed it stays, and `is_held` tells the next one that it is nobody's. Raises OSError where
    none can be made.
    """
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=top))
    try:
        with (folder / f"{LOCK}{UNFINISHED}").open("w") as lock:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            Path(lock.name).rename(folder / LOCK)  # nobody sees it before it is held
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_held(folder: Path) -> bool:
    """Whether a living process holds the lock of a `held_folder`. Raises OSError where there is no lock."""
    with (folder / LOCK).open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
