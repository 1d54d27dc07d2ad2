"""What may come of any input: done, or one sentence and an exit code; soon, and in little memory."""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rnnmc.cli import main
from rnnmc.common.errors import RunError, UsageError

SECONDS = 10.0  # of the processor, within which an input is refused or its work begins
MEMORY = 2**30  # bytes by which the process may grow over one input
LONGEST = 2000  # characters of a sentence
EVERY = int(os.environ.get("RNNMC_FUZZ", "2000"))  # inputs, of all kinds together


class Reached(BaseException):
    """The input is accepted, and what follows is work that other tests do."""


def reached(*_: Any, **__: Any) -> Any:
    raise Reached


def _too_slow(*_: Any) -> None:
    raise pytest.fail.Exception(f"takes more than {SECONDS:.0f} s of the processor")


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Fail what takes too long or too much memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    handler = signal.signal(signal.SIGPROF, _too_slow)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < MEMORY, f"takes {grown / 2**30:.1f} GiB"


def is_a_sentence(text: str) -> bool:
    """One line that can be shown, says where and what, and is no trace of ours."""
    lines = text.splitlines()
    return (
        len(lines) == 1
        and text.isprintable()
        and 10 < len(text) <= LONGEST
        and "Traceback" not in text
        and not re.search(r"<[\w.]+ object at 0x|\bNoneType\b", text)
    )


def judged(work: Callable[[], Any]) -> str:
    """The sentence with which the work refuses its input, or "" where it is done or has begun."""
    with bounded():
        said = ""
        try:
            work()
        except (RunError, UsageError) as error:
            said = str(error)
        except Reached:
            pass
    assert not said or is_a_sentence(said), f"no sentence: {said!r}"
    return said


@dataclass(frozen=True)
class Ended:
    """How a command ended. code: None where its work began."""

    code: int | None
    out: str
    err: str


def commanded(*words: str) -> Ended:
    """Run `rnnmc` with these words in this process."""
    out, err = io.StringIO(), io.StringIO()
    before, code = sys.argv, None
    sys.argv = ["rnnmc", *words]
    try:
        with bounded(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as end:
                code = 0 if end.code is None else end.code
            except Reached:
                pass
    finally:
        sys.argv = before
    assert code in (None, 0, 1, 2), f"exit {code}"
    said = err.getvalue().strip()
    if code:
        lines = [line for line in said.splitlines() if line.startswith("rnnmc: ")]
        assert lines, f"exit {code} without a word: {said!r}"
        assert is_a_sentence(lines[-1]) or code == 1, f"exit {code}, no sentence: {said!r}"
        assert code == 1 or len(said.splitlines()) == 1, f"exit 2, and more than a sentence: {said!r}"
    assert "Traceback" not in said
    return Ended(code, out.getvalue(), said)


@contextlib.contextmanager
def fresh_folder() -> Iterator[Path]:
    """An empty folder to stand in, and none of ours beside it when it is left."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def files_below(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
