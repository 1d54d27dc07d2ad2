"""Laws of weights, one file a family, and the presets of the frameworks, written in terms of those laws."""

from __future__ import annotations

from rnnmc.common.registry import offered, offered_many
from rnnmc.initialisers.law import Preset, WeightLaw


def laws() -> dict[str, type[WeightLaw]]:
    """name -> law of the entries of a weight matrix or bias."""
    return offered("rnnmc.initialisers", "LAW")


def presets() -> dict[str, Preset]:
    """name -> preset: a default for every role, of a whole framework or of one of its layers."""
    return offered("rnnmc.initialisers", "PRESET") | layers()


def layers() -> dict[str, Preset]:
    """name -> preset, of the layers of the frameworks alone, such as torch.nn.LSTM; those of a framework together."""
    return offered_many("rnnmc.initialisers", "PRESETS")


def full_name(name: str) -> str:
    """The layer that is meant by its framework and its own name alone, such as torch.LSTM or gluon.GRU.

    Any other name, and one that several layers could be meant by, as it is.
    """
    first, dot, last = name.partition(".")
    if not dot or name in layers():
        return name
    ends = f".{last}"
    meant = [one for one in layers() if one.removeprefix("mxnet.").startswith(f"{first}.") and one.endswith(ends)]
    return meant[0] if len(meant) == 1 else name
