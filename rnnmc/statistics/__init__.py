"""Samples become counts, probabilities with intervals, quantiles, growth rates, and what follows from them."""

from __future__ import annotations

from rnnmc.common.names import offered_by

_PLACES = {
    "point_statistics": "point",
    "rectangle": "point",
}
__getattr__ = offered_by(__name__, _PLACES)
