"""What is looked at along a chain beside its norm, one file each."""

from __future__ import annotations

from typing import Any, cast

from rnnmc.common.refusals import choose, refuse
from rnnmc.common.registry import offered
from rnnmc.observables.observable import Observable

ALWAYS = "norms"  # what the samples hold; may be named, and need not be


def observables() -> dict[str, type[Observable]]:
    """name -> kind of observable."""
    return offered("rnnmc.observables", "OBSERVABLE")


def read_observables(value: Any) -> tuple[Observable, ...]:
    """Parse what stands under `observables:`: a list of names and {name: parameters}, or one of them, by name."""
    listed = value if isinstance(value, list | tuple) else [value]
    found: dict[str, Observable] = {}
    for one in listed:
        read = one if isinstance(one, Observable) else _read(one)
        if read is not None and read.name in found:
            raise refuse("", read.name, "is given twice; give each observable once")
        if read is not None:
            found[read.name] = read
    return tuple(found[name] for name in sorted(found))


def _read(value: Any) -> Observable | None:
    said = {value: None} if isinstance(value, str) else value
    if not isinstance(said, dict) or len(said) != 1:
        raise refuse("", value, f"is not an observable; {choose('', [ALWAYS, *observables()])}")
    name, parameters = next(iter(said.items()))
    if name == ALWAYS:
        if parameters is not None:
            raise refuse(ALWAYS, parameters, f"takes no value; write {ALWAYS}")
        return None
    if name not in observables():
        raise refuse("", name, f"is not an observable; {choose(str(name), [ALWAYS, *observables()])}")
    return cast(Observable, observables()[name].read(parameters, str(name)))
