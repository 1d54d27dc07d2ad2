"""Whether every file of a study folder that is trusted later is as it was written, and all shards are there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnmc.observables.observable import Observable
from rnnmc.store.folder import block_of, names, point_folder, shard_name, shard_path, shards_there
from rnnmc.store.manifest import MADE, Named, enough_said, manifest, named
from rnnmc.store.outdated import LOOKS
from rnnmc.store.plan import hold_samples, planned_rows
from rnnmc.store.proofs import PAGE, TABLES, Damaged, damaged_files
from rnnmc.store.routes import counted, kept, of_other_routes
from rnnmc.store.shards import DamagedShard, is_shard, read_shard
from rnnmc.store.stored_point import StoredPoint


@dataclass(frozen=True)
class Proof:
    """What `verify` found.

    damaged: files that are not as they were written: shards, manifests, what is planned, tables and pages. unplanned:
    shards that no point of the study accounts for. missing: blocks that are not there, as (stored point, block).
    mixed: design point -> route -> how many of its shards were made by it, where there are several. fewer: those that
    were not made as most of their point, unless that was wanted.
    digest: SHA-256 over all planned samples that are there, in plan order: equal numbers, equal digest. read: how many
    shards.
    """

    damaged: list[Damaged]
    unplanned: list[Path]
    missing: list[tuple[StoredPoint, int]]
    digest: str
    read: int
    mixed: dict[str, dict[str, int]] = field(default_factory=dict)
    fewer: list[Path] = field(default_factory=list)

    @property
    def whole(self) -> str:
        """How many shards were read, for people, and the digest."""
        also = f", {len(self.missing)} missing" if self.missing else ""
        return f"{self.read} shards whole{also}; samples SHA-256 {self.digest}"

    def told(self, directory: Path) -> list[str]:
        """What is not as it is to be, a sentence each."""
        said = list(map(str, self.damaged))
        for stored, block in self.missing:
            path = shard_path(directory, stored, block)
            said.append(f"{path}: is missing; rnnmc verify --repair or another run will compute it")
        said += [f"{path}: is no part of this study as it stands; no statistic counts it" for path in self.unplanned]
        for label, ways in self.mixed.items():
            shards = "; ".join(f"{count} shards by {way}" for way, count in ways.items())
            said.append(f"{label}: made in several ways: {shards}")
        return said

    def document(self, directory: Path) -> dict[str, Any]:
        """All of it for programs."""
        return {
            "shards": self.read,
            "sha256": self.digest,
            "damaged": [str(error) for error in self.damaged],
            "missing": [str(shard_path(directory, stored, block)) for stored, block in self.missing],
            "unplanned": [str(path) for path in self.unplanned],
            "made_in_several_ways": self.mixed,
        }


def verify(directory: Path) -> Proof:
    """Prove every file of a study folder, and compare what is there with what is planned.

    No shard is taken at its own word: either its manifest names the very file, or its rows are looked at. Raises
    UsageError where nothing is planned, or none is to be there.
    """
    hold_samples(directory)
    try:
        stored = planned_rows(directory)
    except Damaged as error:  # no shard can be judged by it
        return Proof([error], [], [], "", 0)
    damaged: list[Damaged] = []
    absent, digest, read = [], hashlib.sha256(), 0
    mixed, fewer = {}, []
    known: dict[str, int] = {}  # folder -> how many blocks it may hold
    for one, named_by in _so_far(directory, stored, damaged):
        for kind in one.kinds:
            # blocks sampled at the same time as the last one that was needed lie beyond it: no statistic counts them
            known[str(point_folder(directory, one, kind))] = -(-one.most // one.cut.block)
        if (found := _by_manifest(directory, one, named_by)) is not None:
            digest.update("".join(found).encode())
            read += len(found)
            continue
        made: dict[Path, dict[str, Any]] = {}
        for kind in one.kinds:
            there = shards_there(directory, one, kind)
            for block, count in one.blocks():
                if block not in there:
                    absent.append((one, block))
                    continue
                read += 1
                try:
                    shard = read_shard(shard_path(directory, one, block, kind), one.key, kind)
                    named_by[kind].check(shard, block)
                    digest.update(shard.digest_said(count).encode())
                except DamagedShard as error:
                    damaged.append(error)
                    continue
                made[shard.path] = kept(shard.facts)
                if not shard.serves(count, kind):
                    absent.append((one, block))
        facts = list(made.values())
        if others := of_other_routes(facts):
            mixed[one.label] = counted(facts)
            fewer += [] if any(one.get("mixed") for one in facts) else [[*made][i] for i in others]
    for listed in (directory, *directory.glob(f"{LOOKS}/*")):
        damaged += [error for name in (TABLES, PAGE) for error in damaged_files(listed / name)]
    missing = list(dict.fromkeys(absent))
    return Proof(damaged, _unplanned(directory, known), missing, digest.hexdigest(), read, mixed, fewer)


def _by_manifest(directory: Path, stored: StoredPoint, named_by: dict[Observable | None, Named]) -> list[str] | None:
    """The digests of the samples in every shard of a point, where each is the very file that its manifest names, and
    all were made by one route; None where one is not, or is not there, and all are to be looked at one by one.
    """
    if not named_by[None].checksums or len(manifest(directory, stored).get(MADE, {}).get("routes", {})) != 1:
        return None
    digests: list[str] = []
    for kind in stored.kinds:
        folder, (samples, checksums, _) = str(point_folder(directory, stored, kind)), named_by[kind]
        for block, count in stored.blocks():
            said, checksum = samples.get(str(block), ""), checksums.get(str(block), "")
            if not is_shard(f"{folder}/{shard_name(block)}", checksum, stored.key, block, count, said):
                return None
            digests.append(said)
    return digests


def _unplanned(directory: Path, known: dict[str, int]) -> list[Path]:
    """Shards that are not of the first so many blocks of a known folder, sorted."""
    strange = []
    for top in ("samples", "observables"):
        for folder, _, files in os.walk(directory / top):
            number = known.get(folder, 0)
            strange += [Path(folder) / name for name in files if name.endswith(".parquet") and block_of(name) >= number]
    return sorted(strange)


def _so_far(
    directory: Path, planned: list[StoredPoint], damaged: list[Damaged]
) -> Iterator[tuple[StoredPoint, dict[Observable | None, Named]]]:
    """Each stored point, and what its manifest names; one that is not as it was written joins what is `damaged`.

    Of a point whose goal has not decided yet, up to the last block that is there.
    """
    for stored in planned:
        try:
            manifest(directory, stored)
        except Damaged as error:
            damaged.append(error)
            enough, names_of = None, {kind: Named({}, {}, {}) for kind in stored.kinds}
        else:
            enough = enough_said(directory, stored)
            names_of = {kind: named(directory, stored, kind) for kind in stored.kinds}
        if stored.until is not None and enough is None:
            there = names(point_folder(directory, stored))
            last = max((block for block, _ in stored.blocks() if shard_name(block) in there), default=-1)
            enough = min(stored.most, (last + 1) * stored.cut.block)
        yield stored if enough is None else stored.first(enough), names_of
