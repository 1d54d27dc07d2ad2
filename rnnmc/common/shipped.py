"""What comes with rnnmc beside the package: the workflow and the studies, in a checkout or where a wheel puts them."""

from __future__ import annotations

import re
import shutil
import sysconfig
from functools import cache
from pathlib import Path

from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.refusals import choose

CONFIG = Path("config")


@cache
def shipped() -> Path | None:
    """The folder that holds Snakefile, workflow/ and config/; None where rnnmc is installed without them."""
    places = (Path(__file__).parents[2], Path(sysconfig.get_path("data")) / "share" / "rnnmc")
    return next((place for place in places if (place / "Snakefile").is_file()), None)


def study_file(said: Path) -> tuple[Path, bool]:
    """(where a study lies, whether it has just been put there): a file as it is; `phase` is config/phase.yaml.

    One that comes with rnnmc and is not there yet is copied into config/ with the data it reads, to be looked at and
    changed. Raises UsageError where there is no study of this name, RunError where a copy cannot be written.
    """
    named = said if said.suffix else CONFIG / f"{said}.yaml"
    root = shipped()
    if said.exists() or named.exists():
        return said if said.exists() else named, False
    if root is None or named.parent != CONFIG or not (root / named).is_file():
        if said.suffix:  # whoever reads it says that it is not there
            return said, False
        there = {path.stem for place in (Path(), root) if place for path in (place / CONFIG).glob("*.yaml")}
        known = choose(str(said), sorted(there)) if there else "give a study file"
        raise UsageError(f"{said}: is no study; {known}")
    try:
        for each in (named, *map(Path, re.findall(rf"{CONFIG}/data/[\w.-]+", (root / named).read_text()))):
            each.parent.mkdir(parents=True, exist_ok=True)
            if not each.exists():
                shutil.copyfile(root / each, each)
    except OSError as error:
        raise RunError(f"{named}: cannot be written ({error.strerror or error}); give a folder of your own") from None
    return named, True
