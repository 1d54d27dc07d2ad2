"""The folder of a study: what it plans, its shards, and what they prove."""

from __future__ import annotations

from rnnmc.common.names import offered_by

_PLACES = {
    "DamagedShard": "shards",
    "Shard": "shards",
    "read_shard": "shards",
    "scan": "reading",
    "shard_path": "shards",
    "shard_tables": "shards",
    "write_shard": "shards",
}
__getattr__ = offered_by(__name__, _PLACES)
