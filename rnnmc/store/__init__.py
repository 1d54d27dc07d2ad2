"""The folder of a study: what it plans, its shards, and what they prove.

What a stored point has and lacks, in one vocabulary:

- `shards.lacking_files`: blocks of which a file is not there; looks at names.
- `shards.lacking`: blocks of which something is not there, what is there being proved; reads every shard.
- `manifest.promised`: what a manifest has to say before a point counts as complete.
- `manifest.is_complete`: whether it says so, and the files that it names are there.
- `manifest.enough_said`: how many replicates it says are enough; `rnnmc.run.sampling.enough_seen` finds that out from
  the samples themselves.
"""

from __future__ import annotations

from rnnmc.common.names import offered_by

_PLACES = {
    "DamagedShard": "shards",
    "Shard": "shards",
    "StoredPoint": "stored_point",
    "load": "anywhere",
    "read_shard": "shards",
    "scan": "reading",
    "shard_path": "folder",
    "write_shard": "shards",
}
__getattr__ = offered_by(__name__, _PLACES)
