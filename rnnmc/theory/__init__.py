"""Exact laws and large-width predictions, one file a law; `predictions(point)` finds those that hold for a point."""

from __future__ import annotations

from rnnmc.registry import offered
from rnnmc.study import DesignPoint
from rnnmc.theory.law import Law, Prediction


def laws() -> dict[str, Law]:
    """name -> law."""
    return offered("rnnmc.theory", "LAW")


def predictions(point: DesignPoint) -> list[tuple[Law, Prediction]]:
    """Every law whose assumptions this design point meets, with what it predicts; exact laws first, then by name."""
    holding = [law for law in laws().values() if law.applies(point)]
    return [(law, law.predict(point)) for law in sorted(holding, key=lambda law: (not law.exact, law.name))]
