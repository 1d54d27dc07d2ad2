"""The samples of a study counted again, by its own thresholds or by others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnmc.common.errors import UsageError
from rnnmc.common.words import in_full
from rnnmc.run.aggregate import STATISTICS, aggregate
from rnnmc.statistics.intervals import KINDS
from rnnmc.store.outdated import LOOKS
from rnnmc.store.plan import OTHERWISE, points_file, read_head, study_said, write_plan
from rnnmc.study.study import Thresholds


def count_again(
    directory: Path, vanish: float | None = None, explode: float | None = None, interval: str | None = None
) -> Path:
    """Aggregate the samples of a study folder again; the path of the table of statistics.

    What is None is the study's own. Where all is, the study's own tables are written anew. Otherwise they are not
    touched: a folder below `what-if`, named after what was asked, gets all tables, and a study.yaml and points.parquet
    with which `rnnmc report` and `rnnmc show` tell of it. Raises UsageError for thresholds or an interval that cannot
    be, RunError where samples are missing; nothing is then written.
    """
    said = study_said(directory)
    if interval not in (None, *KINDS):
        raise UsageError(f"--interval: {interval} is not known; give {', '.join(KINDS)}")
    given = {name: value for name, value in (("vanish", vanish), ("explode", explode)) if value is not None}
    own = Thresholds.checked(**said["thresholds"])
    asked, kind = Thresholds.checked(**(own.model_dump() | given)), interval or said["interval"]
    claimed = said.get("oracles", False), said.get("claims", False)
    if (asked, kind) == (own, said["interval"]):
        aggregate(directory, own, kind, *claimed)
        return directory / f"{STATISTICS}.parquet"
    folder = look_folder(directory, asked, kind)
    aggregate(directory, asked, kind, *claimed, into=folder)
    _describe(directory, folder, {"thresholds": asked.model_dump(), "interval": kind})
    return folder / f"{STATISTICS}.parquet"


def look_folder(directory: Path, thresholds: Thresholds, interval: str) -> Path:
    """Where a look at these thresholds lies: `what-if/vanish-0.01-explode-1000-wilson`."""
    vanish, explode = (in_full(value) for value in (thresholds.vanish, thresholds.explode))
    return directory / LOOKS / f"vanish-{vanish}-explode-{explode}-{interval}"


def _describe(directory: Path, folder: Path, asked: dict[str, Any]) -> None:
    """Leave the study beside a look at it, as it would be with what was asked."""
    import yaml

    head, points = read_head(directory)
    head.pop("results", None)  # what is below the folder goes there with it
    text = yaml.safe_dump(head | asked, sort_keys=False, allow_unicode=True)
    write_plan(folder, f"{text}{points}", points_file(directory), f"{directory.name}{OTHERWISE}")
