"""Who computes which block is seen for as long as anybody does, however many try the same one."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rnnmc.store.marks import MARK, claimed, running


class Point:
    """What a folder asks of a design point."""

    key, cell, width = "0123456789ab", "tanh", 2


class Failed(Exception):
    """Of an attempt."""


@contextmanager
def attempt(folder: Path, block: int) -> Iterator[None]:
    """One that fails when the body ends."""
    with suppress(Failed), claimed(folder, Point(), block):
        yield
        raise Failed


def test_a_block_is_seen_until_an_attempt_at_it_succeeds_or_the_last_one_fails(tmp_path: Path):
    with attempt(tmp_path, 3):
        with attempt(tmp_path, 3), claimed(tmp_path, Point(), 5):
            assert running(tmp_path, Point()) == {3, 5}
        assert running(tmp_path, Point()) == {3}
    assert running(tmp_path, Point()) == set()
    with claimed(tmp_path, Point(), 4):
        with claimed(tmp_path, Point(), 4):
            pass
        assert running(tmp_path, Point()) == set(), "it is there"
    assert not list(tmp_path.rglob(f"*{MARK}"))


def test_the_mark_of_a_process_that_has_died_says_nothing(tmp_path: Path):
    with claimed(tmp_path, Point(), 3):
        (mark,) = tmp_path.rglob(f"*{MARK}")
    mark.write_text("1\n")
    assert running(tmp_path, Point()) == set()
