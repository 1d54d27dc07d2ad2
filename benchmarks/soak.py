"""Kills at random times, of every process that a run has: what goes on, what ends, and what is left (make soak).

One study of some seconds is run again and again, by `rnnmc study` as users type it, and at a random time of its run
one of its processes is killed, or is told to stop. A run that goes on by itself may be hit again. One that ends is
typed again, in the same folder, until the study is done. Then its samples are held against those of an undisturbed run;
on the way every shard that was there before a hit must stand there after it, untouched. Afterwards no process of a run
and no file of it may be left, beside what the undisturbed run leaves too.

    python benchmarks/soak.py --hits 100                      # 100 of each kind: hours, for Ray starts anew each time
    python benchmarks/soak.py --hits 10 --kinds worker Snakemake --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from rnnmc.common.errors import UsageError
from rnnmc.store.verify import verify

STUDY = """study: soak
horizons: [10, 100, 1000]
points:
  - {cell: [lstm, gru], width: [1, 2], replicates: 40000}
"""
PATIENCE = 300.0  # seconds that a run may take to end after a hit
GONE = 15.0  # seconds that its processes may take to end after it
BETWEEN = 2.0  # seconds between two hits that the run may survive, in the mean
MARK = "RNNMC_SOAK"  # in the environment of every process of a run


def called(*words: str) -> Callable[[psutil.Process], bool]:
    """Whether the command line of a process holds these words."""
    return lambda process: all(word in " ".join(process.cmdline()) for word in words)


@dataclass(frozen=True)
class Kind:
    """What is hit (a process of the run's family; None for the run itself), by what signal (0: another run starts)."""

    of: Callable[[psutil.Process], bool] | None
    by: int = signal.SIGKILL


KINDS = {
    "worker": Kind(called("ray::", " n=")),
    "dispatcher": Kind(called("ray::Dispatcher")),
    "raylet": Kind(called("raylet/raylet ")),
    "Ray's GCS server": Kind(called("gcs/gcs_server ")),
    "head": Kind(called("rnnmc.run.head")),
    "job of a design point": Kind(called("rnnmc sample ")),
    "Snakemake": Kind(called("-m snakemake -s")),
    "rnnmc study": Kind(None),
    "SIGTERM": Kind(None, signal.SIGTERM),
    "SIGINT": Kind(None, signal.SIGINT),
    "second run": Kind(None, 0),
}


@dataclass
class Outcome:
    """Of all hits of a kind."""

    hits: int = 0
    went_on: int = 0  # runs that were hit and finished the study themselves
    ended: Counter[int] = field(default_factory=Counter)  # runs that were hit and ended before, by exit code
    hung: int = 0
    finished: int = 0  # studies that were hit and brought to their end, by however many runs
    equal: int = 0  # of these, those with the samples of the undisturbed run
    touched: int = 0  # shards that were lost or written again
    processes: list[str] = field(default_factory=list)  # left behind
    files: set[str] = field(default_factory=set)  # left behind, in the folder of the study or the temporary one


class Soak:
    """Runs of the study below one folder."""

    def __init__(self, top: Path, seed: int):
        self.top, self.rng = top, random.Random(seed)
        self.folder, self.temporary = top / "results" / "soak", top / "t"
        self.temporary.mkdir()
        (top / "soak.yaml").write_text(STUDY)
        begin = time.monotonic()
        if self.start().wait() != 0:
            sys.exit("the undisturbed run failed")
        self.seconds = time.monotonic() - begin
        self.digest, self.left = verify(self.folder).digest, self.files()
        shutil.rmtree(self.folder)

    def start(self) -> psutil.Popen:
        """`rnnmc study`, as typed; its words are kept in a log."""
        words = ["rnnmc", "study", "soak.yaml", "--jobs", "2"]
        here = Path(sys.executable).parent
        own = {MARK: str(self.top), "TMPDIR": str(self.temporary), "PATH": f"{here}:{os.environ['PATH']}"}
        with (self.top / "log").open("ab") as log:
            return psutil.Popen(words, cwd=self.top, env=os.environ | own, stdout=log, stderr=log)

    def processes(self) -> list[psutil.Process]:
        """All that live of the runs here, whoever is their parent now; those that came first, first."""
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if one.environ().get(MARK) == str(self.top) and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
        return sorted(found, key=lambda process: process.create_time())

    def shards(self) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in self.folder.glob("samples/**/[0-9]*.parquet")}

    def files(self) -> set[str]:
        """What stands in the folder of the study, but for logs, and in the temporary folder."""
        of_study = {path for path in self.folder.rglob("*") if "logs" not in path.parts and path.is_file()}
        return {str(path.relative_to(self.top)) for path in of_study | set(self.temporary.iterdir())}

    def soaked(self, kind: Kind, hits: int, outcome: Outcome) -> bool:
        """Note what becomes of so many hits; whether it was not interrupted."""
        try:
            while outcome.hits < hits or self.folder.exists():
                self._once(kind, outcome, hits)
        except KeyboardInterrupt:
            for one in self.processes():
                with contextlib.suppress(psutil.Error):
                    one.kill()
            return False
        return True

    def _once(self, kind: Kind, outcome: Outcome, hits: int) -> None:
        """One run, hit until it ends or enough hits were made; a study that is done is compared, and removed."""
        run, second, before = self.start(), None, dict[Path, int]()
        made, wait = outcome.hits, self.rng.uniform(0, self.seconds)
        while outcome.hits < hits and second is None and _lives(run, wait):
            wait = 0.05
            if target := self._target(run, kind):
                before |= self.shards()
                if kind.by:
                    with contextlib.suppress(psutil.Error):
                        target.send_signal(kind.by)
                else:
                    second = self.start()
                outcome.hits += 1
                wait = PATIENCE if target == run else self.rng.expovariate(1 / BETWEEN)
        codes = [self._end(one, outcome) for one in (run, second) if one is not None]
        if outcome.hits > made:
            outcome.went_on += not any(codes)
            outcome.ended += Counter(code for code in codes if code)
        until = time.monotonic() + GONE
        while self.processes() and time.monotonic() < until:
            time.sleep(0.1)
        for one in self.processes():
            with contextlib.suppress(psutil.Error):
                outcome.processes.append(" ".join(one.cmdline())[-60:])
                one.kill()
        after = self.shards()
        outcome.touched += sum(after.get(path) != written for path, written in before.items())
        if not any(codes):
            equal = self._is_equal()
            outcome.finished += 1
            outcome.equal += equal
            outcome.files |= self.files() - self.left
            if not equal:
                kept = Path(tempfile.mkdtemp(prefix="soak-differs-"))
                shutil.copytree(self.folder, kept, dirs_exist_ok=True)
                print(f"other samples than undisturbed: {kept}", file=sys.stderr)
            shutil.rmtree(self.folder)

    def _is_equal(self) -> bool:
        with contextlib.suppress(UsageError):
            return verify(self.folder).digest == self.digest
        return False

    def _target(self, run: psutil.Process, kind: Kind) -> psutil.Process | None:
        if kind.of is None:
            return run
        found = []
        for one in self.processes():
            with contextlib.suppress(psutil.Error):
                if kind.of(one):
                    found.append(one)
        return self.rng.choice(found) if found else None

    def _end(self, run: psutil.Popen, outcome: Outcome) -> int:
        """The exit code of a run, which is killed where it does not end."""
        if _lives(run, PATIENCE):
            outcome.hung += 1
            run.kill()
        return int(run.wait())


