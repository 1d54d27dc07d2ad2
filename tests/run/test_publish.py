"""A data set to publish is whole, explains itself and can be read without rnnmc."""

from __future__ import annotations

import csv
import re
import subprocess
from pathlib import Path

import duckdb
import polars as pl
import pytest
from studies import sample_here, small, study_of

from rnnmc.common.errors import RunError, UsageError
from rnnmc.run import publish as dataset
from rnnmc.run.aggregate import aggregate
from rnnmc.run.dictionary import meaning
from rnnmc.run.publish import write_dataset
from rnnmc.run.readme import explain
from rnnmc.study.study import Thresholds

EVERY = [
    {"cell": ["tanh", "relu"], "width": 2},
    {"cell": ["lstm", "gru"], "width": 3, "observables": ["paths", "terms", "extremes", "passage"]},
    {"cell": "tanh", "width": 4, "drive": "none", "observables": ["spectrum", "vector", "gradient"], "state_std": 1.0},
    {"cell": "tanh", "width": 3, "replicates": {"weights": 20, "drives": 3}},
    {"cell": "linear", "width": [8, 16, 32], "drive": "none", "weights": "untied", "init": {
        "recurrent": {"gaussian": 1}}},
    {"cell": "tanh", "width": 2, "drive": "field", "init": {
        "recurrent": {"gaussian": [1, 2, 3]}, "input": {"gaussian": [0.1, 0.3, 1]}}},
]  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two studies: one with every table that there is, and one as small as can be."""
    top, found = tmp_path_factory.mktemp("results"), []
    for name, more in (("every", {"points": EVERY, "claims": True, "oracles": True}), ("few", {})):
        study = study_of(small(study=name, replicates=60, horizons=[1, 10, 100]) | more)
        folder = top / name
        sample_here(study, folder)
        aggregate(folder, Thresholds(), "wilson", bool(more), bool(more))
        found.append(folder)
    return found


@pytest.mark.slow
@pytest.mark.process
def test_every_column_of_every_file_has_a_meaning_and_every_file_its_checksum(folders: list[Path], tmp_path: Path):
    out = tmp_path / "dataset"
    size = write_dataset(out, folders, folders[:1])
    assert size == sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    told = {(row["file"], row["column"]): row for row in csv.DictReader((out / "dictionary.csv").open())}
    files = list(out.rglob("*.parquet"))
    assert {path.stem for path in files} > {
        "claims",
        "verdicts",
        "oracles",
        "variance",
        "onset",
        "phase",
        "finite-width",
    }
    for path in files:
        for column in pl.read_parquet_schema(path):
            assert told[path.name, column]["meaning"]
    proof = subprocess.run(["sha256sum", "--check", "--quiet", "checksums.sha256"], cwd=out, capture_output=True)
    assert proof.returncode == 0
    assert len((out / "checksums.sha256").read_text().splitlines()) == sum(p.is_file() for p in out.rglob("*")) - 1


@pytest.mark.slow
def test_the_samples_are_those_of_the_study_in_one_file(folders: list[Path], tmp_path: Path):
    write_dataset(tmp_path / "dataset", folders, folders[1:])
    assert not (tmp_path / "dataset" / "every" / "samples.parquet").exists()
    found = pl.read_parquet(tmp_path / "dataset" / "few" / "samples.parquet")
    keys = ["point", "replicate", "horizon"]
    truth = pl.concat(
        pl.read_parquet(path, hive_partitioning=False).with_columns(pl.col("point", "status").cast(pl.String))
        for path in sorted((folders[1] / "samples").rglob("*.parquet"))
    )
    assert found.columns == [*keys, "log_spectral", "log_rms", "status"]
    assert found.sort(keys).equals(truth.select(found.columns).sort(keys))


@pytest.mark.slow
def test_the_snippets_of_the_readme_run(folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out = tmp_path / "dataset"
    write_dataset(out, folders, folders[1:])
    monkeypatch.chdir(out)
    text = (out / "README.md").read_text()
    snippets = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    assert len(snippets) == 2
    exec(snippets[0], {})  # the other is for pandas, which rnnmc does not need


@pytest.mark.slow
def test_what_is_written_again_takes_the_place_of_what_was_there(folders: list[Path], tmp_path: Path):
    out = tmp_path / "dataset"
    write_dataset(out, folders, folders)
    write_dataset(out, folders[1:], [])
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["few"]
    assert not [path for path in tmp_path.iterdir() if path != out]


@pytest.mark.slow
def test_too_much_for_a_release_is_refused_and_leaves_what_was_there(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "dataset"
    write_dataset(out, folders[1:], [])
    before = (out / "checksums.sha256").read_text()
    monkeypatch.setattr(dataset, "LARGEST", 1000)
    with pytest.raises(RunError, match="give fewer --samples"):
        write_dataset(out, folders, folders)
    assert (out / "checksums.sha256").read_text() == before


@pytest.mark.slow
def test_what_is_no_study_is_named(folders: list[Path], tmp_path: Path):
    with pytest.raises(UsageError, match="has no statistics"):
        write_dataset(tmp_path / "dataset", [tmp_path], [])


def test_a_column_that_nobody_has_explained_is_not_published():
    with pytest.raises(KeyError, match="unheard_of"):
        meaning("unheard_of")


@pytest.mark.slow
def test_a_folder_says_what_every_column_means_and_its_examples_run(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    folder = folders[0]
    explain(folder)
    told = {(row["file"], row["column"]): row["meaning"] for row in csv.DictReader((folder / "dictionary.csv").open())}
    for path in folder.glob("*.parquet"):
        for column in pl.read_parquet_schema(path):
            assert told[path.stem, column]
    assert {"samples/**/*.parquet", "observables/paths/**/*.parquet"} <= {file for file, _ in told}
    assert not [place for place, words in told.items() if "one's own" in words]
    page = (folder / "README.md").read_text()
    for path in (*folder.glob("*.csv"), *folder.glob("*.parquet"), *(folder / "observables").iterdir()):
        assert path.name in page, path
    monkeypatch.chdir(folder)
    code = dict(re.findall(r"```(python|sql)\n(.*?)```", page, re.DOTALL)[:2])
    exec(code["python"], {})
    assert "p_vanish_at" in capsys.readouterr().out
    assert len(duckdb.sql(code["sql"]).fetchall()) == pl.read_parquet("statistics.parquet").height // 2
