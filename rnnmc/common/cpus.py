"""The processors that this process may use."""

from __future__ import annotations

import os

CPUS = "RNNMC_CPUS"  # in the environment: at most so many, as `make study CPUS=2` says


def own_cpus() -> int:
    """How many: a job's allocation, not the whole node, and no more than was asked for."""
    granted, asked = len(os.sched_getaffinity(0)), os.environ.get(CPUS, "")
    return min(granted, int(asked)) if asked.isdigit() and int(asked) else granted
