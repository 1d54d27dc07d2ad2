"""The command line: what it prints, and with which exit code it ends."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.table import Table
from scipy.stats import binom, norm
from studies import command, sample_here, small, study_of
from typer.main import get_command
from typer.testing import CliRunner, Result

import rnnmc
from rnnmc.cli import NO_HOME, app, main
from rnnmc.common.quiet import HUSHED, on_the_way
from rnnmc.run.aggregate import aggregate
from rnnmc.run.fanout import Done
from rnnmc.run.pipeline import plan
from rnnmc.run.progress import progress
from rnnmc.run.sampling import jobs_missing, sample, sample_all
from rnnmc.store.manifest import write_manifest
from rnnmc.store.marks import claimed
from rnnmc.store.plan import cut_up
from rnnmc.study.study import Thresholds


def test_every_command_is_listed_in_80_columns_with_a_whole_sentence() -> None:
    said = CliRunner().invoke(app, ["--help"], terminal_width=80).output
    assert "..." not in said.partition("COMMAND [ARGS]...")[2]
    assert max(map(len, said.splitlines())) <= 80
    for name, one in get_command(app).commands.items():
        assert one.hidden or f"  {name} " in said, name


@pytest.mark.process
def test_measure_agrees_with_the_law_of_a_scalar_linear_map_in_the_middle_and_the_tails(tmp_path: Path) -> None:
    """tanh without input stays at zero, where P_T = u^T: l_T = T log|u| with u ~ N(0, 1). docs/physics.md section 5."""
    out = tmp_path / "samples.parquet"
    run = command(
        "rnnmc", "measure", "tanh", "--width", "1", "--init", "gaussian", "--gain", "1", "--drive", "none",
        "--replicates", "20000", "--dtype", "float64", "--horizons", "10,100", "--out", out, "--json", cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    rows = {row["horizon"]: row for row in json.loads(run.stdout)["statistics"] if row["measure"] == "log_spectral"}
    samples = pl.read_parquet(out)
    for horizon in (10, 100):
        below = 2 * norm.cdf(1e-3 ** (1 / horizon)) - 1
        _within(rows[horizon]["vanish_at_count"], below, 20_000)
        _within(rows[horizon]["explode_at_count"], 2 * norm.sf(1e3 ** (1 / horizon)), 20_000)
        log_norm = samples.filter(pl.col("horizon") == horizon)["log_spectral"] / horizon
        for level in (1e-3, 0.01, 0.5, 0.99, 0.999):  # quantiles of log|u|, down into both tails
            _within(int((log_norm < math.log(norm.ppf((1 + level) / 2))).sum()), level, 20_000)


def _within(count: int, probability: float, total: int) -> None:
    """A binomial count where it belongs, with a false-alarm rate of 1e-8 each (14 looks: below 1e-6 in all)."""
    low, high = binom.ppf([5e-9, 1 - 5e-9], total, probability)
    assert low <= count <= high, f"{count} of {total} at probability {probability}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["measure", "lstm", "--width", "0"], "width: 0 is not a possible width; give a number of at least 1"),
        (["measure", "lstn"], "did you mean lstm?"),
        (
            ["measure", "lstm", "--init", "gaussian", "--gain", "-1"],
            "init.recurrent.gaussian: -1.0 is not a possible gain",
        ),
        (["measure", "lstm", "--init", "gaussian"], "--gain: nothing is given; --init gaussian needs it"),
        (["measure", "lstm", "--gain", "2"], "--gain: 2 goes with a law"),
        (["measure", "tanh", "--bias", "forget=1"], "forget is not a bias gate of tanh; there are hidden"),
        (["measure", "lstm", "--bias", "forget"], "give for example --bias forget=1"),
        (["measure", "lstm", "--horizons", "10,ten"], "is not a list of steps"),
        (["measure", "lstm", "--horizons", "10,5"], "give each horizon once, in rising order"),
        (["measure", "lstm", "--horizons", "0"], "0 is not a horizon"),
        (["measure", "lstm", "--replicates", "0"], "give a whole number of at least 1"),
        (["measure", "lstm", "--target-half-width", "0"], "give a number between 0 and 0.5"),
        (["measure", "lstm", "--until", "{weights: 3}"], "is not a goal; give for example '{relative: 0.1,"),
        (["measure", "lstm", "--until", "{events: 0}"], "--until.events: 0 is not a possible events"),
        (
            ["measure", "lstm", "--until", "{deviation: 1, of: p_growing}", "--horizons", "5,9"],
            "replicates.of: p_growing is of the last decade; give a horizon of at most 0.9",
        ),
        (
            ["measure", "lstm", "--rare", "explode", "--until", "{events: 9}"],
            "--until: {events: 9} would change nothing",
        ),
        (["measure", "lstm", "--rare", "explode", "--replicates", "9"], "give --populations and --particles"),
        (["measure", "lstm", "--particles", "300"], "--particles: 300 would change nothing"),
        (["search", "lstm", "--smallest", "1e-9"], "it belongs to --probable"),
        (["measure", "lstm", "--until", "{events: 9}", "--target-half-width", "0.1"], "give one of the two"),
        (["measure", "lstm", "--drive", "pink"], "there are adding, ar1, constant, copy, field, file, none, white"),
        (["measure", "lstm", "--drive", "{file: {path: nowhere.csv}}"], "nowhere.csv cannot be read"),
        (["measure", "lstm", "--vanish", "2", "--explode", "1"], "give vanish < explode"),
        (["measure", "lstm", "--dtype", "half"], "give 'float32' or 'float64'"),
        (["measure", "lstm", "--weights", "loose"], "give 'tied' or 'untied'"),
        (["measure", "lstm", "--observables", "colour"], "is not an observable"),
        (["measure", "lstm", "--device", "tpu"], "give auto, cpu or cuda"),
        (["measure", "lstm", "--device", "cuda", "--horizons", "2", "--replicates", "2"], "no CUDA device"),
        (["measure", "lstm", "--out", "nowhere/x.parquet"], "nowhere is not a folder"),
        (["measure", "lstm", "--out", "x.csv"], "x.csv would hold Parquet; give a name that ends in .parquet"),
        (["measure", "lstm", "--width"], "requires an argument; see rnnmc measure --help"),
        (["measure", "lstm", "--seed", "-1"], "seed: -1"),
        (["measure", "lru", "--init", "pytorch"], "give init: published"),
        (["measure"], "Missing"),
        (["measure", "lstm", "--colour"], "No such option"),
        (["measures"], "No such command"),
        (["measure", "lstm", "--init", "{recurrent: {gaussian: {}}}"], "nothing is given for its gain"),
        (["run", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["study", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["study", "nowhere.yaml", "--jobs", "0"], "--jobs: 0 is not a number of jobs; give 1 or more, or all"),
        (["study", "nowhere.yaml", "--cpus", "0"], "--cpus"),
        (["plan", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["status", "nowhere"], "give the folder of a study"),
        (["plot", "nowhere"], "nowhere: there is no such folder"),
        (["cite", "/dev/null"], "/dev/null: is a file; give the folder of a study"),
        (["measure", "lstm", "--rare", "bogus"], "--rare: bogus is not an event"),
        (["measure", "lstm", "--rare", "explode", "--particles", "2"], "--particles: 2 is not a possible particles"),
        (["verify", "nowhere"], "give the folder of a study"),
        (["statistics", "nowhere"], "give the folder of a study"),
        (["report", "nowhere"], "give the folder of a study"),
        (["kernel", "lstn"], "did you mean lstm?"),
        (["kernel", "tanh", "--width", "0"], "width: 0 is not a possible width"),
        (["kernel", "tanh", "--width", "513"], "width: 513 has no compiled kernel"),
        (["kernel", "tanh", "--dtype", "half"], "give 'float32' or 'float64'"),
        (["check", "drives", "white"], "did you mean drive?"),
        (["check", "drive", "whit"], "did you mean white?"),
        (["check", "drive", "{ar1: 2.0}"], "drive.ar1: 2.0 is not a possible correlation"),
        (["check", "drive", "file"], "config/data/sunspots.csv cannot be read"),
        (["check", "initialiser", "lecun"], "is not the name of a preset or law of weights"),
        (["check", "initialiser", "{uniform: {}}"], "does not say one scale"),
        (["check", "observable", "{spectrum: 0}"], "observable.spectrum"),
        (["check", "law", "gaussian"], "is not the name of a law of theory"),
        (["check", "claim", "A0"], "did you mean A"),
        (["check-cell", "lstn"], "did you mean lstm?"),
        (["check-cell", "nowhere:cell"], "give module:attribute of an rnnmc.Cell"),
        (["check-cell", "math:pi"], "is a float; give module:attribute of an rnnmc.Cell instance"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rnnmc import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["rnnmc", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert end.value.code == 2, err
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("rnnmc: ")
    assert not out
    assert not list(tmp_path.iterdir())


USERS_CELL = """
import rnnmc

