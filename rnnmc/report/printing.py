"""How tables are printed: as wide as the terminal is, or wider where nobody watches."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console


def printed(*things: Any) -> None:
    """Print tables; where nobody watches, as in a log, they are not cut to 80 columns."""
    console().print(*things, sep="\n")


def console() -> Console:
    """What prints them."""
    return Console(width=None if sys.stdout.isatty() else 160)
