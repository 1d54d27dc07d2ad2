"""Numbers of theory that take seconds, computed once: kept in this process and in the user's cache folder."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

from rnnmc.cells import cells, source_digest
from rnnmc.cells.cell import Cell
from rnnmc.numerics import trusted

log = logging.getLogger("rnnmc")

KIND = "numbers"  # of what is kept on disk

NumbersKept = tuple[float | None, ...]
_known: dict[str, NumbersKept] = {}
_locks: dict[str, Lock] = {}  # threads that want the same number wait for one of them


def digest(facts: Any) -> str:
    """32 hexadecimal digits that name these facts, of what JSON can say."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def kept(facts: Any, compute: Callable[[], NumbersKept]) -> NumbersKept:
    """What `compute()` says, which rests on `facts` alone: from memory, or from disk, or else now.

    A file that cannot be read or is not what was written is made again; where none can be written, the log says so.
    """
    key = digest(facts)
    with _locks.setdefault(key, Lock()):
        if key not in _known:
            path = trusted.found(KIND, f"{key}.json")
            with suppress(OSError, ValueError, TypeError, KeyError):
                said = json.loads(trusted.content(path)) if path else {"facts": None, "numbers": []}
                if said["facts"] == json.loads(json.dumps(facts)):
                    _known[key] = tuple(None if x is None else float(x) for x in said["numbers"])
        if key not in _known:
            _known[key] = compute()
            try:
                numbers = json.dumps({"facts": facts, "numbers": _known[key]})
                trusted.keep(KIND, f"{key}.json", numbers.encode())
            except OSError as error:
                log.warning("a number of theory is not kept: %s", error)
        return _known[key]


@cache
def code_digest(*modules: str) -> str:
    """64 hexadecimal digits that name the text of these modules, none of which is imported for it."""
    found = [importlib.util.find_spec(module) for module in modules]
    texts = [Path(one.origin).read_bytes() for one in found if one is not None and one.origin is not None]
    return hashlib.sha256(b"".join(texts)).hexdigest()


def kept_about(cell: Cell, rests_on: tuple[str, ...], name: str, ask: Callable[[Cell], bool]) -> bool:
    """What `ask(cell)` says, which is asked under this `name`; of a cell that comes with rnnmc it is kept.

    rests_on: the modules whose text the answer rests on, beside that of the cells and torch: to ask means to run a cell
    on tensors, and torch takes a second to import.
    """
    if cells().get(cell.name) is not cell or source_digest(cell.name):
        return ask(cell)
    ours = tuple(sorted({type(one).__module__ for one in cells().values()} | {Cell.__module__}))
    facts = {"asked": name, "cell": cell.name, "by": code_digest(*ours, *rests_on), "torch": version("torch")}
    return kept(facts, lambda: (float(ask(cell)),)) == (1.0,)
