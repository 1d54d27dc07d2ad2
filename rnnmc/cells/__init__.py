"""The recurrent cells, one file each; `cell(name)` finds one, `cells()` all of ours."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from rnnmc.cells.cell import Cell
from rnnmc.registry import choose, offered


def cells() -> dict[str, Cell]:
    """name -> cell, for every cell that comes with rnnmc."""
    return offered("rnnmc.cells", "CELL")


def cell(name: str) -> Cell:
    """The cell of this name, or the one that `module:attribute` names. Raises ValueError if there is none."""
    if name in cells():
        return cells()[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"is not a cell; {choose(name, cells())}, or module:attribute for your own")
    if str(Path.cwd()) not in sys.path:  # as `python -m` does: a user's cell lies where they work
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot be imported ({error}); give module:attribute of an rnnmc.Cell") from error
    if not isinstance(found, Cell):
        raise ValueError(f"is a {type(found).__name__}; give module:attribute of an rnnmc.Cell instance")
    return found
