"""How far a study has come, from its folder alone: from another terminal, on another machine, after a crash."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rnnmc.engine.block import BLOCK_SECONDS
from rnnmc.run.fanout import block_name, expected_seconds
from rnnmc.store.folder import manifest_path, names, point_folder, shard_name, shard_path
from rnnmc.store.manifest import enough_said, manifest
from rnnmc.store.marks import running
from rnnmc.store.outdated import up_to_date
from rnnmc.store.plan import with_points
from rnnmc.store.proofs import Damaged
from rnnmc.store.stored_point import StoredPoint

SAMPLING, COUNTING, DRAWING, FINISHED = "sampling", "counting statistics", "drawing the page", "finished"
WINDOW = 120.0  # seconds over which a rate is taken: long beside a block
GRANTED, WELL_SEEN = 60.0, 300.0  # seconds for which the nominal rate counts at first, and after which no more
REFUTED = 2.0  # times as long as all was to take, after which it does not count either


@dataclass(frozen=True)
class HowFar:
    """Where a study is. points, replicates: planned; `replicates` is None while a half-width decides on them.

    share: of the work, by what each design point is expected to take. running: names of blocks that are being computed.
    stage: SAMPLING, COUNTING, DRAWING or FINISHED. counted: what stands for replicates where only populations are left.
    """

    points: int
    points_done: int
    replicates: int | None
    replicates_done: int
    share: float
    running: tuple[str, ...]
    stage: str
    counted: str = "replicates"


class WatchedFolder:
    """The folder of a study that is looked at again and again. Raises UsageError where nothing is planned there."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.planned = list(with_points(directory))
        self.work = {stored.key: _seconds(stored) for stored in self.planned}  # nominal seconds of one core
        self.replicates = {stored.key: 0 for stored in self.planned}  # that are there
        self.open = list(self.planned)  # what was not done when last looked at
        self.begun = {stored.key: begun(directory, stored) for stored in self.planned}

    def how_far(self) -> HowFar:
        """Where it is now. Looks at the names of files that were not all there before, and reads no shard."""
        busy, still = [], []
        for stored in self.open:
            done, at_work = self._look(stored)
            self.replicates[stored.key] = done
            if not self._is_done(stored, done):
                still.append(stored)
                busy += [block_name(stored.label, block, stored.most, stored.cut.block) for block in at_work]
        self.open = still
        left = sum(self.work[one.key] * max(0.0, 1 - self.replicates[one.key] / one.replicates) for one in still)
        split = bool(still) and all(one.split for one in still)
        counted = [self.replicates[one.key] for one in self.planned if not split or one.split]
        every = None
        if all(stored.until is None for stored in still):
            every = sum(counted) + sum(one.replicates - self.replicates[one.key] for one in still)
        return HowFar(
            len(self.planned),
            len(self.planned) - len(still),
            every,
            sum(counted),
            1 - left / sum(self.work.values()),
            tuple(busy),
            self._stage(),
            "populations" if split else "replicates",
        )

    def _look(self, stored: StoredPoint) -> tuple[int, list[int]]:
        """(replicates that are there, blocks that are being computed)."""
        folders = [names(point_folder(self.directory, stored, kind)) for kind in stored.kinds]
        if not folders[0]:
            return 0, []
        wanted = ((block, count) for block, count in stored.blocks())
        done = sum(count for block, count in wanted if all(shard_name(block) in there for there in folders))
        begun = self.begun[stored.key]
        is_short = all(shard_name(begun.block) in there for there in folders) and begun.lasts(self.directory, stored)
        return done - begun.lacking(stored) * is_short, sorted(running(self.directory, stored))

    def _is_done(self, stored: StoredPoint, done: int) -> bool:
        if stored.until is None:
            return done == stored.replicates
        with suppress(Damaged):  # which the study itself will say
            return enough_said(self.directory, stored) is not None
        return False

    def _stage(self) -> str:
        if self.open:
            return SAMPLING
        tables, page = up_to_date(self.directory)
        return FINISHED if page else DRAWING if tables else COUNTING


@dataclass(frozen=True)
class Begun:
    """The last block of a smaller study, where it was no full one: its replicates, and when that was (ns)."""

    block: int = 0
    held: int = 0
    since: int = 0

    def lasts(self, directory: Path, stored: StoredPoint) -> bool:
        """Whether the file that is there is still that of the smaller study."""
        return bool(self.held) and shard_path(directory, stored, self.block).stat().st_mtime_ns <= self.since

    def lacking(self, stored: StoredPoint) -> int:
        """Replicates that the study wants of this block and the smaller one has not."""
        return min(stored.cut.block, stored.replicates - self.block * stored.cut.block) - self.held


def begun(directory: Path, stored: StoredPoint) -> Begun:
    """What a smaller study has left of one design point."""
    with suppress(Damaged):
        before = manifest(directory, stored).get("replicates", stored.replicates)
        block, held = divmod(before, stored.cut.block)
        if stored.until is None and before < stored.replicates and held:
            return Begun(block, held, manifest_path(directory, stored).stat().st_mtime_ns)
    return Begun()


def _seconds(stored: StoredPoint) -> float:
    """Nominal, of one core; by the size of its blocks where its cell or drive is not here."""
    if stored.point is None:
        return BLOCK_SECONDS * stored.replicates / stored.cut.block
    return expected_seconds(stored, stored.replicates)


class Pace:
    """How fast a study goes, from where it was when.

    nominal: seconds that all of it may take, before anything is known. It counts the less the longer the study has
    been seen, whose first blocks are few, and may be of any size, and not at all once it is refuted, for it knows
    nothing of what observables take. What comes before the first of them does not count: Ray starts, and kernels are
    compiled.
    """

    def __init__(self, nominal: float):
        self.nominal = nominal
        self.begun: float | None = None
        self.seen: deque[tuple[float, float, int]] = deque()

    def note(self, now: float, share: float, replicates: int) -> None:
        """At `now` seconds this share of the work was done, and so many replicates."""
        if self.begun is None and self.seen:
            if share > self.seen[-1][1]:
                self.begun = self.seen[-1][0]
            else:
                self.seen.clear()
        self.seen.append((now, share, replicates))
        while len(self.seen) > 2 and now - self.seen[1][0] > WINDOW and self.seen[1][1] < share:
            self.seen.popleft()

    @property
    def replicates(self) -> float:
        """A second."""
        if len(self.seen) < 2:
            return 0.0
        (begin, _, few), (end, _, many) = self.seen[0], self.seen[-1]
        return (many - few) / (end - begin)

    @property
    def seconds_left(self) -> float:
        """Of what was noted at last. Raises IndexError before anything was."""
        (begin, before, _), (end, share, _) = self.seen[0], self.seen[-1]
        if self.begun is None or not share > before:
            return max(0.0, 1 - share) * self.nominal
        known = min(WELL_SEEN, REFUTED * self.nominal)
        taken = GRANTED * max(0.0, 1 - (end - self.begun) / known)  # seconds, as if so long it had gone as expected
        return max(0.0, 1 - share) * (end - begin + taken) / (share - before + taken / self.nominal)
