"""What is told on the way, on the error stream, unless it is to be quiet."""

from __future__ import annotations

import sys
from contextvars import ContextVar

from rnnmc.common.words import say

HUSHED = ContextVar("quiet", default=False)  # --quiet: progress is not told; what fails, and warnings, still are


def on_the_way(words: str) -> None:
    """Say what a run does now."""
    if not HUSHED.get():
        say(words, sys.stderr)
