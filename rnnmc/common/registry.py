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
def offered_many(package: str, attribute: str) -> dict[str, Any]:
    """name -> object, for every module of `package` whose `attribute` is a tuple of objects, sorted by name."""
    modules = [importlib.import_module(f"{package}.{name}") for name in _modules(package)]
    return dict(sorted((thing.name, thing) for module in modules for thing in getattr(module, attribute, ())))


@cache
def homes(package: str, attribute: str) -> dict[str, str]:
    """name -> the module that offers what `offered` finds under it."""
    found = {}
    for name in _modules(package):
        home = f"{package}.{name}"
        thing = getattr(importlib.import_module(home), attribute, None)
        if thing is not None:
            found[thing.name] = home
    return dict(sorted(found.items()))


def _modules(package: str) -> list[str]:
    """Names of the modules right below `package`."""
    return [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
