"""A data set to publish is whole, explains itself and can be read without rnnmc."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from hub import has_openssl, hub
from studies import ROOT, command, sample_here, small, study_of

import rnnmc
from rnnmc.cli import main
from rnnmc.common.errors import RunError, UsageError
from rnnmc.run import publish as dataset
from rnnmc.run.aggregate import aggregate, read_tables
from rnnmc.run.dictionary import meaning
from rnnmc.run.export import export
from rnnmc.run.publish import write_dataset
from rnnmc.run.readme import explain
from rnnmc.store.tables import DESIGN
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


MIXED = [
    {"cell": ["relu", "tanh"], "width": 2},
    {"cell": "lstm", "width": 2, "observables": "passage"},
]
SPLITTING = {"populations": 3, "particles": 100, "smallest": 0.1, "event": "vanish"}
RARE = [
    {"cell": "tanh", "width": 2, "horizons": [1, 20], "dtype": "float64"},
    {"cell": "tanh", "width": 2, "horizons": [10], "replicates": {"splitting": SPLITTING}},
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three studies: one with every table that there is, a small one, and one with a rare event."""
    top, found = tmp_path_factory.mktemp("results"), []
    every = {"points": EVERY, "claims": True, "oracles": True}
    for name, more in (("every", every), ("default", {"points": MIXED}), ("rare", {"points": RARE})):
        study = study_of(small(study=name, replicates=60, horizons=[1, 10, 100]) | more)
        folder = top / name
        sample_here(study, folder)
        aggregate(folder, Thresholds(), "wilson", name == "every", name == "every")
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


