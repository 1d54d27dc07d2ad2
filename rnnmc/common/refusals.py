"""What is wrong with a value and what would be right, in one sentence that names its place."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from rnnmc.common.errors import UsageError

SHOWN = 100  # characters of a value in a sentence


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


def sentence(error: ValidationError, prefix: str) -> UsageError:
    """The first mistake of a pydantic error as one sentence: prefix, key path, value, problem and remedy."""
    try:
        first = error.errors()[0]
    except UnicodeError:  # pydantic itself cannot say it
        return UsageError(f"{prefix.rstrip('. ')}: a key or a text holds half of a character; write it in UTF-8")
    value, problem = explain(first)
    path = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
    inner = (first.get("ctx") or {}).get("path", "")
    path = f"{path}{'' if inner.startswith('[') or not inner or not path else '.'}{inner}"
    return UsageError(f"{prefix}{path}: {shown(value)} {problem}")


def refused(error: PydanticCustomError, place: str) -> UsageError:
    """What `refuse` made as one sentence: place, key path, value, problem and remedy."""
    context = error.context or {}
    path = context.get("path", "")
    dot = "." if path and not path.startswith("[") else ""
    return UsageError(f"{place}{dot}{path}: {shown(context.get('value'))} {context.get('problem')}")


def not_number(value: Any) -> str:
    """The beginning of what is said of a number in quotes, which looks like one in a sentence; else nothing."""
    return "a text, for its quotes, and " if isinstance(value, str) and re.fullmatch(r"[-+.\deE]+", value) else ""


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
        wanted = _KINDS[kind.removesuffix("_type")]
        return value, f"is {not_number(value) if 'number' in wanted else ''}not {wanted}; give {wanted}"
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
