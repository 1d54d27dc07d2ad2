"""The product P_T along a trajectory, its norms, and how a cell is checked."""

from __future__ import annotations

from rnnmc.common.names import offered_by

_PLACES = {
    "Moment": "product",
    "Step": "product",
    "Watch": "product",
    "follow": "product",
    "log_norms": "norms",
}
__getattr__ = offered_by(__name__, _PLACES)
