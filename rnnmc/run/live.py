"""One line that says how far a study is: rewritten in place on a terminal, now and then a new one in a log."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from rnnmc.common.granted import own_cpus
from rnnmc.common.quiet import HUSHED
from rnnmc.run.how_far import FINISHED, SAMPLING, HowFar, Pace, WatchedFolder

SECONDS_BETWEEN_LOOKS = 1.0
LOOKING = 0.05  # of the time, at most
SECONDS_BETWEEN_LINES = 30.0  # in a log
STILL = 60.0  # seconds without a block that is computed or done, after which nothing seems to run


class LiveLine:
    """The line of one study. nominal: seconds that all of it may take, before anything is known."""

    def __init__(self, name: str, nominal: float):
        self.name, self.pace, self.moved = name, Pace(nominal), time.monotonic()
        self.share, self.last, self.told = -1.0, -SECONDS_BETWEEN_LINES, ""
        self.terminal, self.quiet = sys.stderr.isatty(), HUSHED.get()

    def tell(self, now: HowFar, waiting: str = "waiting for a block") -> None:
        """Say it. waiting: what is said while no block is computed."""
        clock = time.monotonic()
        if now.running or now.share != self.share:
            self.moved, self.share = clock, now.share
        self.pace.note(clock, now.share, now.replicates_done)
        if self.quiet:
            return
        still = clock - self.moved > STILL
        if still:
            waiting = f"nothing runs for {duration(clock - self.moved)}; if it stopped, start it again"
        if self.terminal:
            width = shutil.get_terminal_size().columns - 1
            said = line(self.name, now, self.pace, datetime.now(), waiting, width, still)
            sys.stderr.write(f"\r{said}\x1b[K")
        elif clock - self.last >= SECONDS_BETWEEN_LINES:
            self.last = clock
            said = line(self.name, now, self.pace, datetime.now(), waiting, 160, still)
            sys.stderr.write(f"{said}\n" if said != self.told else "")
            self.told = said
        sys.stderr.flush()

    def end(self, now: HowFar) -> None:
        """Say where the study stands at its end, in a log; on a terminal the table follows."""
        if not self.terminal:
            self.last = -math.inf
            self.tell(now)

    def clear(self) -> None:
        """Leave the terminal as if there had been no line."""
        if self.terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


ENOUGH = 12  # characters to tell what is computed in: `lstm n=64 ke`


def line(name: str, now: HowFar, pace: Pace, clock: datetime, waiting: str, width: int, still: bool = False) -> str:
    """Where a study is, in at most `width` characters; what is computed now is cut first.

    still: nothing runs, so that there is no rate, and no end that it leads to.
    """
    if now.stage != SAMPLING:
        return f"{name}: {now.points:,} points, {now.replicates_done:,} replicates; {now.stage}"[:width]
    points = f"{name} {100 * now.share:.0f} %, {now.points_done}/{now.points} points"
    more = f" and {len(now.running) - 1} more" if len(now.running) > 1 else ""
    at_work = now.running[0].partition(" | ")[0] if now.running else waiting
    for said in [points] if still else _ever_shorter(points, now, pace, clock):
        room = width - len(said) - 2 - len(more)
        if room >= min(len(at_work), ENOUGH):
            return f"{said}: {at_work if len(at_work) <= room else at_work[: room - 1] + '…'}{more}"
    return said[:width]


def _ever_shorter(points: str, now: HowFar, pace: Pace, clock: datetime) -> Iterator[str]:
    """How many replicates there are, how fast and how long still; in fewer and fewer words."""
    of = "" if now.replicates is None else f"/{short(now.replicates)}"
    counted = f"{points}, {short(now.replicates_done)}{of} {now.counted}"
    if not pace.replicates:
        yield from (counted, points)
        return
    at_most = "at most " if now.replicates is None else ""
    left = f"{at_most}{duration(pace.seconds_left)} left, {ends(clock, pace.seconds_left)}"
    yield f"{counted}, {short(pace.replicates)}/s, {left}"
    yield f"{points}, {short(pace.replicates)} {now.counted}/s, {left}"
    yield f"{points}, {left}"


def short(number: float) -> str:
    """A number in at most five characters: 12,300 as 12.3k."""
    for unit in ("", "k", "M", "G"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}T"


def duration(seconds: float) -> str:
    """A time for people: 40 s, 4 min, 2.5 h, 3.1 days."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def ends(now: datetime, seconds: float) -> str:
    """The time of day at which it will end, with the date where that is another one."""
    then = now + timedelta(seconds=seconds)
    return then.strftime("%H:%M" if then.date() == now.date() else "%d %b %H:%M")


def looks(folder: WatchedFolder, process: subprocess.Popen[bytes] | None = None) -> Iterator[HowFar]:
    """Where a study is, a second apart or, where looking takes long, further; while a given process runs."""
    while process is None or process.poll() is None:
        begin = time.monotonic()
        with suppress(OSError):  # a file system that is away for a moment; the next look may find it
            yield folder.how_far()
        pause = max(SECONDS_BETWEEN_LOOKS, (time.monotonic() - begin) / LOOKING)
        if process is None:
            time.sleep(pause)
        else:
            with suppress(subprocess.TimeoutExpired):
                process.wait(pause)


def watch(directory: Path) -> None:
    """Show the line of a study folder until it is finished. Raises UsageError where nothing is planned there."""
    folder = WatchedFolder(directory)
    with shown(LiveLine(directory.name, sum(folder.work.values()) / own_cpus())) as shown_line:
        for now in looks(folder):
            if now.stage == FINISHED:
                return
            shown_line.tell(now)


@contextmanager
def shown(one: LiveLine) -> Iterator[LiveLine]:
    """The line while the body runs, and no trace of it after that."""
    try:
        yield one
    finally:
        one.clear()
