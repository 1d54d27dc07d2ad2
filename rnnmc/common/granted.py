"""What the machine really grants to this process: cores and memory, whichever limit is least."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CPUS = "RNNMC_CPUS"  # in the environment: at most so many, as `make study CPUS=2` says
SETTINGS = (CPUS, "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "JOBS", "CPUS")  # of the environment: numbers of cores
WORKER_BYTES = 500e6  # of a process that samples, with all that it imports
ROOT, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def own_cpus() -> int:
    """How many processes of this one's may compute at a time: a job's allocation, not the whole node.

    The least of the affinity mask, a quota of a control group (of version 1 or 2, any above this process too; of half a
    core, one), SLURM's numbers, JOBS and CPUS; and not so many that their memory would exceed what the group may have.
    """
    limits = [float(len(os.sched_getaffinity(0))), *_said(), *map(_cores, _groups("cpu"))]
    limits += [one / WORKER_BYTES for one in map(_memory, _groups("memory"))]
    return max(1, math.floor(min(limits)))


def _said() -> Iterator[float]:
    for name in SETTINGS:
        said = os.environ.get(name, "")
        if said.isdecimal() and int(said) > 0:
            yield float(said)


def _groups(controller: str) -> Iterator[Path]:
    """The folders of the control groups that this process is in, and of those above, for one kind of limit."""
    try:
        lines = OWN.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        top = ROOT / names if names else ROOT  # of version 1, or 2
        inside = top / path.lstrip("/")
        while True:
            yield inside
            if inside in (top, inside.parent):
                break
            inside = inside.parent


def _cores(group: Path) -> float:
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota, period = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return quota / period if quota > 0 else math.inf
    return math.inf


def _memory(group: Path) -> float:
    """Bytes."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            return float((group / name).read_text())
    return math.inf
