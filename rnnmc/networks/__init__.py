"""A network that somebody has: read from a module or a checkpoint, in our names, and the chain along its trajectory."""

from __future__ import annotations

from rnnmc.common.names import offered_by

_PLACES = {
    "Layer": "network",
    "Network": "network",
    "chain_norms": "chains",
    "opened": "opening",
    "trajectory": "chains",
}
__getattr__ = offered_by(__name__, _PLACES)
