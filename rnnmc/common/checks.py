"""Checks of a thing against what its kind promises: one result a check, and never an exception.

Each kind has a function that gives such results, beside its base class or in `rnnmc.run.checks`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from rnnmc.common.described import Described
from rnnmc.common.errors import raised

CHECK_FALSE_ALARM = 1e-6  # of all that is left to chance in the checks of one thing


@dataclass(frozen=True)
class CheckResult:
    """One check: worst_error in the unit of the tolerance, relative unless said; meaning: what holds if it passed."""

    name: str
    passed: bool
    worst_error: float
    tolerance: float
    meaning: str


class Mistake(Exception):
    """What a check found wrong, in the rest of a sentence."""


def hold(holds: bool, otherwise: str) -> None:
    """Raise Mistake(otherwise) unless it holds."""
    if not holds:
        raise Mistake(otherwise)


def checked(
    name: str, meaning: str, errors: Callable[[], Iterable[float] | None], tolerance: float = 0.0
) -> CheckResult:
    """The largest of the errors against the tolerance; NaN counts as infinite, and so does whatever is raised."""
    worst = 0.0
    try:
        for error in errors() or ():
            worst = max(worst, math.inf if math.isnan(error) else float(error))
    except Exception as error:  # somebody's own code may raise anything
        said = str(error) if isinstance(error, Mistake) else raised(error)
        return CheckResult(name, False, math.inf, tolerance, f"{meaning}: {said}")
    return CheckResult(name, worst <= tolerance, worst, tolerance, meaning)


def described(thing: Any, *attributes: str) -> CheckResult:
    """Whether it says in words what it is."""

    def said() -> None:
        for attribute in attributes:
            text = getattr(thing, attribute, None)
            hold(isinstance(text, str) and bool(text.strip()), f"{attribute} is {text!r}; give a text")

    return checked("described", f"{', '.join(attributes)} are there", said)


def written(thing: Described) -> CheckResult:
    """Whether what it writes into a study file reads back as itself."""

    def back() -> None:
        said = thing.written()
        hold(json.loads(json.dumps(said)) == said, f"{said!r} is not what JSON can say")
        entry = {said: None} if isinstance(said, str) else said
        more = {key: value for key, value in entry.items() if key != thing.name}
        again = type(thing).read(entry[thing.name], thing.name, **more)
        hold(again == thing, f"{said!r} reads back as {again!r}")
        hold(bool(str(thing)), "its label is empty")

    return checked("written", "what a study file says of it reads back as itself", back)


def example(kind: type[Described]) -> Described:
    """One of this kind: by its name alone where that will do, else with the `example` of its main parameter.

    Raises the refusal of `Described.read` where neither will do.
    """
    try:
        return kind.read(None, kind.name)
    except ValueError:
        return kind.read(yaml.safe_load(kind.example), kind.name)
