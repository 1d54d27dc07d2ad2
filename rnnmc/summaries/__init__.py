"""What the replicates of a design point say of each observable, one file for those that need more than the usual."""

from __future__ import annotations

from rnnmc.registry import offered
from rnnmc.summaries.summary import Settings, Summary


def summary_of(observable: str) -> Summary:
    """The summary of the observable of this name: its own, or the usual one."""
    return offered("rnnmc.summaries", "SUMMARY").get(observable) or Summary()


__all__ = ["Settings", "Summary", "summary_of"]
