"""Whether every shard of a study folder is whole, and all of them are there."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from rnnmc.store.folder import block_of, names, point_folder, shard_name
from rnnmc.store.manifest import enough_said
from rnnmc.store.plan import stored_points
from rnnmc.store.shards import DamagedShard, read_shard
from rnnmc.store.stored_point import StoredPoint


@dataclass(frozen=True)
class Proof:
    """What `verify` found.

    damaged: shards that are not whole. unplanned: files that no point of the study accounts for. missing: blocks that
    are not there, as (stored point, block). digest: SHA-256 over all planned samples that are there, in plan order:
    equal numbers, equal digest. read: how many shards.
    """

    damaged: list[DamagedShard]
    unplanned: list[Path]
    missing: list[tuple[StoredPoint, int]]
    digest: str
    read: int


def verify(directory: Path) -> Proof:
    """Prove every shard of a study folder, and compare what is there with what is planned."""
    damaged, absent, digest, read = [], [], hashlib.sha256(), 0
    known: dict[str, int] = {}  # folder -> how many blocks it may hold
    for stored, kind in [(one, kind) for one in _so_far(directory) for kind in one.kinds]:
        folder = point_folder(directory, stored, kind)
        # blocks sampled at the same time as the last one that was needed lie beyond it: no statistic counts them
        known[str(folder)] = -(-stored.most // stored.cut.block)
        there = names(folder)
        for block, count in stored.blocks():
            if shard_name(block) not in there:
                absent.append((stored, block))
                continue
            read += 1
            try:
                shard = read_shard(folder / shard_name(block), stored.key, kind)
            except DamagedShard as error:
                damaged.append(error)
                continue
            digest.update(shard.digest(count).encode())
            if not shard.serves(count, kind):
                absent.append((stored, block))
    missing = list(dict.fromkeys(absent))
    return Proof(damaged, _unplanned(directory, known), missing, digest.hexdigest(), read)


def _unplanned(directory: Path, known: dict[str, int]) -> list[Path]:
    """Shards that are not of the first so many blocks of a known folder, sorted."""
    strange = []
    for top in ("samples", "observables"):
        for folder, _, files in os.walk(directory / top):
            number = known.get(folder, 0)
            strange += [Path(folder) / name for name in files if name.endswith(".parquet") and block_of(name) >= number]
    return sorted(strange)


def _so_far(directory: Path) -> list[StoredPoint]:
    """The stored points; of one whose goal has not decided yet, up to the last block that is there."""
    found = []
    for stored in stored_points(directory):
        if stored.until is not None and enough_said(directory, stored) is None:
            there = names(point_folder(directory, stored))
            last = max((block for block, _ in stored.blocks() if shard_name(block) in there), default=-1)
            stored = stored.first(min(stored.most, (last + 1) * stored.cut.block))
        found.append(stored)
    return found
