"""Shards by name and by content: what is said of them without reading, and that a digest is of numbers alone."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import polars.selectors as selectors
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from studies import sample_here, shard_files, small, study_of

from rnnmc.engine.block import run_block
from rnnmc.run.aggregate import aggregate
from rnnmc.run.pipeline import plan
from rnnmc.run.planning import status
from rnnmc.run.sampling import jobs_missing, sample_all
from rnnmc.store.folder import manifest_path, shard_path
from rnnmc.store.manifest import CHECKSUMS, MADE, is_complete, manifest
from rnnmc.store.plan import cut_up
from rnnmc.store.proofs import SEAL, Damaged, write_sealed
from rnnmc.store.reading import scan
from rnnmc.store.shards import (
    BEFORE_ERRORS,
    BEFORE_TANGENT,
    DamagedShard,
    lacking_files,
    read_shard,
    samples_digest,
    write_shard,
)
from rnnmc.store.stored_point import StoredPoint
from rnnmc.store.verify import verify
from rnnmc.study.study import Thresholds

STUDY = study_of(small(points=[{"cell": "relu", "width": [1, 2]}]))
POINT = STUDY.points[0].point


def test_a_digest_is_of_the_numbers_and_not_of_how_they_lie_in_memory_or_in_a_file(tmp_path: Path) -> None:
    whole, few = run_block(POINT, 0, 300), run_block(POINT, 0, 100)
    path = write_shard(tmp_path, POINT, 0, whole, {})
    shard = read_shard(path, POINT.key)
    assert shard.digest(300) == shard.digest(10**6) == shard.facts["samples"] == samples_digest(whole)
    assert samples_digest(shard.table) == samples_digest(whole)
    assert shard.digest(100) == samples_digest(few) != samples_digest(whole)
    pieces = pa.concat_tables([whole.slice(0, 7), whole.slice(7)])
    assert samples_digest(pieces) == samples_digest(whole)
    other = whole.take([1, 0, *range(2, whole.num_rows)])
    assert samples_digest(other) != samples_digest(whole)


def test_a_study_of_fewer_replicates_has_the_digest_of_these_however_many_lie_there(tmp_path: Path) -> None:
    few = study_of(small(points=[{"cell": "relu", "width": [1, 2]}], replicates=100))
    digest = sample_here(few, tmp_path / "few")
    sample_here(STUDY, tmp_path / "many")
    plan(few, tmp_path / "many")
    assert verify(tmp_path / "many").digest == digest


def test_proving_what_is_there_before_a_run_decodes_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(STUDY, tmp_path)
    sample_all(tmp_path, cut_up(STUDY), Thresholds(), None, "cpu")
    monkeypatch.setattr(pq.ParquetFile, "read", lambda *_, **__: pytest.fail("decoded"))
    assert not jobs_missing(tmp_path, cut_up(STUDY))
    for path in tmp_path.rglob("_manifest.json"):
        path.unlink()
    assert not jobs_missing(tmp_path, cut_up(STUDY))


def test_status_asks_for_no_shard_by_its_name_that_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(STUDY, tmp_path)
    sample_all(tmp_path, cut_up(STUDY), Thresholds(), None, "cpu")
    lost = shard_path(tmp_path, POINT, 0)
    lost.unlink()
    stat, asked = Path.stat, set[Path]()
    monkeypatch.setattr(Path, "stat", lambda path, **how: asked.add(path) or stat(path, **how))
    rows = status(tmp_path)["points"]
    assert {path for path in asked if path.suffix == ".parquet"} == {lost}
    assert [(row["done"], row["missing"]) for row in rows] == [(0, 1), (1, 0)]


def test_a_point_is_complete_while_its_manifest_says_what_is_promised_and_its_shards_are_there(tmp_path: Path) -> None:
    plan(STUDY, tmp_path)
    stored, thresholds = StoredPoint.of(STUDY.points[0]), Thresholds()
    assert not is_complete(tmp_path, stored, thresholds)
    sample_all(tmp_path, cut_up(STUDY), thresholds, None, "cpu")
    assert is_complete(tmp_path, stored, thresholds)
    assert is_complete(tmp_path, stored, Thresholds(vanish=0.1)), "thresholds decide nothing without a half-width"
    more = StoredPoint.of(study_of(small(points=[{"cell": "relu", "width": 1}], replicates=301)).points[0])
    assert not is_complete(tmp_path, more, thresholds)
    path = manifest_path(tmp_path, stored)
    said = path.read_text()
    whole = manifest(tmp_path, stored)
    path.write_text(said.replace('"replicates": 300', '"replicates": 1', 1))
    assert path.read_text() != said
    for text in ("", "{}", "[]", "[" * 10**5, json.dumps(whole | {"wanted": None}), path.read_text()):
        path.write_text(text)
        with pytest.raises(Damaged, match=r"_manifest\.json"):
            is_complete(tmp_path, stored, thresholds)
    before_seals = {name: value for name, value in whole.items() if name not in (SEAL, CHECKSUMS, MADE)}
    for changes, known in (({}, True), ({"wanted": None}, False)):
        path.write_text(json.dumps(before_seals | changes))
        assert is_complete(tmp_path, stored, thresholds) == known
    for wrong in (
        {"replicates": 0},
        {"replicates": 301},
        {"replicates": "300"},
        {"point": "another"},
        {"shaX56": ""},
        {"samples": []},
    ):
        path.write_text(json.dumps(before_seals | wrong))
        with pytest.raises(Damaged, match="is not what it was"):
            is_complete(tmp_path, stored, thresholds)
    for name, other in (
        (MADE, [whole[MADE]]),
        (MADE, {"routes": {"a": "b"}}),
        (MADE, {"routes": {}}),
        (CHECKSUMS, {"samples": 3}),
        (CHECKSUMS, {"samples": {"0": [929]}}),
        ("samples", {"0": -23067}),
    ):
        write_sealed(path, {key: value for key, value in whole.items() if key != SEAL} | {name: other})
        with pytest.raises(Damaged, match="is not what it was"):
            is_complete(tmp_path, stored, thresholds)
    path.write_text(said)
    shard_path(tmp_path, POINT, 0).unlink()
    assert lacking_files(tmp_path, stored) == [0]
    assert not is_complete(tmp_path, stored, thresholds)


def test_a_shard_that_was_damaged_after_its_point_was_complete_is_found_before_anything_else(tmp_path: Path) -> None:
    plan(STUDY, tmp_path)
    sample_all(tmp_path, cut_up(STUDY), Thresholds(), None, "cpu")
    path = next(iter(shard_files(tmp_path)))
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedShard, match=path.name):
        jobs_missing(tmp_path, cut_up(STUDY))
    with pytest.raises(DamagedShard, match=path.name):
        aggregate(tmp_path, Thresholds(), "wilson")


def in_order(samples: pl.LazyFrame) -> pl.DataFrame:
    return samples.sort("point", "block", "replicate", "horizon").collect()


@pytest.mark.parametrize("once", [BEFORE_ERRORS, BEFORE_TANGENT])
@pytest.mark.parametrize("which", [0, 1])
def test_shards_of_before_there_were_more_columns_are_as_good_but_for_these(tmp_path: Path, once, which) -> None:
    sample_here(STUDY, tmp_path)
    before, samples = aggregate(tmp_path, Thresholds(), "wilson"), in_order(scan(tmp_path))
    point = STUDY.points[which].point
    path = shard_path(tmp_path, point, 0)
    table = read_shard(path, point.key).table.select(once.names)
    path.unlink()
    write_shard(tmp_path, point, 0, table, {})
    after = aggregate(tmp_path, Thresholds(), "wilson")
    of_growth = selectors.contains("growth")
    assert after.drop(of_growth).equals(before.drop(of_growth))
    ours = pl.col("point") == point.key
    lacks = after.filter(ours)
    assert lacks["growth_by"].unique().to_list() == ["norm"]
    assert lacks["growth_rate"].equals(before.filter(ours)["norm_growth_rate"])
    assert after.filter(~ours).equals(before.filter(~ours))
    again = in_order(scan(tmp_path))
    assert again.drop("log_tangent").equals(samples.drop("log_tangent"))
    assert again.filter(ours)["log_tangent"].null_count() == table.num_rows
