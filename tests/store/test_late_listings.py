"""File systems of clusters: whose listings are older than their files, and which know no locks."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any, NoReturn

import polars as pl
import pytest
from studies import sample_here, samples_digest, small, study_of

import rnnmc
from rnnmc.run.aggregate import aggregate
from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import jobs_missing, sample_all
from rnnmc.store.verify import verify

STUDY = study_of(small(replicates=20, points=[{"cell": ["tanh", "lstm"], "width": 2, "observables": ["vector"]}]))


class Listing:
    """What os.scandir gives, of these entries."""

    def __init__(self, entries: list[Any]):
        self.entries = iter(entries)

    def __iter__(self) -> Listing:
        return self

    def __next__(self) -> Any:
        return next(self.entries)

    def __enter__(self) -> Listing:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A folder in which no listing has a shard, and no file can be locked; what was asked in vain."""
    scandir, asked = os.scandir, list[str]()

    def listed(folder: Any = ".") -> Any:
        if not str(folder).startswith(str(tmp_path)):
            return scandir(folder)
        with scandir(folder) as entries:
            every = list(entries)
        there = [one for one in every if not one.name.endswith(".parquet") or one.name[0] not in "0123456789"]
        asked.extend(one.name for one in every[len(there) :])
        return Listing(there)

    def locked(*_: object) -> NoReturn:
        asked.append("lock")
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(os, "scandir", listed)
    monkeypatch.setattr(fcntl, "flock", locked)
    return asked


def test_listings_that_are_older_than_the_shards_and_no_locks_lose_nothing_and_compute_nothing_twice(
    tmp_path: Path, late: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    points = plan(STUDY, tmp_path)
    sample_all(tmp_path, points, STUDY.thresholds, None, "cpu")
    assert jobs_missing(tmp_path, points, STUDY.thresholds) == []
    aggregate(tmp_path, STUDY.thresholds, STUDY.interval)
    assert not verify(tmp_path).missing
    assert rnnmc.scan(tmp_path).select(pl.len()).collect().item() == 2 * 20 * 3
    assert rnnmc.scan(tmp_path, "vector").select(pl.len()).collect().item() > 0
    assert "lock" in late
    assert len(late) > 10
    found = samples_digest(tmp_path)
    monkeypatch.undo()
    assert sample_here(STUDY, tmp_path / "elsewhere") == found


def test_of_a_point_that_is_not_complete_only_what_is_listed_counts_as_there(tmp_path: Path, late: list[str]) -> None:
    points = plan(STUDY, tmp_path)
    every = jobs_missing(tmp_path, points, STUDY.thresholds)
    sample_all(tmp_path, points[:1], STUDY.thresholds, None, "cpu")
    (lost,) = tmp_path.glob(f"samples/*/{points[0].key}/_manifest.json")
    lost.unlink()
    assert late
    assert jobs_missing(tmp_path, points, STUDY.thresholds) == every
