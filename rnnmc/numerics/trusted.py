"""What is kept on disk and trusted later, such as compiled code: in folders of this user alone, each file proved."""

from __future__ import annotations

import atexit
import errno
import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path

from rnnmc.common.files import held_folder

DIGEST = hashlib.sha256().digest_size  # bytes; behind the content, where a loader of libraries does not look

OTHERS = stat.S_IWGRP | stat.S_IWOTH

log = logging.getLogger("rnnmc")

_of_this_process: list[Path] = []  # none, or one folder, which goes when the process ends


def folders(kind: str) -> Iterator[Path]:
    """Folders for files of one kind, best first, each made when it is reached; nobody else can write into them.

    `$XDG_CACHE_HOME/rnnmc/KIND` (`~/.cache`), then one of this user in the folder for temporary files, then, where a
    file had to be kept there, one of this process. What belongs to somebody else is passed over, with a line of log.
    """
    for top in (*_places(), *_of_this_process):
        try:
            yield _made(_made(top) / kind)
        except OSError as error:
            _tell(f"{top}: {error.strerror or error}")


def _made(folder: Path) -> Path:
    """The folder, there and of this user alone. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if why := _not_ours(folder):
        raise PermissionError(errno.EPERM, why)
    if folder.stat().st_mode & OTHERS:  # as some systems make folders; files of others are refused
        folder.chmod(0o700)
    return folder


def keep(kind: str, name: str, content: bytes) -> Path:
    """Write a file of this kind, whole or not at all, and its digest behind it. Raises OSError without room."""
    for folder in folders(kind):
        with suppress(OSError):  # read-only, or full
            return _written(folder / name, content)
    if not _of_this_process:
        own = ExitStack()
        _of_this_process.append(own.enter_context(held_folder()))
        atexit.register(own.close)
    return _written(_made(_of_this_process[0] / kind) / name, content)


def _written(path: Path, content: bytes) -> Path:
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content + hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        return Path(part).replace(path)
    except OSError:
        Path(part).unlink(missing_ok=True)
        raise


def found(kind: str, name: str) -> Path | None:
    """The file of this kind and name, proved; one that is damaged is removed, with a line of log."""
    for folder in folders(kind):
        path = folder / name
        try:
            if not path.exists():
                continue
            why = _not_ours(path) or ("may be written by others" if path.stat().st_mode & OTHERS else "")
            why = why or ("is damaged" if _content(path) is None else "")
        except OSError as error:
            why = f"cannot be read ({error.strerror or error})"
        if not why:
            return path
        log.warning("%s: %s; it is made again", path, why)
        with suppress(OSError):
            path.unlink()
    return None


def content(path: Path) -> bytes:
    """What was kept in this file. Raises ValueError where it is damaged, and OSError where it cannot be read."""
    said = _content(path)
    if said is None:
        raise ValueError(f"{path}: is damaged")
    return said


def _content(path: Path) -> bytes | None:
    whole = path.read_bytes()
    said, digest = whole[:-DIGEST], whole[-DIGEST:]
    return said if hashlib.sha256(said).digest() == digest else None


def _places() -> Iterator[Path]:
    base = os.environ.get("XDG_CACHE_HOME")
    with suppress(RuntimeError):  # no home, and nobody who knows this user
        yield Path(base or Path.home() / ".cache") / "rnnmc"
    with suppress(OSError):  # no folder for temporary files
        yield Path(tempfile.gettempdir()) / f"rnnmc-{os.getuid()}"


def _not_ours(path: Path) -> str:
    """Why this file or folder is not to be trusted, for somebody else may have made it; empty where it is."""
    if path.lstat().st_uid not in (os.geteuid(), 0):  # of a link itself
        return "belongs to somebody else"
    return "" if path.stat().st_uid == os.geteuid() else "belongs to somebody else"


@cache
def _tell(sentence: str) -> None:
    """Once a process."""
    log.warning("%s; the next place is taken", sentence)
