"""The manifest of a stored point: that it is complete, and by which samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rnnmc.common.errors import RunError
from rnnmc.engine.block import SAMPLES
from rnnmc.observables import observables
from rnnmc.observables.observable import Observable
from rnnmc.store.folder import manifest_path, shard_path
from rnnmc.store.proofs import SEAL, Damaged, read_sealed, write_sealed
from rnnmc.store.routes import check_routes, kept, told
from rnnmc.store.shards import DamagedShard, Shard, lacking_files, said_by, serves, shards
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.replicates import GOALS
from rnnmc.study.study import Thresholds


def promised(stored: StoredPoint, thresholds: Thresholds) -> dict[str, Any]:
    """All that decides what is to be stored of a point, as its manifest repeats it."""
    said: dict[str, Any] = {"replicates": stored.most, "observables": [one.identity() for one in stored.observables]}
    if stored.until is not None:
        said |= stored.until.written() | {"thresholds": thresholds.model_dump()}
    return json.loads(json.dumps(said))


CHECKSUMS, MADE = "checksums", "made"  # what a manifest says since it is sealed
ALWAYS_SAID = {"point", "replicates", "half_width", "wanted", SAMPLES}  # what every manifest says


def manifest(directory: Path, stored: StoredPoint) -> dict[str, Any]:
    """What the manifest of a point says; nothing where there is none. Raises Damaged."""
    path = manifest_path(directory, stored)
    said = read_sealed(path)
    if said and not _is_manifest(said, stored):
        raise Damaged(path, "is not what it was")
    return said


def _is_manifest(said: dict[str, Any], stored: StoredPoint) -> bool:
    """Whether this is a manifest of this point; one of before there were seals says no word that we do not know."""
    enough, wanted = said.get("replicates"), said.get("wanted")
    known = ALWAYS_SAID | observables().keys() | {one.name for one in stored.observables}
    return (
        said.get("point") == stored.key
        and type(enough) is int
        and enough > 0
        and said.keys() >= ALWAYS_SAID
        and (wanted is None or isinstance(wanted, dict))
        and (not wanted or bool(_goal(said)) or enough == wanted.get("replicates"))
        and all(_names(said[name], str) for name in said.keys() & (known - ALWAYS_SAID | {SAMPLES}))
        and (SEAL in said or said.keys() <= known)
        and _are_names(said.get(CHECKSUMS, {}), str)
        and (MADE not in said or (_are_names(said[MADE], int) and said[MADE].keys() == summed_up([]).keys()))
    )


def _names(said: Any, of: type) -> bool:
    return isinstance(said, dict) and all(type(one) is of for one in said.values())


def _are_names(said: Any, of: type) -> bool:
    return isinstance(said, dict) and all(_names(one, of) for one in said.values())


def enough_said(directory: Path, stored: StoredPoint) -> int | None:
    """How many replicates a manifest says are enough for the goal of this point, or None. Raises Damaged."""
    if stored.until is None:
        return None
    said = manifest(directory, stored)
    return min(said["replicates"], stored.most) if _goal(said) == _goal(stored.until.written()) else None


class Named(NamedTuple):
    """What a manifest names of one kind, by block: digests of samples, checksums of the shards that it saw, and of how
    many replicates these samples are.
    """

    samples: dict[str, str]
    checksums: dict[str, str]
    counts: dict[str, int]

    def check(self, shard: Shard, block: int) -> None:
        """Raise DamagedShard where this shard holds other samples than are named here.

        The very file that the manifest saw is taken at its word about its samples; of another, such as one that a
        second run has left, the rows are looked at: of one that holds more, as where a study grew and was stopped on
        the way, the first.
        """
        name = str(block)
        if self.checksums.get(name) != shard.checksum:
            shard.digest(shard.replicates)
        if self.samples.get(name, shard.facts.get("samples")) == shard.facts.get("samples"):
            return
        count = self.counts.get(name, shard.replicates)
        if count >= shard.replicates or shard.digest(count) != self.samples[name]:
            raise DamagedShard(shard.path, "holds other samples than the manifest of its point names")


def named(directory: Path, stored: StoredPoint, observable: Observable | None = None) -> Named:
    """What the manifest of a point names, where it is of this very form of the point. Raises Damaged."""
    said = manifest(directory, stored)
    wanted, now = said.get("wanted") or {}, promised(stored, Thresholds())
    if any(wanted.get(name) != now[name] for name in ("replicates", "observables")):
        return Named({}, {}, {})
    kind = observable.name if observable else SAMPLES
    counts = {str(block): count for block, count in stored.first(said["replicates"]).blocks()}
    return Named(said.get(kind, {}), said.get(CHECKSUMS, {}).get(kind, {}), counts)


def _goal(said: dict[str, Any]) -> dict[str, Any]:
    return {key: said[key] for key in (*GOALS, "of") if said.get(key) is not None}


def is_complete(directory: Path, stored: StoredPoint, thresholds: Thresholds) -> bool:
    """Whether the manifest of a point says all that is promised, and what it names is there. Reads no shard.

    Raises Damaged for a manifest that is not as it was written.
    """
    said = manifest(directory, stored)
    promise = promised(stored, thresholds)
    return said.get("wanted") == promise and not lacking_files(directory, stored.first(said["replicates"]))


def prove(directory: Path, stored: StoredPoint) -> None:
    """Read every shard of a complete point. Raises DamagedShard for the first that is not whole, or not the one named.

    What is missing is no damage.
    """
    stored = stored.first(manifest(directory, stored).get("replicates", stored.replicates))
    for kind in stored.kinds:
        names = named(directory, stored, kind)
        for block, _, shard in shards(directory, stored, kind):
            if shard is not None:
                names.check(shard, block)


def summed_up(made: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """routes, versions, commits -> each that the facts of these shards name -> of how many."""
    found: dict[str, dict[str, int]] = {"routes": {}, "versions": {}, "commits": {}}
    for facts in made:
        versions = ", ".join(f"{name} {value}" for name, value in sorted((facts.get("versions") or {}).items()))
        for name, value in (("routes", told(facts)), ("versions", versions), ("commits", facts.get("commit") or "")):
            found[name][value] = found[name].get(value, 0) + 1
    return found


def made_by(directory: Path, points: Iterable[StoredPoint]) -> dict[str, Any]:
    """What the manifests of these points sum up, together; and the points, by label, that were made by several routes.

    Empty where no manifest says.
    """
    found: dict[str, Any] = {"routes": {}, "versions": {}, "commits": {}, "several": []}
    for stored in points:
        made = manifest(directory, stored).get(MADE, {})
        for name, counts in made.items():
            for value, count in counts.items():
                found[name][value] = found[name].get(value, 0) + count
        if len(made.get("routes", {})) > 1:
            found["several"].append(stored.label)
    return found if found["routes"] else {}


def write_manifest(directory: Path, stored: StoredPoint, thresholds: Thresholds) -> Path:
    """Say that a point is complete, and by which samples. Raises RunError while blocks are missing.

    Takes the word of the shards, which have just been written; they are proved against the manifest from then on.
    """
    digests: dict[str, dict[int, str]] = {}
    checksums: dict[str, dict[int, str]] = {}
    made: list[dict[str, Any]] = []
    for kind in stored.kinds:
        name = kind.name if kind else SAMPLES
        of_kind, of_files = digests.setdefault(name, {}), checksums.setdefault(name, {})
        for block, count in stored.blocks():
            facts, checksum = said_by(shard_path(directory, stored, block, kind))
            if not serves(facts, count, kind):
                raise RunError(f"block {block} of {stored.label} is missing; run again to go on")
            of_kind[block], of_files[block] = facts["samples"], checksum
            made.append(kept(facts))
    path = manifest_path(directory, stored)
    said = {"point": stored.key, "replicates": stored.replicates, "half_width": None}  # a goal is said by its own name
    said |= {} if stored.until is None else stored.until.written()
    said |= {"wanted": promised(stored, thresholds), MADE: summed_up(made)}
    check_routes(directory, stored.label, made)
    write_sealed(path, json.loads(json.dumps(said | {CHECKSUMS: checksums} | digests)))
    return path
