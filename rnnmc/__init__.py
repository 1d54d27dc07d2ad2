"""rnnmc: how probable is it that the gradient of a recurrent network vanishes, or explodes? Measured.

import rnnmc
point = rnnmc.DesignPoint(cell="lstm", width=64, init="pytorch", drive="white")
rnnmc.measure(point, replicates=1000)          # statistics, a Polars frame
rnnmc.run_block(point, 0)                      # samples of one block, an Arrow table
rnnmc.scan("results/default")                  # samples of a study joined with their design points
rnnmc.load("hf://datasets/NAME/SET")           # the same of a published data set, or a table of either
rnnmc.advise("lstm", 64, 1000)                 # what to set instead: .init, .ranking, .code
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnnmc.common.names import offered_by

if TYPE_CHECKING:
    from rnnmc import cells
    from rnnmc.cells.cell import Cell
    from rnnmc.common.errors import RunError, UsageError
    from rnnmc.engine.block import run_block
    from rnnmc.run.advised import advise
    from rnnmc.run.measure import measure
    from rnnmc.store.anywhere import load
    from rnnmc.store.reading import scan
    from rnnmc.study.point import DesignPoint
    from rnnmc.study.study import Study, Thresholds, load_study

__all__ = [
    "Cell",
    "DesignPoint",
    "RunError",
    "Study",
    "Thresholds",
    "UsageError",
    "advise",
    "cells",
    "load",
    "load_study",
    "measure",
    "run_block",
    "scan",
]

_find = offered_by(
    __name__,
    {
        "Cell": "cells.cell",
        "DesignPoint": "study.point",
        "RunError": "common.errors",
        "Study": "study.study",
        "Thresholds": "study.study",
        "UsageError": "common.errors",
        "advise": "run.advised",
        "cells": "cells",
        "load": "store.anywhere",
        "load_study": "study.study",
        "measure": "run.measure",
        "run_block": "engine.block",
        "scan": "store.reading",
    },
)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("rnnmc")
    return _find(name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