@pytest.fixture(scope="module")
def published(folders: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Size -> data set: a release with the samples of the two small studies, and an archive of all."""
    top = tmp_path_factory.mktemp("published")
    write_dataset(top / "release", folders, folders[1:])
    write_dataset(top / "archive", folders[1:], size="archive")
    return {path.name: path for path in top.iterdir()}


def plain(frame: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Rows in an order, whatever file they came from; words and numbers as their plain kinds."""
    words, numbers = pl.exclude(pl.Float32, pl.List), pl.col(pl.Float32).cast(pl.Float64)
    categorical = [name for name, kind in frame.schema.items() if kind in (pl.Categorical, pl.Enum)]
    return frame.select(words, numbers).with_columns(pl.col(categorical).cast(pl.String)).sort(keys)


KEYS = ["study", "point", "replicate", "horizon"]


@pytest.mark.slow
def test_samples_are_the_same_wherever_they_are_loaded_from(folders: list[Path], published: dict[str, Path]):
    assert not (published["release"] / "every" / "samples.parquet").exists()
    truth = pl.concat([rnnmc.load(folder).collect() for folder in folders[1:]], how="diagonal_relaxed")
    assert truth.columns[: len(DESIGN) + 2] == ["study", *DESIGN, "point"]
    for folder in folders[1:]:
        scanned = rnnmc.scan(folder).collect()
        loaded = truth.filter(study=folder.name)
        names = [name for name in loaded.columns if name in scanned.columns]
        assert set(scanned.columns) - set(names) == {"replicates"}
        assert loaded.height == scanned.height > 0
        rows = [plain(one.select(names), KEYS[1:]) for one in (loaded, scanned)]
        assert rows[0].equals(rows[1])
    archive = rnnmc.load(published["archive"]).collect()
    assert archive.columns == truth.columns
    assert plain(archive, KEYS).equals(plain(truth, KEYS))
    for source in (published["release"], f"file://{published['release']}"):
        release = rnnmc.load(source).collect()
        assert "log_tangent" not in release.columns
        assert plain(release, KEYS).equals(plain(truth.select(release.columns), KEYS))
    alone = rnnmc.load(str(published["release"] / "rare")).collect()
    assert alone["study"].unique().to_list() == ["rare"]
    assert alone.height == truth.filter(study="rare").height


@pytest.mark.slow
@pytest.mark.parametrize("what", ["statistics", "lifetime", "passage", "statistics-passage"])
def test_a_table_is_the_same_wherever_it_is_loaded_from(what: str, folders: list[Path], published: dict[str, Path]):
    here, there = (rnnmc.load(source, what).collect() for source in (folders[1], published["archive"] / "default"))
    keys = [name for name in (*KEYS, "measure", "event", "percent", "threshold") if name in here.columns]
    assert here.columns == there.columns
    assert here.columns[: len(DESIGN) + 2] == ["study", *DESIGN, "point"]
    assert {"seed", "dtype", "json"} <= set(here.columns)
    assert plain(here, keys).equals(plain(there, keys))
    assert here["cell"].null_count() == here["seed"].null_count() == 0


@pytest.mark.slow
def test_populations_of_a_rare_event_are_published_beside_the_samples(folders: list[Path], published: dict[str, Path]):
    for folder in published.values():
        found = pl.read_parquet(folder / "rare" / "populations.parquet")
        files = [
            path for path in (folders[2] / "samples").rglob("*.parquet") if "level" in pl.read_parquet_schema(path)
        ]
        truth = pl.concat(pl.read_parquet(path, hive_partitioning=False) for path in files)
        assert found["block"].n_unique() == 3
        assert plain(found, ["block", "score"]).equals(plain(truth.select(found.columns), ["block", "score"]))
        assert not (folder / "default" / "populations.parquet").exists()


@pytest.mark.slow
def test_log_norms_are_as_short_as_the_chain_was_and_in_encodings_that_all_readers_know(published: dict[str, Path]):
    kinds = {study: pq.read_schema(published["release"] / study / "samples.parquet") for study in ("default", "rare")}
    assert str(kinds["default"].field("log_rms").type) == "float"
    assert str(kinds["rare"].field("log_rms").type) == "double"
    for path in published["archive"].rglob("*.parquet"):
        metadata = pq.read_metadata(path)
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        used = {name for group in groups for i in range(group.num_columns) for name in group.column(i).encodings}
        assert used <= {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY"}, path


@pytest.mark.slow
def test_an_archive_has_the_tables_as_csv_and_what_proves_them(folders: list[Path], published: dict[str, Path]):
    said = json.loads((published["archive"] / "default" / "tables.json").read_text())["files"]
    for name, digest in said.items():
        assert hashlib.sha256((published["archive"] / "default" / name).read_bytes()).hexdigest() == digest
    assert {"statistics.csv", "statistics.parquet"} <= said.keys()


@pytest.mark.slow
@pytest.mark.parametrize("size", ["release", "archive"])
def test_every_description_names_the_files_as_they_are(size: str, published: dict[str, Path]):
    """Sizes, digests, columns and their kinds; what the forms' own validators say: make elsewhere."""
    top = published[size]
    parquet = {path.relative_to(top).as_posix(): path for path in top.rglob("*.parquet")}
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in parquet.items()}
    columns = {name: pq.read_schema(path).names for name, path in parquet.items()}
    head = yaml.safe_load((top / "README.md").read_text().split("---\n")[1])
    configs = {one["config_name"]: one for one in head["configs"]}
    assert sorted(one["data_files"] for one in configs.values()) == sorted(parquet)
    assert next(one["data_files"] for one in configs.values() if one.get("default")).endswith("/statistics.parquet")
    package = json.loads((top / "datapackage.json").read_text())
    told = {one["path"]: one for one in package["resources"]}
    assert {name: one["hash"] for name, one in told.items()} == {k: f"sha256:{v}" for k, v in digests.items()}
    assert {name: [one["name"] for one in two["schema"]["fields"]] for name, two in told.items()} == columns
    croissant = json.loads((top / "croissant.json").read_text())
    files = {one["contentUrl"]: one for one in croissant["distribution"]}
    assert {name: one["sha256"] for name, one in files.items()} == digests
    assert {name: int(one["contentSize"].split()[0]) for name, one in files.items()} == {
        name: path.stat().st_size for name, path in parquet.items()
    }
    fields = {one["field"][0]["source"]["fileObject"]["@id"]: one for one in croissant["recordSet"]}
    assert {name: [one["source"]["extract"]["column"] for one in two["field"]] for name, two in fields.items()} == (
        columns
    )
    assert set(configs) == {one["name"] for one in package["resources"]} == {one["@id"] for one in fields.values()}
    for name, path in parquet.items():
        kinds = {one["name"]: one["type"] for one in told[name]["schema"]["fields"]}
        for field in pq.read_schema(path):
            numeric = pl.read_parquet_schema(path)[field.name].is_numeric()
            assert (kinds[field.name] in ("integer", "number")) == numeric, (name, field)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["release", "archive"])
