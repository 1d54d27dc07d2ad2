"""What is looked at along a chain, one file each."""

from __future__ import annotations

from typing import Any

from rnnmc.registry import offered


def observables() -> dict[str, Any]:
    """name -> observable."""
    return offered("rnnmc.observables", "OBSERVABLE")
