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
    return {name: getattr(importlib.import_module(home), attribute) for name, home in homes(package, attribute).items()}


@cache
def homes(package: str, attribute: str) -> dict[str, str]:
    """name -> the module that offers what `offered` finds under it."""
    found = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        home = f"{package}.{module.name}"
        thing = getattr(importlib.import_module(home), attribute, None)
        if thing is not None:
            found[thing.name] = home
    return dict(sorted(found.items()))
