"""What every test is held to: no process starts where no mark says so, and nothing passes because it saw nothing.

The quick set is made here too: all tests that no mark keeps out of it.
"""

from __future__ import annotations

import multiprocessing.util
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import filled
import pytest
import threads  # noqa: F401 - before anything imports NumPy

from rnnmc.run.fanout import source_facts

WITH_PROCESSES = {"process", "page", "slurm"}
NOT_QUICK = WITH_PROCESSES | {"slow", "gpu"}
STARTS = {"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
COMPILERS = {"cc", "gcc", "clang"}  # rnnmc asks one for its version, and has it build what is not on disk yet


class Collected(NamedTuple):
    """How many tests there are and how many are quick, before -m and -k take any away, and in which files."""

    total: int
    quick: int
    files: frozenset[Path]


COLLECTED = pytest.StashKey[Collected]()


class Watch:
    """The test that runs and may start no process, and what it has started."""

    def __init__(self) -> None:
        self.test: str | None = None
        self.started: list[str] = []

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python's own report of what it is about to do; an exception keeps it from doing it."""
        if event not in STARTS or self.test is None:
            return
        what = os.fsdecode(arguments[0]) if arguments and isinstance(arguments[0], (str, bytes)) else ""
        if event == "subprocess.Popen" and Path(what).name in COMPILERS | {Path(os.environ.get("CC", "cc")).name}:
            return
        self.started.append(f"{event} {what}".strip())
        pytest.fail(f"starts a process ({self.started[-1]}); mark the test with pytest.mark.process")


filled.install()
WATCH = Watch()
sys.addaudithook(WATCH.heard)
_spawn = multiprocessing.util.spawnv_passfds


def _heard_too(path: Any, *more: Any) -> int:  # of this way to start a process Python tells no audit hook
    WATCH.heard("os.posix_spawn", (path,))
    return _spawn(path, *more)


multiprocessing.util.spawnv_passfds = _heard_too


def marks(item: pytest.Item) -> set[str]:
    return {mark.name for mark in item.iter_markers()}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is quick, and put the slow ones in front: what is left at the end is short, and no core waits long."""
    quick = {item for item in items if not marks(item) & NOT_QUICK}
    for item in quick:
        item.add_marker(pytest.mark.quick)
    items.sort(key=lambda item: (item in quick, item.get_closest_marker("slow") is None))
    config.stash[COLLECTED] = Collected(len(items), len(quick), frozenset(item.path for item in items))


def pytest_collection_finish() -> None:
    """Which commit this is, git is asked once, before the first test: every shard that a test writes says it."""
    source_facts()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    WATCH.test = None if marks(item) & WITH_PROCESSES else item.nodeid
    WATCH.started.clear()
    try:
        return (yield)
    finally:
        WATCH.test = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    filled.ELEMENTS.clear()
    done = yield
    if places := filled.empty():
        pytest.fail("passed on nothing at all:\n" + "\n".join(places), pytrace=False)
    return done


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    done = yield
    if WATCH.started:  # the test itself may have caught what it was told
        pytest.fail(f"{item.nodeid} tried to start {WATCH.started}")
    return done


@pytest.fixture
def collected(pytestconfig: pytest.Config) -> Collected:
    return pytestconfig.stash[COLLECTED]


@pytest.fixture
def started() -> Generator[list[str]]:
    """What a test that plants the start of a process was kept from: it is forgiven."""
    yield WATCH.started
    WATCH.started.clear()
