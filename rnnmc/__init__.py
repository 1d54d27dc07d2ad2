"""rnnmc: how probable is it that the gradient of a recurrent network vanishes, or explodes? Measured.

import rnnmc
point = rnnmc.DesignPoint(cell="lstm", width=64, init="pytorch", drive="white")
rnnmc.measure(point, replicates=1000)          # statistics, a Polars frame
rnnmc.run_block(point, 0)                      # samples of one block, an Arrow table
rnnmc.scan("results/default")                  # samples of a study joined with their design points
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnmc import cells
    from rnnmc.cells.cell import Cell
    from rnnmc.engine.block import run_block
    from rnnmc.run.measure import measure
    from rnnmc.store.reading import scan
    from rnnmc.study.study import DesignPoint, Study, Thresholds, load_study

__version__ = "0.1.0"
__all__ = ["Cell", "DesignPoint", "Study", "Thresholds", "cells", "load_study", "measure", "run_block", "scan"]

_PLACES = {
    "Cell": "rnnmc.cells.cell",
    "DesignPoint": "rnnmc.study.study",
    "Study": "rnnmc.study.study",
    "Thresholds": "rnnmc.study.study",
    "load_study": "rnnmc.study.study",
    "measure": "rnnmc.run.measure",
    "run_block": "rnnmc.engine.block",
    "scan": "rnnmc.store.reading",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that a plan does not wait for torch, nor a worker for plots."""
    import importlib

    if name == "cells":
        return importlib.import_module("rnnmc.cells")
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module rnnmc has no attribute {name}")
