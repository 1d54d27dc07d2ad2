"""Statistics become tables, charts and the page."""

from __future__ import annotations

from rnnmc.common.names import offered_by

_PLACES = {
    "write_report": "page",
}
__getattr__ = offered_by(__name__, _PLACES)