def test_the_crate_has_every_file_and_a_run_for_each_study(size: str, published: dict[str, Path]):
    top = published[size]
    graph = {one["@id"]: one for one in json.loads((top / "ro-crate-metadata.json").read_text())["@graph"]}
    parts = {one["@id"] for one in graph["./"]["hasPart"]}
    there = {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file()}
    telling = {"croissant.json", "datapackage.json", "ro-crate-metadata.json", "checksums.sha256"}
    assert parts == there - telling
    for name in parts - {"README.md"}:
        assert graph[name]["sha256"] == hashlib.sha256((top / name).read_bytes()).hexdigest()
        assert int(graph[name]["contentSize"]) == (top / name).stat().st_size
    referred = {
        one["@id"]
        for entity in graph.values()
        for value in entity.values()
        for one in (value if isinstance(value, list) else [value])
        if isinstance(one, dict)
    }
    outside = {"https://w3id.org/ro/crate/1.1", "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"}
    assert referred - graph.keys() == outside
    runs = [one for one in graph.values() if one["@type"] == "CreateAction"]
    studies = sorted(path.parent.name for path in top.glob("*/study.yaml"))
    assert sorted(one["object"]["@id"] for one in runs) == [f"{name}/study.yaml" for name in studies]
    for one in runs:
        assert one["startTime"] <= one["endTime"]
        assert one["instrument"]["@id"] == graph["./"]["mainEntity"]["@id"] == "Snakefile"
        assert "torch" in one["description"]


@pytest.mark.slow
@pytest.mark.process
def test_the_snakefile_of_a_data_set_plans_to_run_each_study_of_it(published: dict[str, Path]):
    (told,) = re.findall(r"`(snakemake [^`]+)`", (published["release"] / "README.md").read_text())
    done = command(*told.split(), "--dry-run", "-p", cwd=published["release"])  # where a study may be called default
    assert done.returncode == 0, done.stderr
    for study in ("every", "default", "rare"):
        assert f"rnnmc run {study}/study.yaml --results again" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("source", "what", "told"),
    [
        ("nowhere", "samples", "nowhere: there is no such folder; give a folder of results"),
        ("file:///nowhere", "samples", "file:///nowhere: has no points.parquet"),
    ],
)
def test_what_is_no_study_is_not_loaded(source: str, what: str, told: str):
    with pytest.raises(UsageError, match=re.escape(told)):
        rnnmc.load(source, what)


