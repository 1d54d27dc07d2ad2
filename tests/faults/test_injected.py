"""Many damages to the folder of a finished study: each is found by `verify`, and before anything is counted."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from studies import small, study_of

from rnnmc.common.errors import RunError, UsageError
from rnnmc.report.terminal import show
from rnnmc.run import fanout
from rnnmc.run.aggregate import aggregate
from rnnmc.run.look import count_again
from rnnmc.run.pipeline import plan
from rnnmc.run.repair import repair
from rnnmc.run.sampling import sample_all
from rnnmc.store.manifest import CHECKSUMS, MADE
from rnnmc.store.plan import cut_up
from rnnmc.store.proofs import SEAL, sha256
from rnnmc.store.shards import UNSIGNED
from rnnmc.store.verify import verify

STUDY = study_of(
    small(
        replicates=20,
        horizons=[1, 5],
        points=[
            {"cell": "tanh", "width": [1, 2], "observables": ["vector"]},
            {"cell": "relu", "width": 1, "replicates": {"half_width": 0.3, "max": 40}},
        ],
    )
)
KEYS = [planned.point.key for planned in STUDY.points]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("injected") / "small"
    points = plan(STUDY, folder)
    sample_all(folder, points, STUDY.thresholds, None, "cpu")
    aggregate(folder, STUDY.thresholds, STUDY.interval)
    return folder


def files_of(folder: Path) -> list[Path]:
    """All that a number rests on; not the logs, which say how a study was to run, and how it ran."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.parent.name != "logs")


def flipped(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def cut_off(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def emptied(path: Path, _: random.Random) -> None:
    path.write_bytes(b"")


def longer(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + rng.randbytes(3))


def another_digit(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    at = rng.choice([i for i, byte in enumerate(content) if chr(byte).isdigit()])
    content[at] = ord("0") + (content[at] - ord("0") + rng.randrange(1, 10)) % 10
    path.write_bytes(content)


def of_another(path: Path, rng: random.Random) -> None:
    """What another file of its kind holds."""
    top = next(parent for parent in path.parents if parent.name == "small")
    own = path.read_bytes()
    others = [one for one in files_of(top) if one.suffix in (path.suffix, ".json") and one.read_bytes() != own]
    path.write_bytes(rng.choice(others).read_bytes())


MANY = int(os.environ.get("RNNMC_DAMAGES", "250"))  # 1,000 took half a minute
DAMAGES: list[Callable[[Path, random.Random], None]] = [flipped, cut_off, emptied, longer, another_digit, of_another]


def is_found(folder: Path) -> bool:
    try:
        proof = verify(folder)
    except UsageError:
        return True
    return bool(proof.damaged or proof.missing or proof.unplanned)


@pytest.mark.slow
def test_every_damage_is_found_by_verify_and_what_would_be_counted_before_it_is(finished: Path) -> None:
    rng, files = random.Random(7), files_of(finished)
    assert {path.suffix for path in files} == {".parquet", ".csv", ".json", ".yaml"}
    assert not is_found(finished)
    missed, counted = [], []
    for number in range(MANY):
        path, damage = files[number % len(files)], rng.choice(DAMAGES)
        whole = path.read_bytes()
        damage(path, rng)
        if path.read_bytes() == whole:
            pytest.fail(f"{damage.__name__} did nothing to {path.name}")
        if not is_found(finished):
            missed.append((damage.__name__, path.name))
        if number % 40 == 0:
            try:
                show(finished)
                count_again(finished)
                counted.append((damage.__name__, path.name))
            except (RunError, UsageError):
                pass
        path.write_bytes(whole)
    assert not missed
    assert not counted
    assert not is_found(finished)


def signed(path: Path, **changes: object) -> None:
    """Rewrite a shard as one that says something else of itself, with a checksum that is right."""
    file = pq.ParquetFile(path)
    table, facts = file.read(), json.loads((file.metadata.metadata or {})[b"rnnmc"]) | changes
    if "column" in facts:
        table = table.append_column("more", pa.array([0] * table.num_rows))
    if "rows" in changes:
        table = table.slice(0, facts["rows"])
    if "moved" in facts:
        at = table.schema.get_field_index("log_spectral")
        moved = pa.array([value + 1.0 for value in table["log_spectral"].to_pylist()])
        table = table.set_column(at, table.schema.field(at), moved)
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"rnnmc": json.dumps(facts), "checksum": UNSIGNED.decode()})
    unsigned = path.read_bytes()
    path.write_bytes(unsigned.replace(UNSIGNED, sha256(unsigned).encode()))


ALTERED = {
    "other samples": {"moved": True},
    "a column more": {"column": True},
    "other digest": {"samples": "0" * 64},
    "no block": {"block": None},
    "another block": {"block": 1},
    "another point": {"key": KEYS[1]},
    "fewer replicates": {"replicates": 10},
    "no replicates": {"replicates": 0},
    "replicates of another kind": {"replicates": "20"},
    "fewer rows": {"rows": 20},
}


@pytest.mark.parametrize("what", ALTERED)
def test_a_shard_that_was_altered_and_signed_anew_is_found_and_computed_again(what, finished, tmp_path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "small"))
    before = verify(folder).digest
    path = folder / "samples" / "cell=tanh" / KEYS[0] / "000000.parquet"
    signed(path, **ALTERED[what])
    proof = verify(folder)
    assert proof.damaged or proof.missing
    with pytest.raises((RunError, UsageError)):
        count_again(folder)
    after = repair(folder, proof)
    assert not after.damaged
    assert not after.missing
    assert after.digest == before


