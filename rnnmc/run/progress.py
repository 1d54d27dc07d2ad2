"""Progress of blocks: a bar with rate and time left on a terminal, a line now and then in a log."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rnnmc.common.quiet import HUSHED
from rnnmc.run.fanout import Done

if TYPE_CHECKING:
    from rich.console import Console

Tell = Callable[[Done], None]
SECONDS_BETWEEN_LINES = 5.0
WIDE = 110  # columns, below which a bar says less


@contextmanager
def progress(title: str, replicates: int | None, what: str = "replicates") -> Iterator[Tell]:
    """Yield what is to be called with each finished block. replicates: in all, or None where that is not known. what:
    the word for them.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if HUSHED.get():
        yield _failed
        return
    with _bar(console, title, replicates, what) if console.is_terminal else _lines(title, replicates, what) as tell:
        yield tell


def _failed(done: Done) -> None:
    if done.error:
        print(done.error, file=sys.stderr)


@contextmanager
def _bar(console: Console, title: str, replicates: int | None, what: str) -> Iterator[Tell]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    rate, left = TextColumn("{task.fields[rate]}"), (TextColumn("left"), TimeRemainingColumn())
    if console.width < WIDE:
        name = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", max_width=24))
        columns = [name, BarColumn(bar_width=8), MofNCompleteColumn(), rate, *left]
    else:
        columns = [TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn()]
        columns += [TextColumn(what), rate, TimeElapsedColumn(), *left]
    with Progress(*columns, console=console) as bar:
        task, begin = bar.add_task(title, total=replicates, rate=""), time.monotonic()

        def tell(done: Done) -> None:
            completed = bar.tasks[0].completed + done.replicates
            rate = completed / max(time.monotonic() - begin, 1e-9)
            bar.update(task, completed=completed, rate=f"{rate:,.0f} a second")
            if done.error:
                bar.console.print(done.error, style="red")

        yield tell


@contextmanager
def _lines(title: str, replicates: int | None, what: str) -> Iterator[Tell]:
    """How fast counts from the first block on: before it Ray starts and kernels are compiled."""
    last = time.monotonic()
    completed, first, since = 0, 0, math.inf

    def tell(done: Done) -> None:
        nonlocal last, completed, first, since
        completed += done.replicates
        now = time.monotonic()
        if since == math.inf:
            first, since = completed, now
        if done.error or completed == replicates or now - last > SECONDS_BETWEEN_LINES:
            last = now
            of = f" of {replicates:,}" if replicates else ""
            rate = (completed - first) / (now - since) if now - since > SECONDS_BETWEEN_LINES else 0.0
            pace = f", {rate:,.0f} a second" if rate else ""
            left = f", {(replicates - completed) / rate:,.0f} s left" if replicates and rate else ""
            said = done.error or f"{completed:,}{of} {what}{pace}{left}"
            print(f"{title}: {said}", file=sys.stderr, flush=True)

    yield tell