class Leaky(rnnmc.Cell):
    name, formula, source = "leaky", "h' = (1-k) h + k tanh(W x + U h + b)", "ours"
    gates = ("hidden",)

    def step(self, weights, drive, state):
        (h,) = state
        a = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        return (0.9 * h + 0.1 * a.tanh(),)

class Wrong(Leaky):
    def linearise(self, weights, drive, state):
        return self.step(weights, drive, state), lambda directions: (0.9 * directions[0],)

leaky, wrong = Leaky(), Wrong()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("cell", "gru"),
        ("initialiser", "keras"),
        ("initialiser", "gaussian"),
        ("initialiser", "{orthogonal: 1.0, stacked: true}"),
        ("drive", "{ar1: 0.5}"),
        ("observable", "vector"),
        ("law", "zero_weights"),
        ("analysis", "decay"),
        ("picture", "onset"),
    ],
)
def test_one_thing_of_any_kind_is_checked_by_name(kind, name, monkeypatch, capsys):
    from rnnmc import cli

    monkeypatch.setattr("sys.argv", ["rnnmc", "check", kind, name])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert (end.value.code, err) == (0, "")
    assert "passed" in out


def test_a_mistake_of_any_kind_is_named_with_exit_code_1(monkeypatch, capsys):
    from rnnmc import cli
    from rnnmc.drives.white import White

    monkeypatch.setattr(White, "is_random", False)
    monkeypatch.setattr("sys.argv", ["rnnmc", "check", "drive", "white"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert end.value.code == 1
    assert "FAILED" in out
    assert err.strip() == "rnnmc: drive white: 1 of 5 checks failed: draws"


@pytest.mark.slow
@pytest.mark.process
def test_a_cell_of_ones_own_is_checked_measured_and_caught_when_wrong(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(USERS_CELL)
    good = command("rnnmc", "check-cell", "mine:leaky", cwd=tmp_path)
    assert good.returncode == 0, good.stdout + good.stderr
    bad = command("rnnmc", "check-cell", "mine:wrong", cwd=tmp_path)
    assert bad.returncode == 1
    assert "FAILED" in bad.stdout
    (tmp_path / "loud.py").write_text(USERS_CELL.replace("(h,) = state", "print('hello'); (h,) = state"))
    alone = command("rnnmc", "measure", "loud:leaky", "--replicates", "20", "--horizons", "5", "--json", cwd=tmp_path)
    assert json.loads(alone.stdout)["point"]["cell"] == "loud:leaky"
    assert "hello" in alone.stderr
    kernel = command("rnnmc", "kernel", "mine:leaky", cwd=tmp_path)
    assert kernel.returncode == 2
    assert kernel.stderr.startswith("rnnmc: mine:leaky: no kernel is made (it has no linearise of its own); ")
    assert len(kernel.stderr.splitlines()) == 1
    measured = command(
        "rnnmc", "measure", "mine:leaky", "--width", "8", "--replicates", "20", "--horizons", "5,50", cwd=tmp_path
    )
    assert measured.returncode == 0, measured.stderr
    assert "P(vanish)" in measured.stdout


@pytest.mark.process
@pytest.mark.parametrize("what", ["cells", "initialisers", "drives"])
def test_lists_name_everything_there_is_with_formula_and_source(what: str, tmp_path: Path) -> None:
    from rnnmc.cells import cells
    from rnnmc.drives import drives
    from rnnmc.initialisers import laws, presets

    run = command("rnnmc", what, cwd=tmp_path)
    assert run.returncode == 0
    for name in {"cells": cells(), "initialisers": {**laws(), **presets()}, "drives": drives()}[what]:
        assert name in run.stdout


@pytest.mark.process
def test_sampling_until_it_is_known_well_enough_gives_intervals_that_allow_for_the_looking(tmp_path: Path) -> None:
    run = command(
        "rnnmc", "measure", "relu", "--width", "2", "--init", "gaussian", "--gain", "1.5", "--horizons", "5,20",
        "--until", "{relative: 0.01, of: p_explode_at, max: 2000}", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    row = next(row for row in json.loads(run.stdout)["statistics"] if row["horizon"] == 20)
    assert row["interval"] == "confidence-sequence"
    assert row["replicates"] == 2000
    assert "rnnmc: 2,000 replicates only allowed to know P(explode) to within" in run.stderr
    wilson = rnnmc.measure(rnnmc.DesignPoint(cell="relu", width=2, horizons=[5]), replicates=100)
    assert set(wilson["interval"]) == {"wilson"}


@pytest.mark.process
def test_plan_tells_what_a_study_costs_and_runs_nothing(tmp_path: Path) -> None:
    from studies import write

    run = command("rnnmc", "plan", write(tmp_path, small()), cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "4 design points, 4 blocks, 3,600 rows" in run.stdout
    assert not (tmp_path / "results").exists()


def test_status_tells_done_running_and_missing_apart_the_sum_first(tmp_path: Path) -> None:
    from rnnmc.run.planning import status, status_told

    study = study_of(small())
    plan(study, tmp_path)
    sample(tmp_path, jobs_missing(tmp_path, cut_up(study)[:1]), None, "cpu")
    with claimed(tmp_path, study.points[1].point, 0):
        said = status(tmp_path)
    counts = [[row[name] for name in ("done", "running", "missing", "blocks")] for row in (*said["points"], said)]
    assert counts == [[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 2, 4]]
    first, shared, table = status_told(said)
    assert str(first).endswith("1 of 4 design points are done; of 4 blocks 1 are done, 1 running, 2 missing")
    assert str(shared) == "all with drive white, m = 1"
    assert str(cells_of(table, "design point")[0]) == "tanh n=2 pytorch"


def test_of_many_design_points_20_are_named_and_keys_by_an_option_alone(tmp_path: Path) -> None:
    from rnnmc.run.planning import cost, cost_told, status, status_told

    study = study_of(small(replicates=2, points=[{"cell": "tanh", "width": list(range(1, 31))}]))
    plan(study, tmp_path)
    sample(tmp_path, jobs_missing(tmp_path, cut_up(study)[:5]), None, "cpu")
    keys = {stored.key for stored in cut_up(study)}
    costs, now = cost(study), status(tmp_path)
    for said, told in ((costs, cost_told), (now, status_told)):
        (table,) = (one for one in told(said) if isinstance(one, Table))
        assert len(cells_of(table, "design point")) == 20
        assert "--all lists each" in " ".join(map(str, told(said)))
        (whole,) = (one for one in told(said, every=True) if isinstance(one, Table))
        assert {str(key) for key in cells_of(whole, "key")} == keys == {row["key"] for row in said["points"]}
        assert "--all" not in " ".join(map(str, told(said, every=True)))
    dearest = max(costs["points"], key=lambda row: row["core_seconds"])["design_point"]
    assert dearest.startswith(str(cells_of(cost_told(costs)[2], "design point")[0]))
    left = [str(name) for name in cells_of(status_told(now)[2], "design point")]
    assert left[0].startswith("tanh n=6 "), "what is done is not named"
    assert "and 5 more that are not done" in str(status_told(now)[3])


def cells_of(table: Any, header: str) -> list[Any]:
    """A column of a table for the terminal."""
    (column,) = (one for one in table.columns if str(one.header) == header)
    return list(column.cells)


def test_polars_duckdb_and_pandas_read_the_same_samples(tmp_path: Path) -> None:
    import duckdb
    import pandas as pd
    import pyarrow.dataset

    study = study_of(small(points=[{"cell": ["relu", "lstm"], "width": 2, "dtype": ["float32", "float64"]}]))
    plan(study, tmp_path)
    sample(tmp_path, jobs_missing(tmp_path, cut_up(study)), None, "cpu")
    for stored in cut_up(study):
        write_manifest(tmp_path, stored, study.thresholds)
    pattern = f"{tmp_path}/samples/**/*.parquet"
    polars = pl.scan_parquet(pattern, hive_partitioning=True).collect()
    assert polars.shape == (4 * 300 * 3, 11)
    count, dead = duckdb.sql(f"select count(*), count(*) filter (status = 'dead') from '{pattern}'").fetchall()[0]
    assert (count, dead) == (polars.height, int((polars["status"].cast(pl.String) == "dead").sum()))
    whole = pl.scan_parquet(tmp_path / "samples", hidden_file_prefix="_").collect()
    assert whole.height == pyarrow.dataset.dataset(tmp_path / "samples").count_rows() == polars.height
    pandas = pd.read_parquet(tmp_path / "samples")
    assert len(pandas) == polars.height
    assert set(pandas["cell"]) == {"relu", "lstm"} == set(polars["cell"])
    assert math.isclose(float(pandas["log_rms"].max()), float(polars["log_rms"].max()))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init", "x" * 300], "File name too long; give another file or folder"),
        (["init", f"{'y' * 300}/a.yaml"], "File name too long; give another file or folder"),
        (["init", "\a", "--width", "4"], "is not YAML"),
        (["init", "a.yaml", "--width", "2026-13-01"], "is not YAML: a value cannot be read"),
        (["measure", "tanh", "--drive", "[" * 200], "is not YAML"),
        (["measure", "tanh", "--drive", "2026-13-01"], "is not YAML: a value cannot be read"),
        (["measure", "tanh", "--drive", "z" * 20_000], "is not a drive"),
    ],
)
def test_words_that_no_file_can_have_or_no_yaml_holds_are_refused_in_a_sentence(
    words, said, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["rnnmc", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr().err
    assert ended.value.code == 2
    assert printed.count("\n") == 1
    assert len(printed) < 2000
    assert said in printed
    assert not list(tmp_path.iterdir())


def test_a_table_that_is_none_is_told_of_in_a_sentence(capsys, monkeypatch, tmp_path):
    sample_here(study_of(small(replicates=2, points=[{"cell": "tanh", "width": 1}])), tmp_path)
    aggregate(tmp_path, Thresholds(), "wilson")
    (tmp_path / "points.parquet").write_bytes(b"PAR1 and no more")
    monkeypatch.setattr("sys.argv", ["rnnmc", "cite", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (1, 2)
    (said,) = capsys.readouterr().err.splitlines()
    assert "points.parquet" in said


@pytest.mark.parametrize(
    ("counted", "code", "said"),
    [
        (False, 1, "has no statistics (No such file or directory: "),
        (True, 2, "points.parquet: No such file or directory; give another file or folder"),
    ],
)
def test_a_table_that_is_missing_is_told_of_without_the_words_of_a_library(
    counted, code, said, capsys, monkeypatch, tmp_path
):
    sample_here(study_of(small(replicates=2, points=[{"cell": "tanh", "width": 1}])), tmp_path)
    if counted:
        aggregate(tmp_path, Thresholds(), "wilson")
        (tmp_path / "points.parquet").unlink()
    monkeypatch.setattr("sys.argv", ["rnnmc", "cite", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == code
    assert said in line
    assert "os error" not in line


NO_DOCUMENT = {  # and why
    "kernel": "prints C",
    "cite": "prints BibTeX",
    "ray": "is Ray's own",
    "sample": "is a job of the workflow",
}
WITH_PROGRESS = {"run", "study", "measure", "advise", "fetch"}


def test_every_command_that_prints_a_result_prints_it_as_json_and_those_with_progress_can_be_quiet() -> None:
    commands: dict[str, Any] = vars(get_command(app))["commands"]
    options = {name: {word for one in command.params for word in one.opts} for name, command in commands.items()}
    assert {name for name, words in options.items() if "--json" not in words} == set(NO_DOCUMENT)
    assert {name for name, words in options.items() if "--quiet" in words} == WITH_PROGRESS


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that has been sampled and counted."""
    folder = tmp_path_factory.mktemp("finished") / "small"
    study = study_of(small(replicates=2, horizons=[1, 10], points=[{"cell": "tanh", "width": [1, 2]}]))
    plan(study, folder)
    sample_all(folder, cut_up(study), study.thresholds, None, "cpu")
    aggregate(folder, Thresholds(), "wilson")
    return folder


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("cells", "cell"),
        ("initialisers", "layer of keras"),
        ("observables", "observable"),
        ("drives", "drive"),
        ("claims", None),
        ("check drive white", None),
        pytest.param("check-cell tanh", None, marks=pytest.mark.slow),
        ("init new.yaml", "design_points"),
        ("plan new.yaml", "core_seconds"),
        ("status {}", "missing"),
        ("show {}", "statistics"),
        ("verify {}", "sha256"),
        ("statistics {}", "path"),
        ("dataset {} --out new", "bytes"),
        ("merge {} {} --into new", "taken"),
        ("clean {}", "files"),
        pytest.param("report {}", "path", marks=[pytest.mark.slow, pytest.mark.process]),
        pytest.param("plot {} --by width --out new.svg", "path", marks=[pytest.mark.slow, pytest.mark.process]),
        pytest.param("export {}", "sizes", marks=[pytest.mark.slow, pytest.mark.process]),
        pytest.param("measure tanh --width 2 --replicates 9 --quiet", "statistics", marks=pytest.mark.slow),
    ],
)
def test_json_is_one_document_and_nothing_else(words: str, key: str | None, finished: Path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if words.startswith("plan"):
        (tmp_path / "new.yaml").write_text("study: new\nreplicates: 2\nhorizons: [1]\npoints: [{cell: tanh, width: 1}]")
    said = CliRunner().invoke(app, [*words.format(finished, finished).split(), "--json"])
    assert said.exception is None, said.exception
    document = json.loads(said.stdout)
    assert not HUSHED.get(), "--quiet outlives its command"
    assert key is None or key in document


def test_quiet_leaves_out_progress_and_keeps_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet, said in ((False, ["here: 9 of 9", "no room"]), (True, ["no room"])):
        HUSHED.set(quiet)
        on_the_way("here: 9 of 9 design points")
        with progress("here", 9) as tell:
            tell(Done("a", 0, 9, 1.0, "no room"))
        err = capsys.readouterr().err
        assert [word for word in ("here: 9 of 9", "no room") if word in err] == said
    HUSHED.set(False)


@pytest.mark.process
def test_a_shell_completes_the_name_of_a_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "_RNNMC_COMPLETE": "complete_bash",
        "COMP_WORDS": "rnnmc measure lstm_p",
        "COMP_CWORD": "2",
    }.items():
        monkeypatch.setenv(name, value)
    assert command("rnnmc", cwd=tmp_path).stdout.split() == ["lstm_peephole", "lstm_projected"]


def test_who_has_no_home_and_is_on_no_list_has_one_that_is_not_there(monkeypatch):
    """As of `docker run --user 12345`: libraries that draw ask where it is, and fail where nothing says it."""

    def unknown(uid: int):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setenv("HOME", "to be restored")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("sys.argv", ["rnnmc", "--version"])
    with pytest.raises(RuntimeError):
        Path.home()
    with pytest.raises(SystemExit):
        main()
    assert Path.home() == Path(NO_HOME)
    with pytest.raises(NotADirectoryError):
        (Path.home() / ".cache").mkdir(parents=True)


def test_what_is_there_is_written_over_by_another_measurement_alone(finished: Path, tmp_path: Path) -> None:
    def measure(seed: int, out: Path) -> Result:
        words = f"measure tanh --width 2 --replicates 9 --horizons 1 --quiet --seed {seed}"
        return CliRunner().invoke(app, [*words.split(), "--out", str(out)])

    assert measure(1, tmp_path / "x.parquet").exception is None
    first = (tmp_path / "x.parquet").read_bytes()
    assert measure(2, tmp_path / "x.parquet").exception is None
    assert (tmp_path / "x.parquet").read_bytes() != first
    (tmp_path / "mine.parquet").write_text("something else")
    for path in (tmp_path / "mine.parquet", next(finished.glob("samples/*/*/*.parquet"))):
        before = path.read_bytes()
        assert "is of no earlier measurement" in str(measure(1, path).exception)
        assert path.read_bytes() == before


def test_a_look_at_a_study_is_said_to_be_one_where_its_table_is_shown(tmp_path: Path) -> None:
    study = study_of(small(replicates=20, scale=0.1, horizons=[1], points=[{"cell": "tanh", "width": 1}]))
    plan(study, tmp_path)
    sample_all(tmp_path, cut_up(study), study.thresholds, None, "cpu")
    aggregate(tmp_path, Thresholds(), "wilson")
    assert "0.1 times as many replicates as its file says" in CliRunner().invoke(app, ["show", str(tmp_path)]).stdout
