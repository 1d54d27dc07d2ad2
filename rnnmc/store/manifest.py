"""The manifest of a stored point: that it is complete, and by which samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rnnmc.common.errors import RunError
from rnnmc.common.files import write_whole
from rnnmc.engine.block import SAMPLES
from rnnmc.store.folder import manifest_path, shard_path
from rnnmc.store.shards import facts_of, lacking_files, serves
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.replicates import GOALS
from rnnmc.study.study import Thresholds


def promised(stored: StoredPoint, thresholds: Thresholds) -> dict[str, Any]:
    """All that decides what is to be stored of a point, as its manifest repeats it."""
    said: dict[str, Any] = {"replicates": stored.most, "observables": [one.identity() for one in stored.observables]}
    if stored.until is not None:
        said |= stored.until.written() | {"thresholds": thresholds.model_dump()}
    return json.loads(json.dumps(said))


def manifest(directory: Path, stored: StoredPoint) -> dict[str, Any]:
    """What the manifest of a point says; nothing where there is none that can be read."""
    try:
        said = json.loads(manifest_path(directory, stored).read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def enough_said(directory: Path, stored: StoredPoint) -> int | None:
    """How many replicates a manifest says are enough for the goal of this point, or None."""
    if stored.until is None:
        return None
    said = manifest(directory, stored)
    enough = said.get("replicates") if _goal(said) == _goal(stored.until.written()) else None
    return min(enough, stored.most) if isinstance(enough, int) else None


def _goal(said: dict[str, Any]) -> dict[str, Any]:
    return {key: said[key] for key in (*GOALS, "of") if said.get(key) is not None}


def is_complete(directory: Path, stored: StoredPoint, thresholds: Thresholds) -> bool:
    """Whether the manifest of a point says all that is promised, and what it names is there. Reads no shard."""
    said = manifest(directory, stored)
    promise = promised(stored, thresholds)
    return said.get("wanted") == promise and not lacking_files(directory, stored.first(said["replicates"]))


def write_manifest(directory: Path, stored: StoredPoint, thresholds: Thresholds) -> Path:
    """Say that a point is complete, and by which samples. Raises RunError while blocks are missing.

    Takes the shards' own word for it: they are proved when they are aggregated.
    """
    digests: dict[str, dict[int, str]] = {}
    for kind in stored.kinds:
        of_kind = digests.setdefault(kind.name if kind else SAMPLES, {})
        for block, count in stored.blocks():
            facts = facts_of(shard_path(directory, stored, block, kind))
            if not serves(facts, count, kind):
                raise RunError(f"block {block} of {stored.label} is missing; run again to go on")
            of_kind[block] = facts["samples"]
    path = manifest_path(directory, stored)
    said = {"point": stored.key, "replicates": stored.replicates, "half_width": None}  # a goal is said by its own name
    said |= {} if stored.until is None else stored.until.written()
    said["wanted"] = promised(stored, thresholds)
    write_whole(path, json.dumps(said | digests, indent=1).encode())
    return path
