"""What a run tells Prometheus, through Ray: how far a study is, and what becomes of its blocks.

`monitoring/` has what scrapes it and what draws it. Ray puts `ray_` in front of each name and, behind one that counts,
`_total`.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rnnmc.common.errors import RunError, UsageError
from rnnmc.run.fanout import Done, Task
from rnnmc.run.how_far import Pace, WatchedFolder
from rnnmc.run.live import LOOKING

OF_A_STUDY = ("study",)
OF_A_SERIES = ("study", "cell", "width")
NO_STUDY = "measure"  # of samples that go to no folder
SECONDS_BETWEEN_WORDS = 2.0


class Meters:
    """The metrics of one dispatcher. slots: how many blocks run at a time."""

    def __init__(self, slots: int):
        from ray.util.metrics import Counter as Counted
        from ray.util.metrics import Gauge, Histogram

        self.slots = slots
        self.planned = Gauge("rnnmc_replicates_planned", "Replicates that a study wants, or may want", OF_A_SERIES)
        self.there = Gauge("rnnmc_replicates_done", "Replicates of a study that are on disk", OF_A_SERIES)
        self.seconds_left = Gauge("rnnmc_seconds_left", "Until all of a study is sampled, as it goes", OF_A_STUDY)
        self.flying = Gauge("rnnmc_blocks_in_flight", "Blocks that run or wait for a worker", OF_A_STUDY)
        self.replicates = Counted("rnnmc_replicates", "Replicates sampled", OF_A_SERIES)
        self.stored = Counted("rnnmc_stored_bytes", "Bytes of shards stored", OF_A_SERIES)
        self.failed = Counted("rnnmc_blocks_failed", "Blocks given up", OF_A_SERIES)
        self.retried = Counted("rnnmc_blocks_retried", "Blocks tried again", OF_A_SERIES)
        self.seconds = Histogram(
            "rnnmc_block_seconds", "Wall time of a block", [0.1, 0.3, 1, 3, 10, 30, 100], OF_A_SERIES
        )
        self.blocks: Counter[str] = Counter()  # in flight
        self.watched: set[str] = set()

    @contextmanager
    def in_flight(self, directory: str, blocks: int) -> Iterator[None]:
        """So many blocks more, for the duration."""
        study = _study(directory)
        self.blocks[study] += blocks
        self._fly(study)
        try:
            yield
        finally:
            self.blocks[study] -= blocks
            self._fly(study)

    def _fly(self, study: str) -> None:
        self.flying.set(self.blocks[study], {"study": study})

    def note(self, directory: str, told: Iterable[tuple[Task, Done]]) -> None:
        """What came of blocks."""
        for task, done in told:
            tags = _series(directory, task)
            if done.error:
                self.failed.inc(1, tags)
            elif done.replicates:
                self.replicates.inc(done.replicates, tags)
                self.seconds.observe(done.seconds, tags)
            if done.size:
                self.stored.inc(done.size, tags)

    def again(self, directory: str, tasks: Sequence[Task]) -> None:
        """Blocks that are tried again."""
        for task in tasks:
            self.retried.inc(1, _series(directory, task))

    def watch(self, directory: str) -> None:
        """Tell from now on how far the study in this folder is, by what its files say."""
        if directory not in self.watched:
            self.watched.add(directory)
            threading.Thread(target=self._watch, args=(directory,), daemon=True).start()

    def _watch(self, directory: str) -> None:
        """Say again and again what may not have changed, for Ray forgets a gauge that is not set for a while."""
        time.sleep(SECONDS_BETWEEN_WORDS)  # a first look takes a moment of the processor: blocks come first
        folder, pace = None, Pace(0.0)
        with suppress(RunError, UsageError, OSError):  # no folder, or not one that can be read from here
            folder = WatchedFolder(Path(directory)) if directory else None
            pace = Pace(sum(folder.work.values()) / self.slots) if folder else pace
        while True:
            begin = time.monotonic()
            self._fly(_study(directory))
            if folder:
                now = folder.how_far()
                pace.note(begin, now.share, now.replicates_done)
                self._tell(_study(directory), folder, pace)
            time.sleep(max(SECONDS_BETWEEN_WORDS, (time.monotonic() - begin) / LOOKING))

    def _tell(self, study: str, folder: WatchedFolder, pace: Pace) -> None:
        planned: Counter[tuple[str, str]] = Counter()
        there: Counter[tuple[str, str]] = Counter()
        for stored in folder.planned:
            series = stored.cell, str(stored.point.width) if stored.point else ""
            planned[series] += stored.replicates
            there[series] += folder.replicates[stored.key]
        for (cell, width), replicates in planned.items():
            tags = {"study": study, "cell": cell, "width": width}
            self.planned.set(replicates, tags)
            self.there.set(there[cell, width], tags)
        self.seconds_left.set(pace.seconds_left, {"study": study})


def _study(directory: str) -> str:
    return Path(directory).name or NO_STUDY


def _series(directory: str, task: Task) -> dict[str, str]:
    return {"study": _study(directory), "cell": task.point["cell"], "width": task.point["width"]}
