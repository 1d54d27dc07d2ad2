"""What lies beside the shards and is trusted later, proved: manifests, and lists of files with their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rnnmc.common.errors import RunError
from rnnmc.common.files import write_whole

SEAL = "sha256"  # of all else that a sealed file says
STUDY_YAML = "study.yaml"
TABLES, PAGE = "tables.json", "page.json"  # what a study has counted, and what it has drawn of that


class Damaged(RunError):
    """A file of a study folder that is not as it was written. `path` names it. remedy: in place of what mends it."""

    def __init__(self, path: Path, problem: str, remedy: str = ""):
        super().__init__(f"{path}: {problem}; {remedy or f'{repairing(study_around(path))} mends what it can'}")
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return RunError, (str(self),)


def study_around(path: Path) -> Path | None:
    """The folder of the study that this path lies in: the nearest above it with a study.yaml; None where none has."""
    return next((folder for folder in path.parents if (folder / STUDY_YAML).exists()), None)


def repairing(directory: Path | str | None) -> str:
    """The command that mends a study folder."""
    return f"rnnmc verify --repair {directory or 'DIR'}"


def sha256(content: bytes) -> str:
    """The digest of these bytes."""
    return hashlib.sha256(content).hexdigest()


def write_sealed(path: Path, said: dict[str, Any]) -> None:
    """Leave what is said as JSON, with a digest of it. Raises RunError."""
    write_whole(path, _text(said | {SEAL: _seal(said)}))


def read_sealed(path: Path) -> dict[str, Any]:
    """What a file says, proved where it is sealed; nothing where there is none. Raises Damaged.

    One of before there were seals is returned as it is, without a SEAL.
    """
    try:
        content = path.read_bytes()
        said = json.loads(content)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        raise Damaged(path, "cannot be read") from None
    if not isinstance(said, dict) or not said:
        raise Damaged(path, "is not what it was")
    sealed = {name: value for name, value in said.items() if name != SEAL}
    if SEAL in said and (said[SEAL] != _seal(sealed) or content != _text(said)):
        raise Damaged(path, "is not as it was written")
    return said


def _text(said: dict[str, Any]) -> bytes:
    return json.dumps(said, indent=1).encode()


def _seal(said: dict[str, Any]) -> str:
    return sha256(json.dumps(said, sort_keys=True).encode())


def write_list(path: Path, files: Iterable[Path], said: dict[str, Any]) -> None:
    """Leave a list of files beside or below it, with their digests, and what else there is to say of them."""
    digests = {str(file.relative_to(path.parent)): sha256(file.read_bytes()) for file in sorted(files)}
    write_sealed(path, said | {"files": digests})


def read_list(path: Path) -> dict[str, Any]:
    """What such a list says; nothing where there is none. Raises Damaged."""
    said = read_sealed(path)
    if said and not (SEAL in said and isinstance(said.get("files"), dict)):
        raise Damaged(path, "is not as it was written")
    return said


def damaged_files(path: Path) -> Iterator[Damaged]:
    """What of a list of files, itself included, is not as it was written; nothing where there is no list."""
    try:
        files = read_list(path).get("files", {})
    except Damaged as error:
        yield error
        return
    for name, digest in files.items():
        file = path.parent / name
        try:
            problem = "" if sha256(file.read_bytes()) == digest else f"is not as {path.name} says that it was written"
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
        if problem:
            yield Damaged(file, problem)
