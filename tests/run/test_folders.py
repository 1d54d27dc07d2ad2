"""Folders of one study are joined with proof, and what no statistic counts is told of before it goes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from studies import sample_here, small, study_of

from rnnmc.cells import cell
from rnnmc.common.errors import RunError, UsageError
from rnnmc.engine import block, choice
from rnnmc.run import forecast
from rnnmc.run.clean import remove, uncounted
from rnnmc.run.forecast import costs
from rnnmc.run.merge import merge
from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import sample_all
from rnnmc.store.folder import shard_path
from rnnmc.store.manifest import is_complete, manifest
from rnnmc.store.marks import claimed
from rnnmc.store.plan import cut_up
from rnnmc.store.verify import verify
from rnnmc.study.study import Study

ENTRY = {"cell": ["tanh", "relu"], "width": 2, "observables": ["vector"]}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "LARGEST_TILE", 8)
    monkeypatch.setattr(block, "LARGEST_BLOCK", 8)


def study(**changes: object) -> Study:
    return study_of(small(**({"points": [ENTRY], "replicates": 24} | changes)))


def test_two_halves_of_a_study_are_the_whole_and_more_replicates_win(tmp_path: Path) -> None:
    whole, a, b = tmp_path / "whole", tmp_path / "a", tmp_path / "b"
    digest = sample_here(study(), whole)
    shutil.copytree(whole, a)
    sample_here(study(replicates=12), b)  # a half block, which `a` has whole
    for path in a.rglob("000000.parquet"):
        if "cell=tanh" in str(path):
            path.unlink()
    (point,) = (one.point for one in study().points if one.point.cell == "tanh")
    taken, proof = merge([a, b], tmp_path / "c")
    assert taken == [10, 2], "samples and an observable of block 0, which `b` alone has"
    assert (proof.digest, proof.missing, proof.damaged) == (digest, [], [])
    assert shard_path(tmp_path / "c", point, 0).read_bytes() == shard_path(b, point, 0).read_bytes()
    with pytest.raises(UsageError, match="is there already; give a new folder"):
        merge([a, b], tmp_path / "c")


def test_of_a_study_with_a_goal_the_rule_is_applied_to_what_was_joined(tmp_path: Path) -> None:
    goal = study(points=[{"cell": "tanh", "width": 2, "replicates": {"half_width": 0.3, "max": 40}}])
    points = plan(goal, tmp_path / "a")
    sample_all(tmp_path / "a", points, goal.thresholds, None, "cpu")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    shard_path(tmp_path / "a", points[0], 0).unlink()
    _, proof = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert not proof.damaged
    assert manifest(tmp_path / "c", points[0])["replicates"] == manifest(tmp_path / "b", points[0])["replicates"]
    assert is_complete(tmp_path / "c", points[0], goal.thresholds)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"seed": 1}, r"seed: .*a has 7888, .*b has 1; give folders of one study"),
        ({"study": "other"}, r"study: .*a has small, .*b has other; give folders of one study"),
        ({"points": [{"cell": "tanh", "width": 2}]}, "1 design points are not those of"),
        (
            {"points": [ENTRY | {"observables": []}]},
            r"asks of a design point for .*; run each with the same observables",
        ),
        (
            {"points": [ENTRY | {"replicates": {"half_width": 0.3, "max": 24}}]},
            r"half_width.*, goals and thresholds first",
        ),
    ],
)
def test_folders_of_several_studies_are_not_joined(changes, problem, tmp_path: Path) -> None:
    plan(study(), tmp_path / "a")
    plan(study(**changes), tmp_path / "b")
    with pytest.raises(UsageError, match=problem):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_what_cannot_be_merged_leaves_nothing_and_is_merged_when_it_can_be(tmp_path: Path, monkeypatch) -> None:
    sample_here(study(), tmp_path / "a")
    digest = sample_here(study(), tmp_path / "b")
    monkeypatch.setattr("rnnmc.run.merge.write_manifest", lambda *_: (_ for _ in ()).throw(RunError("of two routes")))
    with pytest.raises(RunError, match="of two routes"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    monkeypatch.undo()
    assert merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")[1].digest == digest


def test_a_damaged_folder_is_not_merged(tmp_path: Path) -> None:
    sample_here(study(), tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    path = next((tmp_path / "b").rglob("000001.parquet"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"000001\.parquet.*so that nothing was merged"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_what_no_statistic_counts_is_found_and_the_rest_stays(tmp_path: Path) -> None:
    sample_here(study(), tmp_path)
    assert uncounted(tmp_path) == []
    fewer = study(points=[{"cell": "tanh", "width": 2}], replicates=16)
    plan(fewer, tmp_path)
    digest = verify(tmp_path).digest
    (tmp_path / ".statistics.csv.0.part").touch()
    (stored,) = cut_up(fewer)
    mark = shard_path(tmp_path, stored, 1).with_suffix(".running")
    mark.touch()
    found = uncounted(tmp_path)
    assert {path.relative_to(tmp_path).parts[0] for path in found} == {
        "samples",
        "observables",
        ".statistics.csv.0.part",
    }
    assert len(found) == 3 + 6 + 1 + 2  # all of relu, the observable of tanh, a third block, and the two above
    assert remove(tmp_path, found) > 0
    assert uncounted(tmp_path) == []
    assert (verify(tmp_path).digest, verify(tmp_path).missing) == (digest, [])
    assert not (tmp_path / "observables").exists()


def test_nothing_is_cleaned_while_a_block_is_computed(tmp_path: Path) -> None:
    plan(study(), tmp_path)
    with claimed(tmp_path, study().points[0].point, 0), pytest.raises(RunError, match="is being computed; clean when"):
        uncounted(tmp_path)


@pytest.mark.parametrize("name", ["os:x/../../y", "os/../x:y", "os:", ":x", "os:a.b"])
def test_a_cell_whose_name_would_lead_out_of_the_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not module:attribute; give the two as Python writes them"):
        cell(name)


def test_a_plan_tries_nothing_that_takes_long_or_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "_trial", lambda *_: pytest.fail("tried"))
    large = [{"cell": "tanh", "width": 100_000}, {"cell": "lstm", "width": 3000, "observables": ["gradient"]}]
    every = costs(cut_up(study_of(small(points=large, horizons=[1000]))))
    assert [one.tried for one in every] == [False, False]
    assert all(one.seconds > 100 for one in every)


def test_what_a_killed_process_was_writing_goes_when_its_point_is_complete(tmp_path: Path) -> None:
    """But neither what a living one is writing, nor of a block that one has claimed."""
    small_one = study()
    sample_here(small_one, tmp_path)
    points = cut_up(small_one)
    folder = shard_path(tmp_path, points[0], 0).parent
    left, new, theirs, strange = (folder / name for name in (
        ".000000.parquet.abc.part", ".000002.parquet.abc.part", ".000003.parquet.abc.part", ".notes.part",
    ))  # fmt: skip
    for path in (left, new, theirs, strange):
        path.touch()
    for path in (left, theirs, strange):
        os.utime(path, (0, 0))
    with claimed(tmp_path, points[0], 3):
        sample_all(tmp_path, points, small_one.thresholds, None, "cpu")
    assert [path.exists() for path in (left, new, theirs, strange)] == [False, True, True, True]