def _lives(run: psutil.Popen, seconds: float) -> bool:
    try:
        run.wait(seconds)
    except psutil.TimeoutExpired:
        return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hits", type=int, default=100, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--seed", type=int, default=0, help="of the times at which is hit")
    asked = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it would be ignored by all
    print("| hit | hits | went on | ended with | hung | studies done | equal samples | shards touched | left |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for name in asked.kinds:
        top = Path(tempfile.mkdtemp(prefix="s-"))
        one = Outcome()
        try:
            whole = Soak(top, asked.seed).soaked(KINDS[name], asked.hits, one)
        finally:
            shutil.copy(top / "log", Path(tempfile.gettempdir()) / f"soak-{name.replace(' ', '-')}.log")
            shutil.rmtree(top)
        ended = ", ".join(f"{code} ({count})" for code, count in sorted(one.ended.items())) or "-"
        files = f"{len(one.files)} files {sorted(one.files)[:3] or ''}"
        left = f"{len(one.processes)} processes {one.processes[:3] or ''}, {files}".rstrip()
        told = (one.hits, one.went_on, ended, one.hung, one.finished, one.equal, one.touched, left)
        print(f"| {name} | {' | '.join(map(str, told))} |", flush=True)
        if not whole:
            sys.exit("interrupted; the last study is not counted")


if __name__ == "__main__":
    main()
