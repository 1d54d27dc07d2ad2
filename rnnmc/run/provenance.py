"""What a shard says of its making: versions, commit, compiler, device."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from rnnmc.numerics.compiler import toolchain
from rnnmc.store.routes import mixed_are_wanted


def device_name(device: str) -> str:
    """What a shard says of where it was made."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    return f"cpu {platform.machine()}"


def source_facts() -> dict[str, Any]:
    """What every shard of a run says: versions of what makes the numbers, the git commit of this package if it lies in
    a checkout, and the compiler.
    """
    mixed = {"mixed": True} if mixed_are_wanted() else {}
    return _version_facts() | {"toolchain": toolchain()} | mixed


@cache
def _version_facts() -> dict[str, Any]:
    from importlib.metadata import version

    names = ("rnnmc", "torch", "numpy", "scipy", "pyarrow", "ray", "polars")
    commit, package = "", Path(__file__).parents[1]
    try:
        top = _git("rev-parse", "--show-toplevel")
        if top and Path(top) == package.parent:  # and not a checkout of something else around an installed rnnmc
            commit = _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.TimeoutExpired):
        commit = ""
    versions = {"python": platform.python_version()} | {name: version(name) for name in names}
    return {"versions": versions, "commit": commit or None}


def _git(*words: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
