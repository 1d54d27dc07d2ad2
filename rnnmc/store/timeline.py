"""Which worker did which block when: `logs/timeline.json`, in Chrome's form for traces, which Perfetto opens.

Every process that drives blocks appends to it, a line an event, so that it outlives accidents and holds all runs of a
study. The form allows that the list has no end. https://perfetto.dev/docs/getting-started/other-formats
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

TIMELINE = "logs/timeline.json"  # below the folder of a study
BLOCK, FAILED = "X", "i"  # the form's words for what takes time, and for what happens at once


class Ran(NamedTuple):
    """A block that was done. began: seconds since 1970. worker: its host and process. retries: attempts before."""

    began: float
    seconds: float
    host: str
    worker: str
    replicates: int
    retries: int


class Timeline:
    """The timeline of a study folder, to be added to. What cannot be written is left out: it decides nothing."""

    def __init__(self, directory: Path):
        self.path = directory / TIMELINE
        self.named: set[str] = set()
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            begun = self.path.with_name(f".timeline-{os.getpid()}")
            begun.write_text("[\n", encoding="utf-8")
            with suppress(FileExistsError):  # two that begin at once leave one beginning
                os.link(begun, self.path)
            begun.unlink()

    def note(self, name: str, worker: str, began: float, seconds: float, **said: Any) -> None:
        """A block of this name, on a worker (`host process`, or "" where none is left to say), and what is `said`."""
        host, _, process = worker.rpartition(" ")
        row = {"pid": zlib.crc32(host.encode()) & 0x7FFFFFFF, "tid": int(process or 0)}
        events: list[dict[str, Any]] = []
        if worker not in self.named:
            self.named.add(worker)
            named = {"process_name": host or "no worker", "thread_name": f"worker {process}" if process else "lost"}
            events += [{"ph": "M", "name": kind, **row, "args": {"name": word}} for kind, word in named.items()]
        how = {"ph": FAILED, "s": "t"} if said.get("error") else {"ph": BLOCK, "dur": round(seconds * 1e6)}
        events.append({"name": name, **how, "ts": round((began or time.time()) * 1e6), **row, "args": said})
        lines = "".join(f"{json.dumps(event, separators=(',', ':'))},\n" for event in events)
        with suppress(OSError):
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(handle, lines.encode())
            finally:
                os.close(handle)


def ran(directory: Path) -> tuple[list[Ran], int]:
    """(every block that the timeline of a folder has, as it was noted; how many failed). Nothing where there is none.

    A line that an accident has cut is passed over.
    """
    done, failed = [], 0
    for event in _events(directory / TIMELINE):
        with suppress(KeyError, TypeError, ValueError):
            if event["ph"] == FAILED:
                failed += 1
            elif event["ph"] == BLOCK:
                said = event["args"]
                times = event["ts"] / 1e6, event["dur"] / 1e6
                done.append(Ran(*times, str(event["pid"]), str(event["tid"]), said["replicates"], said["retries"]))
    return done, failed


def _events(path: Path) -> Iterator[dict[str, Any]]:
    with suppress(OSError, UnicodeDecodeError), path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            with suppress(ValueError):
                event = json.loads(line.rstrip().rstrip(","))
                if isinstance(event, dict):
                    yield event
