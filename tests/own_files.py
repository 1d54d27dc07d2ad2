"""A folder of somebody's own modules, written, changed and seen anew, as another process would see them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from rnnmc.cells import cell, cell_source
from rnnmc.common.sources import OwnSource

CELL = '''"""A network whose slope stands elsewhere."""
import rnnmc
{imports}


class Sloped(rnnmc.Cell):
    name, gates = "sloped", ("hidden",)
    formula, source = "h' = slope tanh(W x + U h + b)", "a test"

    def step(self, weights, drive, state):
        {inside}
        (h,) = state
        return ({slope} * (drive["hidden"] + weights.apply(h, "hidden")["hidden"]).tanh(),)


cell = Sloped()
'''


def cell_file(imports: str = "", inside: str = "pass", slope: str = "SLOPE") -> str:
    """The source of a cell that multiplies with `slope`."""
    return CELL.format(imports=imports, inside=inside, slope=slope)


class Desk:
    """A folder on the path; what lies in it is imported anew after `forget`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.folder = folder
        self.written: set[str] = set()  # names that a module may have now
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(self, files: dict[str, str]) -> None:
        """Name below the folder -> content."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            self.written |= {part.removesuffix(".py") for part in Path(name).parts}
        self.forget()

    def forget(self) -> None:
        """Have every module of the folder imported again."""
        for name in [name for name in sys.modules if name.partition(".")[0] in self.written]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def source(self, name: str = "sloped:cell") -> OwnSource:
        cell(name)
        return cell_source(name)


def slope_of(name: str) -> float:
    """What the cell of this name multiplies with: its next state over tanh(1)."""
    import torch

    class Still:
        @staticmethod
        def apply(h: torch.Tensor, gate: str) -> dict[str, torch.Tensor]:
            return {gate: 0 * h}

    one = torch.ones(1, 1, 1, dtype=torch.float64)
    (after,) = cell(name).step(Still(), {"hidden": one}, (one,))  # pyright: ignore[reportArgumentType]
    return float(after / one.tanh())
