"""A study file becomes a validated study, and that a list of design points, each with a key."""

from __future__ import annotations

from rnnmc.common.names import offered_by

_PLACES = {
    "DesignPoint": "point",
    "ENGINE": "point",
    "PlannedPoint": "study",
    "Study": "study",
    "Thresholds": "study",
    "horizons_up_to": "point",
    "load_study": "study",
    "read_study": "study",
}
__getattr__ = offered_by(__name__, _PLACES)
