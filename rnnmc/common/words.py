"""Words for what the program has to say."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TextIO


def listed(parts: Sequence[str], last: str = "and", between: str = ", ") -> str:
    """`a, b and c`; between: where commas stand within parts, something else."""
    return parts[0] if len(parts) == 1 else f"{between.join(parts[:-1])} {last} {parts[-1]}"


def say(said: str, to: TextIO | None = None) -> None:
    """Print it, to standard output unless said; on a terminal broken at blanks, and no word, such as a path, in two."""
    stream = to or sys.stdout
    if stream.isatty():
        width = max(20, shutil.get_terminal_size().columns)
        said = "\n".join(
            textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in said.splitlines()
        )
    print(said, file=stream)
