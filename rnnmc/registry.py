"""Find the cells, initialisers, drives and observables: every module of a package that offers one, by name.

A new one is one new file; nothing else has to know of it.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError


@cache
def offered(package: str, attribute: str) -> dict[str, Any]:
    """name -> object, for every module of `package` that has `attribute`, sorted by name."""
    found = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        thing = getattr(importlib.import_module(f"{package}.{module.name}"), attribute, None)
        if thing is not None:
            found[thing.name] = thing
    return dict(sorted(found.items()))


def choose(name: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: the nearest known one, and all there are."""
    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    return (f"did you mean {near[0]}? " if near else "") + f"there are {', '.join(known)}"


def refuse(path: str, value: Any, problem: str) -> PydanticCustomError:
    """An error for pydantic that carries the key path below the field, the value and the rest of the sentence."""
    return PydanticCustomError("refused", "{problem}", {"path": path, "value": value, "problem": problem})


class Described(BaseModel):
    """A law or drive as a study file writes it: `name`, `{name: main value}` or `{name: {parameter: value}}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: ClassVar[str]
    main: ClassVar[str | None] = None
    formula: ClassVar[str]
    source: ClassVar[str]

    @classmethod
    def read(cls, value: Any, path: str, **extra: Any) -> Described:
        """Validate `value` (None, the main parameter, or a mapping of parameters)."""
        if value is None:
            value = {}
        elif not isinstance(value, dict):
            if cls.main is None:
                raise refuse(path, value, f"takes no value; write {cls.name}")
            value = {cls.main: value}
        if not isinstance(value, dict):
            raise refuse(path, value, "is not a mapping of parameters")
        try:
            return cls(**value, **extra)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "missing" and first["loc"] == (cls.main,):
                raise refuse(path, "nothing", f"is given for its {cls.main}; write for example {cls.name}: 1") from None
            place = ".".join(str(part) for part in first["loc"] if str(part) != cls.main)
            raise refuse(f"{path}.{place}" if place else path, *explain(first)) from None

    def written(self) -> Any:
        """What a study file would say: the inverse of `read`."""
        given = self.model_dump(exclude_defaults=True)
        if not given:
            return self.name
        return {self.name: given[self.main] if self.main and list(given) == [self.main] else given}

    def __str__(self) -> str:
        given = self.model_dump(exclude_defaults=True)
        words = [self.name] + [f"{v:g}" if isinstance(v, float) else str(v) for k, v in given.items() if k == self.main]
        return " ".join(words + [f"{k} {v}" for k, v in given.items() if k != self.main])


_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "bool": "true or false",
    "dict": "a mapping",
}


def explain(error: Any) -> tuple[Any, str]:
    """(value, rest of the sentence) for one pydantic error: what is wrong with it and what would be right."""
    context, kind = error.get("ctx") or {}, error["type"]
    if kind == "refused":
        return context["value"], context["problem"]
    value = error["input"]
    if kind == "extra_forbidden":
        return value, "is under an unknown key; remove it or mend its name"
    if kind == "missing":
        return "nothing", "is given; this key is needed"
    if kind == "value_error":
        return value, str(context["error"])
    if kind.removesuffix("_type") in _KINDS:
        return value, f"is not {_KINDS[kind.removesuffix('_type')]}; give {_KINDS[kind.removesuffix('_type')]}"
    if kind == "literal_error":
        return value, f"is not known; give {context['expected']}"
    bounds = {"greater_than": ("gt", "above"), "greater_than_equal": ("ge", "of at least"),
              "less_than": ("lt", "below"), "less_than_equal": ("le", "of at most")}  # fmt: skip
    if kind in bounds:
        name, word = bounds[kind]
        return value, f"is not a possible {error['loc'][-1]}; give a number {word} {context[name]:g}"
    return value, f"is refused: {error['msg']}"
