"""When, where and with what the samples of a folder were made, as its shards say."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from rnnmc.store.shards import facts_of

READ = 400  # shards at most: of a large study as many, spread evenly


def sampled(directory: Path) -> dict[str, list[str]]:
    """What the shards of samples say: sampled, host, commit, device and versions, each as its different values in
    order. Values that no shard has (those of an earlier rnnmc have no date) are an empty list.

    sampled: when, UTC, as `2026-01-31T12:00:00`. versions: `torch 2.9.0` and so on.
    """
    shards = sorted((directory / "samples").glob("cell=*/*/[0-9]*.parquet"))
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in shards[:: -(-len(shards) // READ) or 1]:
        facts: dict[str, Any] = facts_of(path)
        for name in ("sampled", "host", "commit", "device"):
            found[name] |= {str(facts[name])} if facts.get(name) else set()
        found["versions"] |= {f"{name} {version}" for name, version in facts.get("versions", {}).items()}
    return {name: sorted(found[name]) for name in ("sampled", "host", "commit", "device", "versions")}
