"""Folders of one study, sampled in several places, become one: every shard proved, and copied byte by byte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.files import write_whole
from rnnmc.observables.observable import Observable
from rnnmc.run.sampling import enough_seen
from rnnmc.store.folder import shard_path
from rnnmc.store.manifest import write_manifest
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
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError(f"--into: {into} is there already; give a new folder")
    plans = [planned_rows(folder) for folder in folders]
    _refuse_several_studies(folders, plans)
    for folder in folders:
        if damaged := verify(folder).damaged:
            raise RunError(f"{damaged[0]} ({folder}: {len(damaged)} files are damaged, so that nothing was merged)")
    most = max(range(len(folders)), key=lambda i: sum(stored.most for stored in plans[i]))
    for name in (POINTS_PARQUET, STUDY_YAML):
        write_whole(into / name, (folders[most] / name).read_bytes())
    taken = [0] * len(folders)
    for stored in plans[most]:
        for kind in stored.kinds:
            for block, _ in stored.blocks():
                best = _best(folders, stored, block, kind)
                if best is not None:
                    taken[best[0]] += 1
                    write_whole(shard_path(into, stored, block, kind), best[1].path.read_bytes())
        _complete(into, stored, Thresholds.checked(**study_said(into)["thresholds"]))
    mark_outdated(into)
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


def _best(
    folders: Sequence[Path], stored: StoredPoint, block: int, kind: Observable | None
) -> tuple[int, Shard] | None:
    """(whose, the shard) of this block with the most replicates. Raises RunError where two folders differ in it."""
    every = [(i, found_shard(folder, stored, block, 1, kind)) for i, folder in enumerate(folders)]
    found = [(i, shard) for i, shard in every if shard is not None]
    for i, shard in found[1:]:
        shared = min(shard.replicates, found[0][1].replicates)
        if shard.digest(shared) != found[0][1].digest(shared):
            first, other = folders[found[0][0]], folders[i]
            raise RunError(
                f"block {block} of {stored.label}: {first} and {other} hold other samples of the same replicates; "
                "rnnmc verify tells by what each was made"
            )
    return max(found, key=lambda one: one[1].replicates, default=None)


def _complete(into: Path, stored: StoredPoint, thresholds: Thresholds) -> None:
    """Leave the manifest of a point of which everything is there. Raises RunError where it was made in several ways."""
    if stored.until is not None:  # whose estimator the design point says
        (stored,) = planned(into, {stored.key})
    enough = enough_seen(into, stored, thresholds)
    if enough is not None and not lacking_files(into, stored.first(enough)):
        write_manifest(into, stored.first(enough), thresholds)
