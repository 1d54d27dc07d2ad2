"""A cell of one's own, and an event that is to be rare, are checked before they are measured, once for each source and
point: what passed is kept on disk.
"""

from __future__ import annotations

import hashlib
import logging
import math
import platform
import re
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from rnnmc.cells import cell_source
from rnnmc.common.checks import CheckResult
from rnnmc.common.errors import UsageError
from rnnmc.common.sources import OwnSource, digest_of_rnnmc
from rnnmc.numerics import trusted
from rnnmc.run.checks import check_named_cell
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import PlannedPoint, Study, load_study

PATIENCE = 60.0  # seconds that the checks of one cell may take: a sound one needs less than two
WIDTH, WIDEST = 5, 1024  # units at which a cell is checked, and at most where it is one of so many units alone
TOLD = 3  # failed checks whose meaning is told
CHECKS = "checked"  # the kind of what is kept on disk
SIGHTS = 5  # named one by one, of what a key does not see

_OVER_UNITS = (
    "sum, average and take norms over units alone, never over the first or the last axis, where replicates lie: "
    "give weights.mean(x) in place of x.mean(-1)"
)
_BY_ITSELF = "leave linearise out and write step alone: its tangent then comes from automatic differentiation"
REMEDIES = {  # the first that fits is said
    "next state": "let linearise give the very state that step gives, and draw nothing in either",
    "batch": _OVER_UNITS,
    "layouts": _OVER_UNITS,
    "autograd": _BY_ITSELF,
    "finite differences": _BY_ITSELF,
    "linearity": _BY_ITSELF,
    "bounded": "leave bounded out, so that overflow is looked for",
    "law of zero weights": "leave gating out, or let it say what the gates of this cell do",
    "law of the zero state": "leave at_zero and slopes out, or let them say what this cell does at a state of zero",
}
RAISED = {  # what torch or Python says -> what to write instead
    r"Boolean value of Tensor|__round__": "write torch.where(a > 0, x, y), torch.maximum(x, y) and (a > 0) & (a < 1) "
    "in place of if, max, `and` and chained comparisons, which are for one number",
    r"numpy|data pointer|converted to Python scalars|must be real number": "write what torch has in place of numpy and "
    "math, as a.tanh() for np.tanh(a)",
    r"in-?place": "make a new tensor in place of changing one that is given, as a = 0.5 * a for a.mul_(0.5)",
    r"random operation": "draw nothing, for a cell is a function of its arguments; noise belongs into the drive",
    r"values to unpack": "take as many tensors from the state as there are names in parts, ('h',) unless said",
    r"KeyError": "take gates, vectors and matrices by the names that the cell itself gives them, in tuples",
}

log = logging.getLogger("rnnmc")


def sound_study(path: str | Path, instead: Mapping[str, Any] | None = None) -> Study:
    """`load_study`, every cell of one's own checked. Raises UsageError where one fails, as for all else in the file."""
    return load_study(path, hold_sound, instead)


def hold_sound(point: DesignPoint) -> None:
    """Raise UsageError where the cell of this point is one's own and a check of it fails, with what would be right; and
    where its rare event is certain, or cannot be split for.
    """
    _hold_cell(point)
    if point.splitting:
        _hold_split(point)


def _hold_split(point: DesignPoint) -> None:
    kept = _kept(point.key, "")
    if not _is_kept(kept, point.width):
        from rnnmc.engine.splitting.run import hold_rare  # needs torch, which takes a second

        try:
            hold_rare(point)
        except UsageError as error:
            raise UsageError(f"replicates.splitting: {error}") from None
        _keep(kept, point.width)


def _hold_cell(point: DesignPoint) -> None:
    source = cell_source(point.cell)
    if not source.digest:
        return
    refusal = _refusal_at(point.cell, source, WIDTH)
    if refusal and not refusal.measured and WIDTH != point.width <= WIDEST:  # a cell of one number of units, perhaps
        refusal = _refusal_at(point.cell, source, point.width)
    if refusal:
        raise UsageError(refusal.sentence)


def warn_unseen(points: Iterable[PlannedPoint]) -> None:
    """Say in the log what the keys of these points do not see, each sentence once in this process."""
    for sentence in unseen(points):
        if sentence not in _said:
            _said.add(sentence)
            log.warning("%s", sentence)


def unseen(points: Iterable[PlannedPoint]) -> list[str]:
    """What the keys of these points do not see, one sentence for each cell, law, drive or observable."""
    sources = {name: source for one in points for name, source in one.sources().items() if source.unseen}
    return [_unseen_by_key(name, source.unseen) for name, source in sources.items()]


