"""The recurrent cells, one file each; `cell(name)` finds one, `cells()` all of ours."""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path

from rnnmc.cells.cell import Cell
from rnnmc.cells.stacked import stacked
from rnnmc.common.errors import raised
from rnnmc.common.refusals import choose
from rnnmc.common.registry import homes, offered
from rnnmc.common.sources import OURS, OwnSource, comes_with_rnnmc, follow


def cells() -> dict[str, Cell]:
    """name -> cell, for every cell that comes with rnnmc."""
    return offered("rnnmc.cells", "CELL")


def cell(name: str, layers: int = 1, residual: bool = False) -> Cell:
    """The cell of this name, or the one that `module:attribute` names, in so many layers (`rnnmc.cells.stacked`).

    Raises ValueError if there is none, or no such layers of it.
    """
    return stacked(_found(name), layers, residual)


def _found(name: str) -> Cell:
    if name in cells():
        return cells()[name] if _is_ours(name) else _seen(cells()[name], homes("rnnmc.cells", "CELL")[name])
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"is not a cell; {choose(name, cells())}, or module:attribute for your own")
    if module.endswith(".py"):
        raise ValueError(f"names a file; give the module without .py: {module.removesuffix('.py')}:{attribute}")
    if not all(part.isidentifier() for part in (*module.split("."), attribute)):  # its name is that of a folder
        raise ValueError("is not module:attribute; give the two as Python writes them, such as mine:CELL")
    if str(Path.cwd()) not in sys.path:  # as `python -m` does: a user's cell lies where they work
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # whatever the user's module does
        lost = isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] == module.partition(".")[0]
        where = f", the file {module.replace('.', '/')}.py in the folder that you type from" if lost else ""
        give = f"give module:attribute of an rnnmc.Cell{where}"
        raise ValueError(f"cannot be imported ({raised(error)}); {give}") from error
    if not isinstance(found, Cell):
        raise ValueError(f"is a {type(found).__name__}; give module:attribute of an rnnmc.Cell instance")
    for needed in ("name", "gates", "recurrent"):
        if not hasattr(found, needed):
            raise ValueError(f"has no {needed}; set what rnnmc.Cell asks for")
    return _seen(found, module)


def cell_source(name: str) -> OwnSource:
    """Of a cell of one's own, which is another cell when its source changes; "" is the digest of one of ours."""
    return OURS if _is_ours(name) else _sources[id(cell(name))][1]


def source_digest(name: str) -> str:
    """The digest of `cell_source`."""
    return cell_source(name).digest


_sources: dict[int, tuple[Cell, OwnSource]] = {}  # as first seen: a file changed later is not what this process runs


def _seen(found: Cell, module: str) -> Cell:
    if id(found) not in _sources:
        _sources[id(found)] = found, _source(found, module)
    return found


def _is_ours(name: str) -> bool:
    return name in cells() and comes_with_rnnmc(homes("rnnmc.cells", "CELL")[name])


def _source(found: Cell, module: str) -> OwnSource:
    """Of the file of the named module, then of those that define the cell's class and its bases, of its fields, and of
    what these files import.
    """
    theirs = [base.__module__ for base in type(found).__mro__]
    names = [module, *(name for name in theirs if name.partition(".")[0] not in ("rnnmc", "builtins"))]
    followed = follow(names)
    files = dict.fromkeys(getattr(sys.modules.get(name), "__file__", None) for name in names)
    try:
        source = b"".join(followed.files.get(file) or Path(file).read_bytes() for file in map(str, files))
    except OSError as error:
        raise ValueError("has no source file that can be read; put it into a module of its own") from error
    # what sets a leak rate may be an argument that no file says
    fields = repr({name: getattr(found, name) for name in found.fields}) if found.fields else ""
    rest = followed.digest(besides=map(str, files))
    return OwnSource(hashlib.sha256(source + fields.encode() + rest).hexdigest(), tuple(followed.unseen))