AT_THE_HUB = """
import rnnmc
for what in ("samples", "statistics"):
    there, here = (rnnmc.load(source, what).collect() for source in ("hf://datasets/me/set", "."))
    assert here.equals(there) and here.height > 0, what
one = rnnmc.load("hf://datasets/me/set/rare", "lifetime").collect()
assert one["study"].unique().to_list() == ["rare"]
for source in ("hf://datasets/me/set", "hf://datasets/me/other"):
    try:
        rnnmc.load(source, "spectrum")
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.process
def test_a_data_set_is_loaded_from_the_hub_as_from_its_folder(
    published: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if not has_openssl():
        pytest.skip("no openssl on this machine")
    with hub(published["release"], "me/set", tmp_path) as found:
        for name, value in found.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        done = command(sys.executable, "-c", AT_THE_HUB, cwd=published["release"])
    assert done.returncode == 0, done.stderr
    absent, unknown = done.stdout.splitlines()
    assert absent.startswith("UsageError hf://datasets/me/set: has no spectrum; give samples, ")
    assert unknown.startswith("RunError hf://datasets/me/other/**/points.parquet: cannot be read: ")


@pytest.mark.slow
def test_what_a_study_has_not_is_not_loaded(folders: list[Path], published: dict[str, Path]):
    for source in (folders[1], published["release"], f"file://{published['release']}"):
        with pytest.raises(UsageError, match=r"has no spectrum; give samples, an observable \(extremes, "):
            rnnmc.load(source, "spectrum")


@pytest.mark.slow
def test_the_snippets_of_the_readme_run(published: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(published["release"])
    text = Path("README.md").read_text()
    snippets = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    ours = [one for one in snippets if "from datasets import" not in one]  # that one is run by make elsewhere
    assert len(ours) == 3 == len(snippets) - 1
    for one in ours:
        exec(one, {})
    (query,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    assert duckdb.sql(query).fetchall()


@pytest.mark.slow
@pytest.mark.process  # h5py asks uname
def test_the_code_of_the_page_on_reading_elsewhere_runs(
    folders: list[Path], published: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "default").symlink_to(folders[1])
    (tmp_path / "results" / "dataset").symlink_to(published["release"])
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/elsewhere.md").read_text(encoding="utf-8")
    assert "rnnmc export results/default --what both " in page
    export(Path("results/default"), "netcdf", "both", Path("default.nc"))
    blocks = re.findall(r"```(python|sql)\n(.*?)```", page, re.DOTALL)
    ran = []
    for kind, code in blocks:
        if kind == "sql":
            ran.append(duckdb.sql(code))
        elif not re.search(r"(import|from) (datasets|pyspark|fastparquet)", code):  # those run in make elsewhere
            ran.append(exec(code, {}))
    assert len(ran) == len(blocks) - 3 > 6
    copied = pl.read_parquet("plain.parquet")
    assert copied.height == rnnmc.scan("results/default").collect().height


@pytest.mark.slow
def test_what_is_written_again_takes_the_place_of_what_was_there(folders: list[Path], tmp_path: Path):
    out = tmp_path / "dataset"
    write_dataset(out, folders, folders)
    write_dataset(out, folders[1:2], [])
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["default"]
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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--for", "zip"], "--for zip: is not a size of a data set; give release or archive"),
        (["--for", "archive", "--samples", "x"], "--samples: an archive has those of every study; leave it out, or"),
    ],
)
def test_a_size_that_there_is_not_is_refused(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["rnnmc", "dataset", "x", "--out", str(tmp_path / "out"), *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_no_study_and_nothing_else_gives_way_to_a_data_set(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    mine = Path(shutil.copytree(folders[1], tmp_path / "results" / "mine"))
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "draft.tex").write_text("years of work")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for target in (mine, tmp_path / "results", tmp_path, Path(), Path("..")):
        with pytest.raises(UsageError, match=r"holds the study .*mine, and would be written anew"):
            write_dataset(target, [mine])
    for target in (tmp_path / "papers", tmp_path / "papers" / "draft.tex"):
        with pytest.raises(UsageError, match="is there already and is no data set; give a new folder"):
            write_dataset(target, [mine])
    assert sorted(tmp_path.rglob("*")) == before


def test_a_table_that_an_earlier_form_of_the_study_had_is_no_table_of_it(folders: list[Path], tmp_path: Path):
    mine = Path(shutil.copytree(folders[1], tmp_path / "mine"))
    assert "verdicts" not in read_tables(mine)
    shutil.copy(folders[0] / "verdicts.parquet", mine)
    assert "verdicts" not in read_tables(mine)
    assert "verdicts" in read_tables(folders[0])


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