def before_seals(path: Path) -> dict[str, Any]:
    """Make a manifest one of before there were seals; what it says."""
    said = {name: value for name, value in json.loads(path.read_text()).items() if name not in (SEAL, CHECKSUMS, MADE)}
    path.write_text(json.dumps(said))
    return said


def test_a_number_of_replicates_that_was_not_decided_by_the_samples_is_refused(finished, tmp_path) -> None:
    """Of a manifest of before there were seals."""
    folder = Path(shutil.copytree(finished, tmp_path / "small"))
    path = folder / "samples" / "cell=relu" / KEYS[2] / "_manifest.json"
    said = before_seals(path)
    count_again(folder)
    path.write_text(json.dumps(said | {"replicates": 1}))
    with pytest.raises(RunError, match=r"relu n=1 .*: 1 replicates are not .* enough to know P.vanish. .* to \+- 0.3"):
        count_again(folder)


def test_points_that_changed_places_are_found_and_planned_again_and_a_damaged_study_is_said(finished, tmp_path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "small"))
    path, whole = folder / "points.parquet", (folder / "points.parquet").read_bytes()
    table = pq.read_table(path)
    swapped = pa.concat_tables([table.select(["point"]).slice(1), table.select(["point"]).slice(0, 1)])
    pq.write_table(table.set_column(0, "point", swapped["point"]), path)
    proof = verify(folder)
    assert [error.path for error in proof.damaged] == [path]
    assert not repair(folder, proof).damaged
    assert path.read_bytes() == whole
    study = folder / "study.yaml"
    study.write_text(study.read_text().replace("seed: 7888", "seed: 7889"))
    with pytest.raises(RunError, match="nothing else says what the study is; run it again from its file"):
        repair(folder, verify(folder))


def test_a_folder_of_before_there_were_proofs_is_read_with_a_word_and_proved_by_the_next_run(
    finished, tmp_path, caplog
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "small"))
    study = folder / "study.yaml"
    text = study.read_text().partition("\n")[2]
    study.write_text(f"# The study as it ran, every default written out.\n{text}")
    (folder / "tables.json").unlink()
    for path in folder.rglob("_manifest.json"):
        before_seals(path)
    proof = verify(folder)
    assert (proof.damaged, proof.missing, proof.digest) == ([], [], verify(finished).digest)
    assert "is of an earlier release of rnnmc, so that nothing proves it or points.parquet" in caplog.text
    show(folder)
    plan(STUDY, folder)
    sample_all(folder, cut_up(STUDY), STUDY.thresholds, None, "cpu")
    count_again(folder)
    assert study.read_bytes() == (finished / "study.yaml").read_bytes()
    assert not (folder / "OUTDATED.txt").exists()


def test_what_is_repaired_by_other_numbers_is_decided_and_counted_anew(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a study was sampled on a GPU, and is repaired without one."""
    folder = Path(shutil.copytree(finished, tmp_path / "small"))
    before = pl.read_parquet(folder / "statistics.parquet")
    true = fanout.observe_block

    def otherwise(*asked: Any) -> dict[str, pa.Table]:
        found = true(*asked)
        place = found["samples"].schema.get_field_index("log_spectral")
        other = pc.subtract(found["samples"]["log_spectral"], 1.0)
        return found | {"samples": found["samples"].set_column(place, found["samples"].schema.field(place), other)}

    monkeypatch.setattr(fanout, "observe_block", otherwise)
    for path in folder.glob("samples/*/*/000000.parquet"):
        path.write_bytes(path.read_bytes()[:-1])
    proof = repair(folder, verify(folder))
    assert not proof.damaged
    assert not proof.missing
    after = pl.read_parquet(folder / "statistics.parquet")
    assert (before["q50"] - after["q50"]).fill_nan(0).max() == pytest.approx(1)
    assert not verify(folder).damaged


def test_shards_that_cannot_be_made_again_stay(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "small"))
    whole = {path: path.read_bytes() for path in folder.glob("samples/*/*/000000.parquet")}
    monkeypatch.setattr(fanout, "observe_block", lambda *_: (_ for _ in ()).throw(MemoryError("no room")))
    with pytest.raises(RunError, match=r"no room|memory"):
        repair(folder, replace(verify(folder), fewer=list(whole)))
    assert {path: path.read_bytes() for path in whole} == whole
    assert not list(folder.rglob(".*"))
