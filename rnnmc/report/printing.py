"""How tables are printed: as wide as the terminal is, or wider where nobody watches, and no word broken in between."""

from __future__ import annotations

import re
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

UNSEEN = 160  # columns, of a log
LAST_RESORT = re.compile(r"(?<=[_./(,;:=])")  # where a word is broken that is longer than its column


class Words(Text):
    """Text that loses nothing where it is narrow, and whose words are broken only where they have no room."""

    def wrap(self, console: Console, width: int, **said: Any) -> Any:
        """The lines of so many columns."""
        return Text(broken(self.plain, width), self.style).wrap(console, width, **said)


class WordsTable(Table):
    """A table of `Words`; as plain text, for rich would read "[inf,inf]" as markup and drop it."""

    def add_column(self, header: Any = "", footer: Any = "", **said: Any) -> None:
        """Add a column with this text at its head."""
        super().add_column(Words(header), footer, **said)

    def add_row(self, *cells: Any, **said: Any) -> None:
        """Add a row, of texts."""
        super().add_row(*(Words(cell) for cell in cells), **said)


def broken(text: str, width: int) -> str:
    """The text, every word longer than `width` in lines no longer than that, each as long as its parts allow."""
    return re.sub(rf"\S{{{width + 1},}}", lambda word: "\n".join(_pieces(word[0], width)), text)


def _pieces(word: str, width: int) -> list[str]:
    pieces = [""]
    for part in LAST_RESORT.split(word):
        if len(pieces[-1]) + len(part) <= width:
            pieces[-1] += part
        else:
            pieces += [part[start : start + width] for start in range(0, len(part), width)]
    return [piece for piece in pieces if piece]


def printed(*things: Any) -> None:
    """Print tables; where nobody watches, as in a log, they are not cut to 80 columns."""
    console().print(*things, sep="\n")


def console() -> Console:
    """What prints them. Through a pipe to what somebody sees, such as `less`, they are as wide as the terminal."""
    seen = sys.stdout.isatty() or (sys.stderr.isatty() and not sys.stdout.seekable())  # a file is
    return Console(width=None if seen else UNSEEN)
