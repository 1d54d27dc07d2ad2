"""What is told to who watches, and what is told on the way, on the error stream, unless it is to be quiet."""

from __future__ import annotations

import shutil
import sys
import textwrap
from contextvars import ContextVar
from typing import TextIO

HUSHED = ContextVar("quiet", default=False)  # --quiet: progress is not told; what fails, and warnings, still are


def on_the_way(words: str) -> None:
    """Say what a run does now."""
    if not HUSHED.get():
        say(words, sys.stderr)


def say(said: str, to: TextIO | None = None) -> None:
    """Print it, to standard output unless said; on a terminal broken at blanks, and no word, such as a path, in two."""
    stream = to or sys.stdout
    if stream.isatty():
        width = max(20, shutil.get_terminal_size().columns)
        said = "\n".join(
            textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in said.splitlines()
        )
    print(said, file=stream)
