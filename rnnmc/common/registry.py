"""Find the cells, initialisers, drives and observables: every module of a package that offers one, by name.

A new one is one new file; nothing else has to know of it.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any


@cache
def offered(package: str, attribute: str) -> dict[str, Any]:
    """name -> object, for every module of `package` that has `attribute`, sorted by name."""
    found = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        thing = getattr(importlib.import_module(f"{package}.{module.name}"), attribute, None)
        if thing is not None:
            found[thing.name] = thing
    return dict(sorted(found.items()))
