"""Who computes which block is seen for as long as they do, however many try the same one."""

import os
from pathlib import Path

from rnnmc.store.folder import point_folder
from rnnmc.store.marks import MARK, claimed, remove_parts, running


class Point:
    """What a folder asks of a design point."""

    key, cell, width = "0123456789ab", "tanh", 2


def test_a_block_is_seen_until_the_last_attempt_at_it_has_ended(tmp_path: Path):
    with claimed(tmp_path, Point(), 3):
        with claimed(tmp_path, Point(), 3), claimed(tmp_path, Point(), 5):
            assert running(tmp_path, Point()) == {3, 5}
        assert running(tmp_path, Point()) == {3}
    assert running(tmp_path, Point()) == set()
    assert not list(tmp_path.rglob(f"*{MARK}*"))


def test_marks_and_parts_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path):
    folder = point_folder(tmp_path, Point())
    with claimed(tmp_path, Point(), 3):
        (mark,) = folder.glob(f"*{MARK}")
        dead, lost, written = (
            folder / name for name in (f"4.0{MARK}", ".000004.parquet.0.part", ".000003.parquet.0.part")
        )
        for path in (dead, lost, written):
            path.write_text("1\n")
            os.utime(path, (0, 0))
        remove_parts(tmp_path, Point(), [None])
        assert [path.exists() for path in (mark, written, dead, lost)] == [True, True, False, False]
