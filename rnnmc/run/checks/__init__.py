"""One thing of any kind against what its kind promises, found by its name: behind `rnnmc check`.

The checks that run no chain stand beside the base class of their kind; the others are the modules of this package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from rnnmc.common.checks import CheckResult, example
from rnnmc.common.errors import UsageError
from rnnmc.common.refusals import choose, refused
from rnnmc.common.registry import offered

Results = list[CheckResult]


def check(kind: str, name: str) -> Results:
    """The results of every check of the thing of this kind and name; of a drive, say, also as a study file says it.

    Raises UsageError where there is no such kind or name, or no such thing can be made.
    """
    if kind not in CHECKED_KINDS:
        raise UsageError(f"{kind} is no kind of thing that can be checked; {choose(kind, CHECKED_KINDS)}")
    try:
        return CHECKED_KINDS[kind](name)
    except PydanticCustomError as error:
        raise refused(error, kind) from None


def _named(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise UsageError(f"{name} is not the name of a {kind}; {choose(name, known)}")
    return known[name]


def _said(name: str) -> Any:
    """A name, or a mapping as a study file would have it."""
    from rnnmc.study.options import parsed

    return parsed(name)


def check_named_cell(name: str, width: int = 5, seed: int = 0) -> Results:
    """Of a cell by name, or `module:attribute` of one's own. Raises UsageError where there is none."""
    from rnnmc.cells import cell
    from rnnmc.chain.check_cell import check_cell

    try:
        found = cell(name)
    except ValueError as error:
        raise UsageError(f"{name} {error}") from None
    return check_cell(found, width, seed)


def check_cell_and_kernels(name: str, width: int = 5, seed: int = 0) -> Results:
    """As `check_named_cell`, and then of the kernels that are made from the cell."""
    from rnnmc.cells import cell
    from rnnmc.engine.compiled.check_kernel import check_kernel

    return [*check_named_cell(name, width, seed), *check_kernel(cell(name), width, seed)]


def _initialiser(name: str) -> Results:
    from rnnmc.initialisers import laws, presets
    from rnnmc.initialisers.check_initialiser import check_initialiser
    from rnnmc.study.check_preset import check_preset
    from rnnmc.study.initialisation import EVERY, read_role

    said = _said(name)
    if isinstance(said, dict):
        role = read_role(said, "recurrent")
        if EVERY not in role:
            raise UsageError(f"{name} does not name one law of weights; {choose('', laws())}")
        return check_initialiser(role[EVERY])
    found = _named("preset or law of weights", name, presets() | laws())
    return check_preset(found) if name in presets() else check_initialiser(example(found))  # pyright: ignore


def _drive(name: str) -> Results:
    from rnnmc.drives import drives, read_drive
    from rnnmc.drives.check_drive import check_drive

    said = _said(name)
    drive = read_drive(said) if isinstance(said, dict) else example(_named("drive", name, drives()))
    return check_drive(drive)  # pyright: ignore[reportArgumentType]


def _observable(name: str) -> Results:
    from rnnmc.observables import observables, read_observables
    from rnnmc.run.checks.observable import check_observable

    said = _said(name)
    if isinstance(said, dict):
        return check_observable(read_observables(said)[0])
    return check_observable(example(_named("observable", name, observables())))  # pyright: ignore[reportArgumentType]


def _law(name: str) -> Results:
    from rnnmc.run.checks.law import check_law
    from rnnmc.theory import laws

    return check_law(_named("law of theory", name, laws()))


def _analysis(name: str) -> Results:
    from rnnmc.statistics.analyses import analyses
    from rnnmc.statistics.check_analysis import check_analysis

    return check_analysis(_named("analysis", name, analyses()))


def _picture(name: str) -> Results:
    from rnnmc.run.checks.picture import check_picture

    return check_picture(_named("picture", name, offered("rnnmc.report.pictures", "PICTURE")))


def _claim(name: str) -> Results:
    from rnnmc.claims import claims
    from rnnmc.run.checks.claim import check_claim

    return check_claim(_named("claim", name, claims()))


CHECKED_KINDS: Mapping[str, Callable[[str], Results]] = {
    "cell": check_cell_and_kernels,
    "initialiser": _initialiser,
    "drive": _drive,
    "observable": _observable,
    "law": _law,
    "analysis": _analysis,
    "picture": _picture,
    "claim": _claim,
}
