"""Whether a study has run to its end and nothing has been touched since.

Then there is nothing to do, and no need to ask Snakemake, which takes seconds to say so.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rnnmc.common.errors import RunError
from rnnmc.common.files import write_whole
from rnnmc.store.outdated import LOOKS, SO_FAR
from rnnmc.store.plan import settled
from rnnmc.study.study import Study

SETTLED = "logs/settled.json"  # below the folder of a study
ASIDE = {"logs", LOOKS, SO_FAR}  # folders of which no result depends


def hold_form(directory: Path, form: dict[str, Any]) -> None:
    """Raise RunError where what is `settled` of the folder is not this any more: another run has planned it anew."""
    if settled(directory) != form:
        raise RunError(f"{directory}: another run has planned it anew meanwhile; run it again once that has ended")


def settle(directory: Path, study: Study) -> None:
    """Note that the study has run to its end, and how it has left its folder. Raises RunError."""
    write_whole(directory / SETTLED, json.dumps(_facts(directory, study)).encode())


def is_settled(directory: Path, study: Study) -> bool:
    """Whether just this study has run to its end, and every file is as it was then, by size and times of writing."""
    with suppress(OSError, ValueError):
        return json.loads((directory / SETTLED).read_bytes()) == _facts(directory, study)
    return False


def _facts(directory: Path, study: Study) -> dict[str, str]:
    own = sorted({one.digest for point in study.points for one in point.sources().values()})
    asked = [study.written(), [planned.point.key for planned in study.points], own]
    files = hashlib.sha256("\n".join(sorted(_files(directory))).encode(errors="surrogateescape"))
    return {"study": hashlib.sha256(json.dumps(asked).encode()).hexdigest(), "files": files.hexdigest()}


def _files(directory: Path) -> Iterator[str]:
    """Each file below the folder with its size and the times of writing it, the one that nobody can set too."""
    for folder, inside, names in os.walk(directory):
        if Path(folder) == directory:
            inside[:] = [name for name in inside if name not in ASIDE]
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - there may be a million
            with suppress(FileNotFoundError):  # what another run was writing, or a mark that it took back
                found = os.lstat(path)
                yield f"{path[len(str(directory)) :]} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
