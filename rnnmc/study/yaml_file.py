"""A YAML file becomes plain values, with YAML's traps closed."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from rnnmc.common.errors import UsageError

DEEPEST = 50  # levels of mappings and lists
ENDS_LATE = ("while scanning a", "while parsing a flow")  # what YAML was at, when a later line told that it was wrong
LONGEST = 1_000_000  # mappings and lists that anchors may add to what the file says itself


def read_yaml(path: str | Path) -> Any:
    """The values that a YAML file holds. Raises UsageError, one sentence naming file, line and problem."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: cannot be read: it is not UTF-8 text; {_REMEDY}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: cannot be read: {reason}; {_REMEDY}") from None
    return yaml_of(text, f"{path}:")


def yaml_of(text: str, place: str) -> Any:
    """The values that a text in YAML holds. Raises UsageError, one sentence that begins with the place."""
    try:
        return yaml.load(text, Loader=StudyLoader)
    except yaml.YAMLError as error:
        raise UsageError(f"{place}{_told(error)}") from None
    except RecursionError:
        raise UsageError(f"{place} is nested more than {DEEPEST} levels deep; write it flatter") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # of a bad date or tag
        raise UsageError(f"{place} is not YAML: a value cannot be read ({error}); put it in quotes") from None


def _told(error: yaml.YAMLError) -> str:
    """Where, and what is wrong. Of what is never closed YAML sees it later, so that its beginning is named."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    context, began = getattr(error, "context", None) or "", getattr(error, "context_mark", None)
    if mark and began and began.line < mark.line and context.startswith(ENDS_LATE):
        mark, problem = began, f"{problem} ({context} that begins here)"
    elif mark and problem.startswith("mapping values") and ":" not in _before(mark):
        problem += "; is it indented as the lines around it, and has the line before it a colon"
    line = f" line {mark.line + 1}" if mark else ""
    return f"{line}{': ' if isinstance(error, _Refused) else ' is not YAML: '}{problem}"


def _before(mark: yaml.Mark) -> str:
    """Of the line of a mark, what stands before it."""
    return (mark.buffer or "")[: mark.pointer].rpartition("\n")[2]


_REMEDY = "give a study file such as config/default.yaml"


def check_nesting(value: Any, prefix: str) -> None:
    """Raise UsageError where `value` contains itself, nests too deeply or grows too long through its anchors."""
    known: dict[int, tuple[int, int]] = {}  # of a mapping or list: its depth, and how many it is when written out

    def walk(node: Any, place: str, above: frozenset[int]) -> tuple[int, int]:
        if id(node) in known:
            return known[id(node)]
        if id(node) in above:
            raise UsageError(f"{prefix}{place}: contains itself, through an anchor; write out what it shall be")
        within, depth, size = above | {id(node)}, 0, 1
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(child, dict | list | tuple):
                inner = f"{place}[{key}]" if not isinstance(node, dict) else f"{place}.{key}" if place else str(key)
                if len(within) >= DEEPEST:
                    raise UsageError(f"{prefix}{inner}: is nested more than {DEEPEST} levels deep; write it flatter")
                deep, long = walk(child, inner, within)
                depth, size = max(depth, deep), size + long
        if depth >= DEEPEST:
            raise UsageError(f"{prefix}{place}: is nested more than {DEEPEST} levels deep; write it flatter")
        known[id(node)] = depth + 1, size
        return known[id(node)]

    if isinstance(value, dict | list | tuple) and walk(value, "", frozenset())[1] > len(known) + LONGEST:
        raise UsageError(f"{prefix.rstrip('. ')} becomes too long when its anchors are written out; use fewer")


class _Refused(yaml.MarkedYAMLError):
    """YAML, but not what anybody means."""


class StudyLoader(yaml.SafeLoader):
    """YAML with traps closed: 1e-3 is a number, 1e6 a whole one; 010 and a key given twice are refused."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.checked: set[int] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse keys given twice, then merge as YAML does."""
        if id(node) not in self.checked:  # before `<<: *base` adds keys, which the mapping's own may replace
            self.checked.add(id(node))
            keys: set[Any] = set()
            for key, _ in node.value:
                said = "<<" if key.tag == "tag:yaml.org,2002:merge" else self.construct_object(key, deep=True)
                if not isinstance(said, Hashable):
                    continue  # no mapping can have it, as is said when this one is made
                if said in keys:
                    raise _Refused(problem=f"the key {said!r} is given twice", problem_mark=key.start_mark)
                keys.add(said)
        super().flatten_mapping(node)


def _whole(loader: StudyLoader, node: yaml.ScalarNode) -> int:
    return _as_written(node, loader.construct_yaml_int(node))


def _number(loader: StudyLoader, node: yaml.ScalarNode) -> float:
    """Whole where it is written without a point, as far as it has all its digits."""
    found = _as_written(node, loader.construct_yaml_float(node))
    return int(found) if _WHOLE.match(node.value) and abs(found) < 2**53 else found


def _as_written(node: yaml.ScalarNode, value: Any) -> Any:
    """The value, unless YAML 1.1 makes another number of it than people do: 010 is 8, and 1:40 is 100."""
    if _OTHERWISE.match(node.value):
        problem = f"{node.value} is {value:g} in YAML; write that, or put it in quotes"
        raise _Refused(problem=problem, problem_mark=node.start_mark)
    return value


_OTHERWISE = re.compile(r"^[-+]?(0[0-7_]*[1-7]|[^#]*:)")
_EXPONENT = re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
_WHOLE = re.compile(r"^[-+]?\d+[eE]\+?\d+$")
StudyLoader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))
StudyLoader.add_constructor("tag:yaml.org,2002:float", _number)
StudyLoader.add_constructor("tag:yaml.org,2002:int", _whole)
