"""Exact laws and large-width predictions, one file a law; `predictions(point)` finds those that hold for a point."""

from __future__ import annotations

from contextlib import suppress

from rnnmc.common.registry import offered
from rnnmc.study.point import DesignPoint
from rnnmc.theory.law import Law, Prediction


def laws() -> dict[str, Law]:
    """name -> law."""
    return offered("rnnmc.theory.exact", "LAW") | offered("rnnmc.theory.large_width", "LAW")


def predictions(point: DesignPoint) -> list[tuple[Law, Prediction]]:
    """Every law whose assumptions this design point meets, with what it predicts; exact laws first, then by name.

    Of layers above each other only those laws speak that are `layered`. A law whose numbers leave the floating-point
    range, as at a gain of 1e-170, says nothing.
    """
    found = []
    for law in sorted(laws().values(), key=lambda law: (not law.exact, law.name)):
        with suppress(ArithmeticError):
            if (point.layers == 1 or law.layered) and law.applies(point):
                found.append((law, law.predict(point)))
    return found
