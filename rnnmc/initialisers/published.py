"""What each cell's own paper, or its authors' code, initialises it with."""

from __future__ import annotations

from typing import Any

from rnnmc.cells.cell import Cell
from rnnmc.initialisers.law import Preset


def roles(cell: Cell, width: int, inputs: int) -> dict[str, Any]:
    """What the cell says of itself (`Cell.published`); input weights N(0, 1/m) and no bias where it says nothing."""
    none = {} if cell.recurrent else {"recurrent": 0.0}  # which it says nothing of
    return none | {"input": {"gaussian": 1.0}, "bias": 0.0} | (cell.published(width, inputs) or {})


def serves(cell: Cell) -> bool:
    """Whether the cell says it."""
    return cell.published(1, 1) is not None


PRESET = Preset("published", "as the cell says of itself", "the source of each cell; rnnmc cells", roles, serves)
