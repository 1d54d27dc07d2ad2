"""Names that a package offers and keeps in its modules, imported when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def offered_by(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package: so a plan does not wait for torch, nor a worker for plots.

    places: name -> the module that holds it, below `package`; where the name is the module's own, the module itself.
    """

    def find(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package} has no attribute {name}")
        module = import_module(f"{package}.{places[name]}")
        return module if places[name] == name else getattr(module, name)

    return find
