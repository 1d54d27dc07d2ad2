"""Folders of one study, sampled in several places, become one: every shard proved, and copied byte by byte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.files import appearing, hold_new, write_whole
from rnnmc.common.words import number_of
from rnnmc.observables.observable import Observable
from rnnmc.run.sampling import enough_seen
from rnnmc.store.folder import shard_path
from rnnmc.store.manifest import promised, write_manifest
from rnnmc.store.outdated import mark_outdated
from rnnmc.store.plan import POINTS_PARQUET, STUDY_YAML, planned, planned_rows, study_said
from rnnmc.store.shards import Shard, found_shard, lacking_files
from rnnmc.store.stored_point import StoredPoint
from rnnmc.store.verify import Proof, verify
from rnnmc.study.study import Thresholds


def merge(folders: Sequence[Path], into: Path) -> tuple[list[int], Proof]:
    """Join folders of one study in a new one; (how many shards came from each, what `verify` finds there).

    The plan is that of the folder with the most replicates. Of a block that several have, the shard with the most
    replicates is taken, once the replicates that they share are found to be the same. Raises UsageError for folders of
    several studies, or a target that is not empty, RunError for a folder that is damaged and for samples that differ.
    """
    hold_new(into)
    plans = [planned_rows(folder) for folder in folders]
    _refuse_several_studies(folders, plans)
    for folder in folders:
        if damaged := verify(folder).damaged:
            wrong = number_of(len(damaged), "file is", "files are")
            raise RunError(f"{damaged[0]} ({folder}: {wrong} damaged, so that nothing was merged)")
    most = max(range(len(folders)), key=lambda i: sum(stored.most for stored in plans[i]))
    taken = [0] * len(folders)
    with appearing(into) as new:
        for name in (POINTS_PARQUET, STUDY_YAML):
            write_whole(new / name, (folders[most] / name).read_bytes())
        for stored in plans[most]:
            for kind in stored.kinds:
                for block, _ in stored.blocks():
                    best = _best(folders, stored, block, kind)
                    if best is not None:
                        taken[best[0]] += 1
                        write_whole(shard_path(new, stored, block, kind), best[1].path.read_bytes())
            _complete(new, stored, Thresholds.checked(**study_said(new)["thresholds"]))
        mark_outdated(new)
    return taken, verify(into)


def _refuse_several_studies(folders: Sequence[Path], plans: Sequence[list[StoredPoint]]) -> None:
    for name in ("study", "seed"):
        said = [study_said(folder).get(name) for folder in folders]
        if len(set(map(str, said))) > 1:
            told = ", ".join(f"{folder} has {value}" for folder, value in zip(folders, said, strict=True))
            raise UsageError(f"{name}: {told}; give folders of one study")
    keys = [{stored.key for stored in plan} for plan in plans]
    for folder, own in zip(folders, keys, strict=True):
        if own != keys[0]:
            raise UsageError(
                f"{folder}: {len(own ^ keys[0])} design points are not those of {folders[0]}; give folders of "
                "one study, or run each with the longer list first"
            )
    asked = [[_asked(folder, stored) for stored in plan] for folder, plan in zip(folders, plans, strict=True)]
    for folder, own in zip(folders, asked, strict=True):
        for one, other in zip(sorted(own, key=str), sorted(asked[0], key=str), strict=True):
            if one != other:
                raise UsageError(
                    f"{folder}: asks of a design point for {one}, and {folders[0]} for {other}; run each with the same "
                    "observables, goals and thresholds first"
                )


def _asked(folder: Path, stored: StoredPoint) -> dict[str, Any]:
    """What is asked of a point beside a number of replicates, of which one folder may have more."""
    said = promised(stored, Thresholds.checked(**study_said(folder)["thresholds"]))
    return {"point": stored.key} | {name: value for name, value in said.items() if name not in ("replicates", "max")}


def _best(
    folders: Sequence[Path], stored: StoredPoint, block: int, kind: Observable | None
) -> tuple[int, Shard] | None:
    """(whose, the shard) of this block with the most replicates. Raises RunError where two folders differ in it."""
    every = [(i, found_shard(folder, stored, block, 1, kind)) for i, folder in enumerate(folders)]
    found = [(i, shard) for i, shard in every if shard is not None]
    if not found:
        return None
    best = max(found, key=lambda one: one[1].replicates)
    for i, shard in found:
        if shard.digest(shard.replicates) != best[1].digest(shard.replicates):
            raise RunError(
                f"block {block} of {stored.label}: {folders[best[0]]} and {folders[i]} hold other samples of the same "
                "replicates; rnnmc verify tells by what each was made"
            )
    return best


def _complete(into: Path, stored: StoredPoint, thresholds: Thresholds) -> None:
    """Leave the manifest of a point of which everything is there. Raises RunError where it was made in several ways."""
    if stored.until is not None:  # whose estimator the design point says
        (stored,) = planned(into, {stored.key})
    enough = enough_seen(into, stored, thresholds)
    if enough is not None and not lacking_files(into, stored.first(enough)):
        write_manifest(into, stored.first(enough), thresholds)
