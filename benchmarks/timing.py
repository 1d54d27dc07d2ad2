"""Medians of several runs, with what they spread over."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

Measured = dict[str, Any]  # as results.json has it
RUNS = 5


def measured(values: Iterable[float]) -> Measured:
    """median; spread: half the range from the least value to the greatest; runs: how many there were."""
    found = list(values)
    return {"median": statistics.median(found), "spread": (max(found) - min(found)) / 2, "runs": len(found)}


def finite(value: float) -> float | None:
    """The value, or None where JSON has no word for it."""
    return float(value) if math.isfinite(value) else None


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def least_seconds(work: Callable[[], object], runs: int = RUNS) -> float:
    """Least wall time of several calls, for the rates of a machine: what disturbs them only ever adds."""
    return min(seconds(work) for _ in range(runs))


def timed(work: Callable[[], object], per: float, runs: int, budget: float) -> Measured:
    """Seconds of a call divided by `per`, of as many calls as `budget` seconds allow, at most `runs`.

    A first call warms up and is not counted, unless it took the budget already.
    """
    first = seconds(work)
    if first > budget:
        return measured([first / per])
    return measured([seconds(work) / per for _ in range(max(1, min(runs, int(budget / first))))])
