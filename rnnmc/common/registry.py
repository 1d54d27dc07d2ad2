"""Find the cells, initialisers, drives and observables: every module of a package that offers one, by name.

A new one is one new file; nothing else has to know of it.
"""

from __future__ import annotations

import difflib
import importlib
import json
import pkgutil
from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from rnnmc.common.errors import UsageError

SHOWN = 100  # characters of a value in a sentence


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
    near = difflib.get_close_matches(name[:SHOWN], known, 1)
    return (f"did you mean {near[0]}? " if near else "") + f"there are {', '.join(known)}"


def refuse(path: str, value: Any, problem: str) -> PydanticCustomError:
    """An error for pydantic that carries the key path below the field, the value and the rest of the sentence."""
    return PydanticCustomError("refused", "{problem}", {"path": path, "value": value, "problem": problem})


def shown(value: Any) -> str:
    """A value as a sentence shows it: as in a study file, cut short where it is long."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
    except (TypeError, ValueError, RecursionError):  # keys that are no text, say
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def usage_error(sentence: str) -> UsageError:
    """UsageError(sentence), on one line whatever the values in it hold."""
    return UsageError("".join(c if c.isprintable() else " " for c in sentence))


def sentence(error: ValidationError, prefix: str) -> UsageError:
    """The first mistake of a pydantic error as one sentence: prefix, key path, value, problem and remedy."""
    first = error.errors()[0]
    value, problem = explain(first)
    path = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
    inner = (first.get("ctx") or {}).get("path", "")
    path = f"{path}{'' if inner.startswith('[') or not inner or not path else '.'}{inner}"
    return usage_error(f"{prefix}{path}: {shown(value)} {problem}")


def refused(error: PydanticCustomError, place: str) -> UsageError:
    """What `refuse` made as one sentence: place, key path, value, problem and remedy."""
    context = error.context or {}
    path = context.get("path", "")
    dot = "." if path and not path.startswith("[") else ""
    return usage_error(f"{place}{dot}{path}: {shown(context.get('value'))} {context.get('problem')}")


class Described(BaseModel):
    """A law or drive as a study file writes it: `name`, `{name: main value}` or `{name: {parameter: value}}`.

    main: the parameter that may stand alone, and example, a value for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: ClassVar[str]
    main: ClassVar[str | None] = None
    example: ClassVar[str] = "1"
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
        for key in value:
            if not isinstance(key, str):
                raise refuse(f"{path}.{key}", value[key], "is under a key that is not a text; give a parameter's name")
            if key in extra:
                raise refuse(f"{path}.{key}", value[key], f"is {key} a second time; give it once")
        try:
            return cls(**value, **extra)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "missing" and first["loc"] == (cls.main,):
                remedy = f"is given for its {cls.main}; write for example {cls.name}: {cls.example}"
                raise refuse(path, "nothing", remedy) from None
            place = ".".join(str(part) for part in first["loc"] if str(part) != cls.main)
            raise refuse(f"{path}.{place}" if place else path, *explain(first)) from None

    def said(self) -> dict[str, Any]:
        """Every parameter that has a value, defaults too, as JSON has it: what is read back is then equal."""
        return self.model_dump(mode="json", exclude_none=True)

    def written(self) -> Any:
        """What a study file would say, with every default: the inverse of `read`."""
        if self.main is None:
            return self.name
        said = self.said()
        return {self.name: said[self.main] if list(said) == [self.main] else said}

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
    if kind in ("extra_forbidden", "invalid_key"):
        return value, "is under an unknown key; remove it or mend its name"
    if kind == "missing":
        return "nothing", "is given; this key is needed"
    if kind == "value_error":
        return value, str(context["error"])
    if kind.removesuffix("_type") in _KINDS:
        return value, f"is not {_KINDS[kind.removesuffix('_type')]}; give {_KINDS[kind.removesuffix('_type')]}"
    if kind == "finite_number":
        return value, "is not finite; give a finite number"
    if kind == "string_pattern_mismatch":
        return value, "is not a name; give letters, digits, '.', '_' and '-', a letter or digit first"
    if kind == "literal_error":
        return value, f"is not known; give {context['expected']}"
    bounds = {"greater_than": ("gt", "above"), "greater_than_equal": ("ge", "of at least"),
              "less_than": ("lt", "below"), "less_than_equal": ("le", "of at most")}  # fmt: skip
    if kind in bounds:
        name, word = bounds[kind]
        bound = context[name]
        said = f"{bound:g}" if isinstance(bound, float) else f"{bound}"
        return value, f"is not a possible {error['loc'][-1]}; give a number {word} {said}"
    return value, f"is not possible ({error['msg']}); see config/README.md"
