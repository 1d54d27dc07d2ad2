"""Laws of weights, one file a family, and the presets of the frameworks, written in terms of those laws."""

from __future__ import annotations

from rnnmc.common.registry import offered
from rnnmc.initialisers.law import Preset, WeightLaw


def laws() -> dict[str, type[WeightLaw]]:
    """name -> law of the entries of a weight matrix or bias."""
    return offered("rnnmc.initialisers", "LAW")


def presets() -> dict[str, Preset]:
    """name -> preset: a framework's default for every role."""
    return offered("rnnmc.initialisers", "PRESET")
