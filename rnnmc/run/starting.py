"""A study file to begin with."""

from __future__ import annotations

from pathlib import Path

from rnnmc.common.errors import UsageError
from rnnmc.common.files import write_whole
from rnnmc.run.readme import rendered
from rnnmc.study.study import read_study
from rnnmc.study.yaml_file import yaml_of


def write_first_study(path: Path, cells: str, widths: str, inits: str, steps: int) -> int:
    """Write a commented study of these, each a list with commas between; how many design points it has.

    Raises UsageError where a file is there already, or where it would not be a study.
    """
    name = path.stem
    if path.exists():
        raise UsageError(f"{path}: is there already; give another name, or remove it first")
    lists = {"cells": cells, "widths": widths, "inits": inits}
    said = {key: f"[{', '.join(part.strip() for part in value.split(','))}]" for key, value in lists.items()}
    text = rendered("study.yaml.j2", path=path, name=name, steps=steps, **said)
    study = read_study(yaml_of(text, f"{path}:"), str(path))
    write_whole(path, text.encode())
    return len(study.points)
