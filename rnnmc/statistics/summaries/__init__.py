"""What the replicates of a design point say of each observable, one file for those that need more than the usual."""

from __future__ import annotations

import polars as pl

from rnnmc.common.registry import offered
from rnnmc.observables.observable import Observable
from rnnmc.statistics.summaries.summary import Settings, Summary
from rnnmc.study.point import DesignPoint


def summary_of(observable: str) -> Summary:
    """The summary of the observable of this name: its own, or the usual one."""
    return offered("rnnmc.statistics.summaries", "SUMMARY").get(observable) or Summary()


def summed_up(
    observable: Observable, samples: pl.DataFrame, settings: Settings, point: DesignPoint | None
) -> pl.DataFrame:
    """What the replicates of one design point say of an observable, with theory beside it where `point` is known."""
    summary = summary_of(observable.name)
    found = summary.summarise(observable, samples, settings)
    return found if point is None else summary.beside(point, found)


__all__ = ["Settings", "Summary", "summary_of", "summed_up"]