def _unseen_by_key(name: str, sights: tuple[str, ...]) -> str:
    more = f" and {len(sights) - SIGHTS} more" if len(sights) > SIGHTS else ""
    return (
        f"the key of {name} does not see {', '.join(sights[:SIGHTS])}{more}: where what that gives may change, "
        "write the value into the source, or give the study another name each time"
    )


_passed: set[tuple[str, str, int]] = set()
_said: set[str] = set()


class _Refusal(NamedTuple):
    """measured: every failed check came to an error that is a number; otherwise the cell has raised something."""

    sentence: str
    measured: bool


def _refusal_at(name: str, source: OwnSource, width: int) -> _Refusal | None:
    """What is wrong with a cell at so many units, or None; what passed is remembered, here and on disk."""
    if (name, source.digest, width) in _passed:
        return None
    kept = None if source.unseen else _kept(name, source.digest)  # what no digest sees may change by tomorrow
    if kept is None or not _is_kept(kept, width):
        results = _checked(name, width)
        failed = [one for one in results if not one.passed]
        if failed:
            measured = all(math.isfinite(one.worst_error) for one in failed)
            return _Refusal(_sentence(name, failed, len(results)), measured)
        if kept is not None:
            _keep(kept, width)
    _passed.add((name, source.digest, width))
    return None


def _sentence(name: str, failed: list[CheckResult], number: int) -> str:
    wrong = {one.name for one in failed if math.isfinite(one.worst_error)}
    raised = next((said for seen, said in RAISED.items() for one in failed if re.search(seen, one.meaning)), "")
    remedy = raised or next((said for check, said in REMEDIES.items() if check in wrong), "mend what is named there")
    remedy += "; "
    if any(map(_says_how, failed)):
        remedy, failed = "", sorted(failed, key=lambda one: not _says_how(one))
    return (
        f"cell: {name} fails {len(failed)} of the {number} checks of a cell, and what it would give is no measurement: "
        f"{', '.join(_told(failed))}; {remedy}rnnmc check-cell {name} shows every check"
    )


def _says_how(failed: CheckResult) -> bool:
    """Whether this check says itself what to write."""
    return re.search("; (use|give|let) ", failed.meaning) is not None


def _told(failed: list[CheckResult]) -> Iterator[str]:
    """Each failed check, the first ones with what they mean; what several of them have met is told once."""
    met: set[str] = set()
    for i, one in enumerate(failed):
        meaning, _, cause = one.meaning.partition(": ")
        said = meaning if cause in met else one.meaning
        met.add(cause)
        off = f"; off by {one.worst_error:.2g}" if math.isfinite(one.worst_error) else ""
        yield f"{one.name} ({said}{off})" if i < TOLD else one.name


def _checked(name: str, width: int) -> list[CheckResult]:
    """The results of all checks. Raises UsageError where they take too long, or where the cell ends the process."""
    try:
        with _limited(PATIENCE):
            return check_named_cell(name, width)
    except _TooLong:
        raise UsageError(
            f"cell: {name} is not checked within {PATIENCE:g} seconds at {width} units, where a cell takes one or two; "
            f"make its step shorter, or see with rnnmc check-cell {name} where it stays"
        ) from None
    except SystemExit as error:
        raise UsageError(
            f"cell: {name} ends the process in a check (SystemExit: {error}); let it give a state"
        ) from None


class _TooLong(BaseException):
    """No mistake of the cell that a check may catch."""


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Stop what runs here after so many seconds; in a thread other than the first, nothing can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise _TooLong

    before, begin = signal.signal(signal.SIGALRM, stop), time.monotonic()
    theirs, _ = signal.setitimer(signal.ITIMER_REAL, seconds)  # of somebody else who has set a limit
    try:
        yield
    finally:
        left = max(theirs - (time.monotonic() - begin), 1e-3) if theirs else 0.0
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, left)


def _kept(name: str, digest: str) -> str:
    """What a file says that keeps the word of a passed cell: all that the checks depend on."""
    from rnnmc.numerics.compiler import compiler

    made_by = [f"{package} {version(package)}" for package in ("torch", "numpy")]
    machine = [platform.machine(), platform.python_version(), *(compiler() or ("no compiler",))]
    return "\n".join((name, digest, digest_of_rnnmc(), *made_by, *machine))


def _word(kept: str, width: int) -> tuple[str, bytes]:
    """The name of the file in which the word is kept, and what must stand there."""
    said = f"{kept}\n{width} units: every check passed\n".encode()
    return f"{hashlib.sha256(said).hexdigest()[:32]}.txt", said


def _is_kept(kept: str, width: int) -> bool:
    name, said = _word(kept, width)
    path = trusted.found(CHECKS, name)
    return path is not None and trusted.content(path) == said


def _keep(kept: str, width: int) -> None:
    with suppress(OSError):  # a full disk keeps nobody from measuring
        trusted.keep(CHECKS, *_word(kept, width))
