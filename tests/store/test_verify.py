"""What `verify` takes at the word of a manifest is proved to the last bit all the same."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from studies import first_shard, sample_here, small, study_of

from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import jobs_missing, sample, sample_all
from rnnmc.store import verify as verifying
from rnnmc.store.folder import shard_path
from rnnmc.store.manifest import MADE, write_manifest
from rnnmc.store.plan import cut_up
from rnnmc.store.proofs import SEAL, read_sealed, write_sealed
from rnnmc.store.verify import verify

STUDY = study_of(small(points=[{"cell": "tanh", "width": [2, 64]}], replicates=1100))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole")
    sample_all(directory, plan(STUDY, directory), STUDY.thresholds, None, "cpu")
    return directory


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "study"))


def test_by_its_manifest_a_study_has_the_digest_that_its_shards_give_one_by_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    one_by_one = verifying.read_shard
    monkeypatch.setattr(verifying, "read_shard", lambda path, *more: read.append(path) or one_by_one(path, *more))
    quick = verify(folder)
    assert not read
    assert quick.read == 2
    assert quick.digest == sample_here(STUDY, tmp_path / "without")  # which leaves no manifest
    assert (quick.damaged, quick.missing, quick.unplanned) == ([], [], [])


def test_a_flip_of_any_one_bit_is_found_although_the_manifest_names_the_file(folder: Path) -> None:
    rng = random.Random(0)
    for path in sorted(folder.rglob("samples/**/*.parquet")):
        content = path.read_bytes()
        for place in (0, len(content) - 1, *(rng.randrange(len(content)) for _ in range(40))):
            altered = bytearray(content)
            altered[place] ^= 1 << rng.randrange(8)
            path.write_bytes(altered)
            assert [error.path for error in verify(folder).damaged] == [path], place
        path.write_bytes(content)
    assert not verify(folder).damaged


def test_a_shard_of_another_place_is_found_although_its_manifest_names_it(folder: Path) -> None:
    points = cut_up(STUDY)
    ours = first_shard(folder, STUDY)
    shutil.copy(shard_path(folder, points[1].design, 0), ours)
    write_manifest(folder, points[0], STUDY.thresholds)
    assert ours in [error.path for error in verify(folder).damaged]


def test_a_manifest_without_the_tally_of_how_its_shards_were_made_is_no_shortcut_and_no_traceback(folder: Path) -> None:
    before = verify(folder).digest
    for path in folder.rglob("_manifest.json"):
        said = read_sealed(path)
        write_sealed(path, {key: value for key, value in said.items() if key not in (SEAL, MADE)})
    assert verify(folder).digest == before


def test_of_a_shard_that_holds_more_the_first_replicates_are_digested(folder: Path, tmp_path: Path) -> None:
    fewer = study_of(small(points=[{"cell": "tanh", "width": [2, 64]}], replicates=300))
    sample_all(folder, plan(fewer, folder), fewer.thresholds, None, "cpu")
    assert verify(folder).digest == sample_here(fewer, tmp_path / "fewer")


def test_a_study_that_grew_was_stopped_and_shrank_again_is_whole(tmp_path: Path) -> None:
    small_one, larger = (study_of(small(points=[{"cell": "tanh", "width": 2}], replicates=n)) for n in (20, 30))
    sample_all(tmp_path, plan(small_one, tmp_path), small_one.thresholds, None, "cpu")
    digest = verify(tmp_path).digest
    sample(tmp_path, jobs_missing(tmp_path, plan(larger, tmp_path)), None, "cpu")  # and no manifest any more
    points = plan(small_one, tmp_path)
    assert jobs_missing(tmp_path, points) == []
    assert (verify(tmp_path).damaged, verify(tmp_path).digest) == ([], digest)
