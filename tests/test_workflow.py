"""The workflow through a real Snakemake: what it leaves, and what it does not do again."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
import yaml
from studies import ROOT, command, samples_digest, shard_files, small, snakemake, study_of, write

import rnnmc
from rnnmc.run.fanout import expected_seconds
from rnnmc.store.plan import cut_up
from rnnmc.workflow import CHUNK_SECONDS, MOST_OF_A_CHUNK, Run, chunks


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the small study has run to its end."""
    folder = tmp_path_factory.mktemp("workplace")
    run = command("rnnmc", "study", write(folder, small()), "--jobs", "2", cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "results/small/report.html" in run.stdout
    assert "P(vanish)" in run.stdout
    told = run.stderr.splitlines()
    assert told[0] == "small: 4 design points, 4 to sample, on 2 cores"
    assert told[-1].startswith("small: 4 points, 1,200 replicates; ")
    assert not any("Snakemake" in line or "localrule" in line for line in told)
    assert "localrule sample" in (folder / "results/small/logs/workflow.log").read_text()
    return folder


@pytest.mark.slow
@pytest.mark.process
def test_a_study_leaves_what_the_contract_says(workplace: Path) -> None:
    results = workplace / "results" / "small"
    said = ("README.md", "dictionary.csv", "points.csv")
    for name in ("study.yaml", "points.parquet", "statistics.parquet", "statistics.csv", "report.html", *said):
        assert (results / name).stat().st_size > 0
    assert {path.suffix for path in (results / "figures").iterdir()} >= {".svg", ".png"}
    points = pl.read_parquet(results / "points.parquet")
    for row in points.iter_rows(named=True):
        assert (results / "samples" / f"cell={row['cell']}" / row["point"] / "000000.parquet").exists()
    samples = rnnmc.scan(results).collect()
    assert samples.height == 4 * 300 * 3
    assert set(samples.columns) >= {
        "point",
        "block",
        "replicate",
        "horizon",
        "log_spectral",
        "log_rms",
        "status",
        "cell",
    }
    statistics = pl.read_parquet(results / "statistics.parquet")
    assert statistics.height == 4 * 3 * 2
    assert statistics.columns[:6] == ["cell", "width", "init", "drive", "m", "weights"]
    assert pl.read_csv(results / "statistics.csv").height == statistics.height
    assert len(list((results / "chunks").iterdir())) == 1, "points of a moment share a job"
    assert len(list(results.glob("samples/*/*/_manifest.json"))) == 4
    assert not list(results.rglob("*.part"))
    assert not list(results.rglob("*.running"))


def test_small_points_share_a_job_and_a_large_one_has_its_own() -> None:
    gains = [0.5 + i / 2000 for i in range(2000)]
    small_ones = {"cell": "tanh", "width": 2, "init": {"recurrent": {"gaussian": gains}}}
    large = {"cell": "lstm", "width": [64, 128], "replicates": 10**6}
    points = cut_up(study_of(small(points=[large, small_ones])))
    together = list(chunks(points))
    assert [stored for chunk in together for stored in chunk] == points
    assert [len(chunk) for chunk in together[:2]] == [1, 1]
    assert max(len(chunk) for chunk in together) <= MOST_OF_A_CHUNK
    seconds = [sum(expected_seconds(one, one.replicates) for one in chunk) for chunk in together]
    assert all(
        total >= CHUNK_SECONDS or len(chunk) == MOST_OF_A_CHUNK
        for total, chunk in zip(seconds[:-1], together[:-1], strict=True)
    )
    assert len(together) < 20


@pytest.mark.slow
@pytest.mark.process
def test_a_study_is_planned_and_its_samples_are_counted_and_drawn_without_what_takes_long_to_import() -> None:
    code = (
        "import sys, rnnmc.workflow, rnnmc.run.aggregate, rnnmc.report.page\n"
        "from rnnmc.store.plan import cut_up\n"
        "assert cut_up(rnnmc.load_study('config/smoke.yaml'))\n"
        "print({'torch', 'ray', 'scipy.stats', 'pandas'} & set(sys.modules))"
    )
    assert command("python", "-c", code, cwd=ROOT).stdout.strip() == "set()"


@pytest.mark.slow
@pytest.mark.process
def test_the_study_as_it_ran_gives_the_same_design_points_again(workplace: Path) -> None:
    left = rnnmc.load_study(workplace / "results" / "small" / "study.yaml")
    assert [planned.point.key for planned in left.points] == [planned.point.key for planned in study_of(small()).points]


@pytest.mark.slow
@pytest.mark.process
def test_a_second_run_has_nothing_to_do(workplace: Path) -> None:
    before = shard_files(workplace / "results" / "small")
    run = command(*snakemake(workplace / "small.yaml"), cwd=workplace)
    assert run.returncode == 0, run.stderr
    assert "Nothing to be done" in run.stdout + run.stderr
    assert shard_files(workplace / "results" / "small") == before


@pytest.mark.slow
@pytest.mark.process
def test_the_same_study_without_snakemake_gives_the_same_samples_and_statistics(
    workplace: Path, tmp_path: Path
) -> None:
    run = command("rnnmc", "run", workplace / "small.yaml", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    ours, theirs = tmp_path / "results" / "small", workplace / "results" / "small"
    assert samples_digest(ours) == samples_digest(theirs)
    assert (ours / "statistics.csv").read_bytes() == (theirs / "statistics.csv").read_bytes()
    assert (ours / "study.yaml").read_bytes() == (theirs / "study.yaml").read_bytes()


@pytest.mark.slow
@pytest.mark.process
def test_other_thresholds_and_more_points_and_replicates_reuse_what_is_there(workplace: Path) -> None:
    results = workplace / "results" / "small"
    before, statistics = shard_files(results), (results / "statistics.csv").read_bytes()
    more = small(thresholds={"vanish": 1e-2, "explode": 1e2}, replicates=300)
    more["points"] = [*more["points"], {"cell": "relu", "width": 2, "replicates": 50}]
    run = command(*snakemake(write(workplace, more)), cwd=workplace)
    assert run.returncode == 0, run.stderr
    after = shard_files(results)
    assert len(after) == len(before) + 1
    assert {path: after[path] for path in before} == before
    assert (results / "statistics.csv").read_bytes() != statistics
    assert set(pl.read_parquet(results / "statistics.parquet")["threshold_vanish"]) == {1e-2}


@pytest.mark.slow
@pytest.mark.process
def test_a_look_at_other_thresholds_changes_nothing_of_the_study_and_no_run_makes_it_the_studys_own(
    workplace: Path,
) -> None:
    results, study_file = workplace / "results" / "small", write(workplace, small())
    assert command(*snakemake(study_file), cwd=workplace).returncode == 0
    ours = ("statistics.parquet", "statistics.csv", "report.html", "study.yaml")
    before, tables = shard_files(results), {name: (results / name).read_bytes() for name in ours}
    look = command("rnnmc", "statistics", results, "--vanish", "1e-1", "--interval", "clopper-pearson", cwd=workplace)
    assert look.returncode == 0, look.stderr
    assert look.stdout.strip().endswith("small/what-if/vanish-0.1-explode-1000-clopper-pearson/statistics.parquet")
    seen = pl.read_parquet(workplace / look.stdout.strip())
    assert set(seen["threshold_vanish"]) == {0.1}
    assert set(seen["interval"]) == {"clopper-pearson"}
    again = command(*snakemake(study_file), cwd=workplace)
    assert again.returncode == 0, again.stderr
    assert "Nothing to be done" in again.stderr
    assert {name: (results / name).read_bytes() for name in ours} == tables
    assert shard_files(results) == before


@pytest.mark.slow
@pytest.mark.process
def test_a_shard_that_was_lost_is_filled_in_by_the_next_run(workplace: Path) -> None:
    results = workplace / "results" / "small"
    path, before = next(iter(shard_files(results))), samples_digest(results)
    path.unlink()
    run = command(*snakemake(write(workplace, small())), cwd=workplace)
    assert run.returncode == 0, run.stderr
    assert path.exists()
    assert samples_digest(results) == before


@pytest.mark.slow
@pytest.mark.process
def test_a_ray_address_where_nobody_answers_is_told_at_once(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = command(
        "rnnmc", "run", workplace / "small.yaml", "--address", "127.0.0.1:1", "--results", "other", cwd=workplace
    )
    assert run.returncode == 2
    assert "no Ray answers there" in run.stderr


@pytest.mark.slow
@pytest.mark.process
def test_a_dry_run_writes_nothing_and_lint_is_clean(tmp_path: Path) -> None:
    study_file = write(tmp_path, small())
    run = command(*snakemake(study_file, "--dry-run"), cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    by_the_catalogue = ["snakemake", "-s", ROOT / "workflow/Snakefile", "--configfile", study_file, "--dry-run"]
    again = command(*by_the_catalogue, cwd=tmp_path)
    jobs = re.compile(r"^(plan|sample|aggregate|report) +(\d+)$", re.MULTILINE)
    assert jobs.findall(again.stdout + again.stderr) == jobs.findall(run.stdout + run.stderr) != []
    assert not (tmp_path / "results").exists()
    lint = command(*snakemake(study_file, "--lint"), cwd=ROOT)
    assert lint.returncode == 0, lint.stdout + lint.stderr
    assert "good condition" in lint.stdout + lint.stderr


@pytest.mark.slow
@pytest.mark.process
def test_a_workflow_that_makes_a_module_of_this_one_runs_it_to_its_end(tmp_path: Path) -> None:
    """As `snakedeploy` writes it (elsewhere/deployed.sh has the real one): no handler of a module is called."""
    study_file = write(tmp_path, small(replicates=20, points=[{"cell": "tanh", "width": 2}]))
    (tmp_path / "Snakefile").write_text(f"""configfile: "{study_file.name}"
module rnnmc:
    snakefile: "{ROOT / "workflow/Snakefile"}"
    config: config
use rule * from rnnmc
onstart: print("theirs is called", file=sys.stderr)
""")
    run = command("snakemake", "-j", "2", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "theirs is called" in run.stderr
    assert "P(vanish)" in run.stdout
    assert (tmp_path / "results/small/report.html").exists()


@pytest.mark.slow
@pytest.mark.process
def test_snakemakes_own_report_is_made(workplace: Path) -> None:
    run = command(*snakemake(workplace / "small.yaml", "--report", "workflow.html"), cwd=workplace)
    assert run.returncode == 0, run.stderr
    assert (workplace / "workflow.html").stat().st_size > 100_000


@pytest.mark.process
@pytest.mark.parametrize("runner", ["snakemake", "rnnmc"])
def test_a_mistake_in_the_study_is_one_sentence_and_nothing_is_written(runner: str, tmp_path: Path) -> None:
    study_file = write(
        tmp_path, small(points=[{"cell": "lstm", "width": 4, "init": {"recurrent": {"gaussian": [1, -1]}}}])
    )
    words = snakemake(study_file) if runner == "snakemake" else ["rnnmc", "run", str(study_file)]
    run = command(*words, cwd=tmp_path)
    assert run.returncode == 2
    (sentence,) = [line for line in run.stderr.splitlines() if line.startswith("rnnmc: ")]
    assert "small.yaml: points[0].init.recurrent.gaussian: -1" in sentence
    assert "give a number above 0" in sentence
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "results").exists()


def run_of(said: dict, *files: Path) -> Run:
    """What the Snakefile makes of `--config` and `--configfile`."""
    settings, main = SimpleNamespace(config=said), SimpleNamespace(is_main_snakefile=lambda: True)
    of_snakemake = {"configfiles": files, "config_settings": settings, "is_main_process": False, "modifier": main}
    return Run(dict(said), SimpleNamespace(**of_snakemake))


BAD_FILES = {
    "nowhere.yaml": (None, "cannot be read: No such file or directory; give a study file"),
    "a folder": ("", "cannot be read: Is a directory; give a study file"),
    "no text.yaml": (b"\xff\xfe\x00", "cannot be read: it is not UTF-8 text; give a study file"),
    "broken.yaml": (b"study: [", "line 1 is not YAML"),
    "empty.yaml": (b"", "is not a mapping; start from a file in config/"),
    "a list.yaml": (b"- 1", "is not a mapping; start from a file in config/"),
    "twice.yaml": (b"study: a\nstudy: b\n", "line 2: the key 'study' is given twice"),
    "no points.yaml": (b"study: a\n", "points: nothing is given; give a list of entries"),
    "odd key.yaml": (b"study: a\nreplicate: 3\npoints: []\n", "replicate: is an unknown key; did you mean replicates"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_study_is_one_sentence_whether_it_is_scaled_or_not(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    content, sentence = BAD_FILES[name]
    if content == "":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    for also in ({}, {"scale": 0.1}):
        with pytest.raises(SystemExit) as ended:
            run_of({"study_file": name} | also)
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith(f"rnnmc: {name}:")
        assert sentence in said
        assert said.count("\n") == 1


def test_what_the_command_line_says_stands_in_place_of_what_the_file_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    name = write(tmp_path, small()).name
    whole = run_of({"study_file": name})
    assert {planned.replicates for planned in whole.study.points} == {300}
    for said, files in (({"study_file": name}, ()), ({}, (tmp_path / name,))):
        scaled = run_of(said | {"scale": 0.5}, *files)
        assert {planned.replicates for planned in scaled.study.points} == {150}
        assert list(scaled.keys) == list(run_of({"study_file": name, "replicates": 150}).keys) != list(whole.keys)


@pytest.mark.process
def test_a_study_file_that_is_not_there_is_one_sentence_of_the_workflow(tmp_path: Path) -> None:
    run = command(
        "snakemake",
        "-s",
        ROOT / "Snakefile",
        "-j",
        "2",
        "--config",
        "study_file=nowhere.yaml",
        "scale=1e-2",
        cwd=tmp_path,
    )
    assert run.returncode == 2
    assert "rnnmc: nowhere.yaml: cannot be read" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_studies_that_come_with_it_are_valid_for_us_and_for_the_schema(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    import jsonschema

    monkeypatch.chdir(ROOT)
    assert rnnmc.load_study(path).points
    schema = json.loads((ROOT / "workflow/schemas/study.schema.json").read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)


@pytest.mark.slow
@pytest.mark.process
def test_what_another_run_is_making_anew_is_waited_for(tmp_path: Path) -> None:
    """Of two runs at once one takes away what a stage of the other has just left, for a stage of its own: seen once in
    a hundred pairs, with the five seconds that Snakemake waits by itself.
    """
    again = "setsid sh -c 'sleep 6; touch made' >/dev/null 2>&1 &"
    rules = f'rule all:\n    input: "made"\nrule stage:\n    output: "made"\n    shell: "{again}"\n'
    (tmp_path / "Snakefile").write_text(rules)
    words = ["snakemake", "-j", "1", "--workflow-profile", str(ROOT / "profiles" / "default")]
    run = command(*words, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
