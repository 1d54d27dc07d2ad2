"""Whatever is put in, what comes out is a result or a sentence. `make fuzz` tries fifty times as much as the suite."""

from __future__ import annotations

import gzip
import io
import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
import yaml
from fuzz_inputs import NUMBERS, TEXTS, changed_bytes, changed_tree
from fuzz_outcomes import EVERY, commanded, files_below, fresh_folder, judged, reached
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from studies import ROOT, small, study_of

import rnnmc
from rnnmc.cli import app
from rnnmc.run import pipeline
from rnnmc.run.aggregate import aggregate
from rnnmc.run.sampling import sample_all
from rnnmc.store.plan import cut_up
from rnnmc.store.proofs import SEAL, write_sealed
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import Study, load_study, read_study

SHARES = {"studies": 0.6, "words": 0.08, "drives": 0.3, "folders": 0.02}  # of all inputs, by what each costs


def fuzzed(kind: str) -> settings:
    """So many examples of this kind; the same ones each time in the suite, others each time in `make fuzz`."""
    return settings(
        max_examples=round(SHARES[kind] * EVERY),
        deadline=None,
        database=None,
        derandomize=EVERY == 2000,
        print_blob=True,
        report_multiple_bugs=False,
        phases=[Phase.explicit, Phase.generate],  # to shrink what fails takes minutes, and is not needed to mend it
        suppress_health_check=list(HealthCheck),
    )


# --- study files ----------------------------------------------------------------------------------


def _shortened(tree: Any) -> Any:
    """The same kinds of branches, fewer of them, so that a study takes a moment to read."""
    if isinstance(tree, dict):
        return {key: _shortened(value) for key, value in tree.items()}
    return [_shortened(value) for value in tree[:2]] if isinstance(tree, list) else tree


FILES = sorted((ROOT / "config").glob("*.yaml"))
TREES = [_shortened(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in FILES]
RICH = {
    "study": "rich", "seed": 1, "replicates": {"half_width": 0.1, "max": 100}, "horizons": {"to": 10, "per_decade": 3},
    "thresholds": {"vanish": 1e-3, "explode": 1e3}, "interval": "wilson", "oracles": False, "claims": False,
    "scale": 1.0,
    "points": [
        {"cell": ["tanh", "lstm"], "width": [2, 3], "layers": 2, "residual": False, "weights": "tied",
        "dtype": "float64",
         "init": {"preset": "keras", "recurrent": {"gaussian": {"gain": 1.0, "clip": 2.0}}, "bias": {"hidden": 1.0}},
         "drive": {"ar1": 0.5}, "state_std": 0.5, "horizons": [1, 5], "seed": 3, "observables": ["norms",
         {"spectrum": 2}]},
        {"cell": "gru", "width": 2, "replicates": {"weights": 5, "drives": 2},
        "init": {"recurrent": {"uniform": {"limit": 1}}},
         "drive": {"file": {"path": str(ROOT / "config/data/sunspots.csv")}}},
    ],
}  # fmt: skip


def read(path: Path) -> None:
    """Read a study as a run does: it, and what it says of itself, are the same study; its blocks can be cut."""
    study = load_study(path)
    again = read_study(json.loads(json.dumps(study.written())), "again")
    assert [one.point.key for one in again.points] == [one.point.key for one in study.points]
    assert isinstance(study, Study)
    cut_up(study)


@pytest.mark.slow
@fuzzed("studies")
@given(data=st.data())
def test_any_study_file_is_a_study_or_a_sentence_that_names_it(data: st.DataObject) -> None:
    with fresh_folder() as folder:
        (folder / "config").symlink_to(ROOT / "config")
        path = folder / "any.yaml"
        if data.draw(st.booleans()):
            content = data.draw(changed_tree([*TREES, RICH, RICH, RICH]))
            path.write_bytes(yaml.dump(content, allow_unicode=True).encode(errors="surrogatepass"))
        else:
            whole = data.draw(st.sampled_from([*(yaml.safe_dump(tree) for tree in TREES), yaml.safe_dump(RICH)]))
            path.write_bytes(changed_bytes(whole.encode(), data.draw(st.integers(0, 2**32))))
        sentence = judged(lambda: read(Path("any.yaml")))
        assert not sentence or "any.yaml" in sentence, sentence
        assert set(files_below(folder)) == {"any.yaml"}


# --- words of the command line --------------------------------------------------------------------

COMMANDS = typer.main.get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
WORDS = [
    "study.yaml", "results/small", "nowhere", "series.csv", ".", "lstm", "tanh", "torch.nn.LSTM", "json:loads",
    "white", "{ar1: 0.5}", "{ar1: 2}",
    "{file: series.csv}", "none", "1", "4", "0", "-1", "100000", "10,100", "1,2,3", "10,5", "1e-3", "0.5", "nan",
    "explode", "vanish",
    "float64", "cpu", "cuda", "keras", "{recurrent: {gaussian: 1}}", "forget=1", "hidden=x", "width=2",
    "p_vanish_at", "horizon", "cell",
    "wilson", "out.json", "out.parquet", "all", "{half_width: 0.1}", "{relative: 0.1, max: 1e6}", "paths,terms",
    "[norms]", "torch",
]  # fmt: skip
WORKS = {
    "rnnmc.run.cluster": ["_started", "_joined"],
    "rnnmc.run.conduct": ["_head", "_follow"],
    "rnnmc.run.answer": ["answered"],
    "rnnmc.run.rare": ["rare_answer"],
    "rnnmc.run.search": ["ascended"],
    "rnnmc.run.inspection": ["chains_of", "fresh_networks"],
    "rnnmc.run.checks": ["check", "check_cell_and_kernels"],
    "rnnmc.run.planning": ["costs"],
    "rnnmc.run.doctor": ["examined"],
    "rnnmc.run.aggregate": ["aggregate"],
    "rnnmc.run.live": ["looks"],
    "rnnmc.report.page": ["drawing"],
    "rnnmc.report.rendering": ["drawing"],
    "os": ["execve"],
    "typer": ["launch"],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a small study has been run, and what the words above name."""
    folder = tmp_path_factory.mktemp("finished")
    points = [
        {"cell": "tanh", "width": [1, 2], "observables": ["vector"]},
        {"cell": "relu", "width": 1, "replicates": {"half_width": 0.3, "max": 40}},
    ]
    content = small(replicates=20, horizons=[1, 5], points=points)
    study, results = study_of(content), folder / "results" / "small"
    sample_all(results, pipeline.plan(study, results), study.thresholds, None, "cpu")
    aggregate(results, study.thresholds, study.interval)
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    (folder / "series.csv").write_text("x,y\n" + "\n".join(f"{i % 7},{i % 3}" for i in range(50)))
    return folder


@st.composite
def words(draw: st.DrawFn) -> list[str]:
    """A command with arguments and options of its own, and a few that are not."""
    name = draw(st.sampled_from([*sorted(COMMANDS), *sorted(COMMANDS), "", "nosuch", "--version", "--help"]))
    said, command = [name], COMMANDS.get(name)
    any_word = st.one_of(
        st.sampled_from(WORDS),
        st.sampled_from(WORDS),
        st.sampled_from(TEXTS),
        st.sampled_from(NUMBERS).map(str),
        st.text(max_size=5),
    )
    for option in command.params if command else []:
        if option.param_type_name == "argument":
            fit = {
                "study_file": "study.yaml",
                "directory": "results/small",
                "directories": "results/small",
                "cell": "lstm",
            }.get(option.name or "")
            said.append(fit if fit and draw(st.booleans()) else draw(any_word))
        elif draw(st.integers(0, 5)) == 0:
            said.append(draw(st.sampled_from(option.opts)))
            if not option.is_flag or draw(st.integers(0, 9)) == 0:
                said.append(draw(any_word))
    if draw(st.integers(0, 3)) == 0:
        said.insert(draw(st.integers(0, len(said))), draw(any_word))
    return [word.replace("\0", "") for word in said]  # which no shell can give


@pytest.mark.slow
@pytest.mark.process  # a library that is imported asks the system what machine this is
@fuzzed("words")
@given(words())
def test_any_words_are_a_command_or_a_sentence_and_what_is_refused_leaves_no_file(
    finished: Path, said: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch, fresh_folder() as folder:
        for module, names in WORKS.items():
            for name in names:
                patch.setattr(f"{module}.{name}", reached)
        patch.setattr("rnnmc.run.advise._Bench.measure", reached)
        shutil.copytree(finished, folder, dirs_exist_ok=True)
        before = files_below(folder)
        try:
            ended = commanded(*said)
        except UnicodeEncodeError:  # the words themselves cannot be given
            return
        if ended.code == 2:
            assert files_below(folder) == before, said


# --- files of drives ------------------------------------------------------------------------------


def _tables() -> dict[str, bytes]:
    table = pl.DataFrame({"t": range(30), "x": [i % 7 / 3 for i in range(30)], "name": [f"n{i}" for i in range(30)]})
    parquet = io.BytesIO()
    table.write_parquet(parquet)
    csv = table.write_csv().encode()
    return {
        "a.csv": csv, "b.csv": csv.replace(b",", b";").replace(b".", b","),
        "c.csv": b"\n".join(b"%d" % (i * i % 11) for i in range(40)),
        "d.csv": b"# a comment\nx y\n" + b"\n".join(b"%d %g" % (i, i / 3) for i in range(20)),
        "e.csv.gz": gzip.compress(csv),
        "f.parquet": parquet.getvalue(), "g.txt": b"we the people of the united states " * 5,
        "h.csv": csv.decode().encode("utf-16"),
        "i.csv": b"x\n1\nNA\n3\n\n5\n-9999\n7\n", "j.csv": b'"x","y"\r\n"1","a b"\r\n"2,5","c"\r\n' * 3,
    }  # fmt: skip


TABLES = _tables()
SPECIFICATIONS: list[dict[str, Any]] = [
    {}, {"column": "x"}, {"columns": ["t", "x"]}, {"tokens": "character"}, {"tokens": "word", "vectors": "one_hot"},
    {"gaps": "interpolate", "missing": ["NA", -9999]},
    {"separator": ";", "decimal": ",", "column": "x"}, {"comment": "#", "separator": " ", "column": "y"},
    {"header": False, "column": "1"},
    {"tokens": "word", "dimension": 3}, {"wrap": False},
]  # fmt: skip


@pytest.mark.slow
@fuzzed("drives")
@given(data=st.data())
def test_any_file_of_a_drive_drives_a_network_or_is_refused_in_a_sentence(data: st.DataObject) -> None:
    with fresh_folder() as folder:
        name = data.draw(st.sampled_from(sorted(TABLES)))
        content = TABLES[name]
        if data.draw(st.integers(0, 3)):
            content = changed_bytes(content, data.draw(st.integers(0, 2**32)))
        (folder / name).write_bytes(content)
        said: Any = {"path": name} | data.draw(st.sampled_from(SPECIFICATIONS))
        if not data.draw(st.integers(0, 3)):
            said = data.draw(changed_tree([said], most=1))

        def drives() -> None:
            point = DesignPoint(cell="tanh", width=1, drive={"file": said}, horizons=[1, 3])
            table = rnnmc.run_block(point, 0, 2)
            assert table.num_rows == 4
            assert None not in table["log_spectral"].to_pylist()

        judged(drives)
        assert set(files_below(folder)) == {name}


# --- folders of studies ---------------------------------------------------------------------------

LOOKS = [
    ("verify",), ("status",), ("show",), ("cite",), ("statistics",), ("report",), ("plot", "--out", "a.svg"),
    ("clean",), ("scan",),
    ("statistics", "--vanish", "0.01"), ("merge", "results/small", "--into", "joined"), ("verify", "--repair"),
    ("dataset",),
]  # fmt: skip


@pytest.mark.slow
@fuzzed("folders")
@given(data=st.data())
def test_any_damage_to_a_folder_is_passed_over_or_told_of_in_a_sentence(finished: Path, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch, fresh_folder() as folder:
        patch.setattr("rnnmc.report.page.drawing", reached)
        patch.setattr("rnnmc.report.rendering.drawing", reached)
        shutil.copytree(finished, folder, dirs_exist_ok=True)
        files = sorted(path for path in (folder / "results").rglob("*") if path.is_file())
        path = data.draw(st.sampled_from(files))
        if (
            path.suffix == ".json" and path.parent.name != "logs" and data.draw(st.booleans())
        ):  # what somebody else's program may have sealed
            said = data.draw(
                changed_tree([{key: value for key, value in json.loads(path.read_text()).items() if key != SEAL}])
            )
            try:
                write_sealed(path, said if isinstance(said, dict) else {"a": said})
            except (TypeError, ValueError):  # no JSON
                return
        else:
            path.write_bytes(changed_bytes(path.read_bytes(), data.draw(st.integers(0, 2**32))))
        name, *more = data.draw(st.sampled_from(LOOKS))
        if name == "scan":
            with suppress(pl.exceptions.PolarsError):  # a lazy frame is read by Polars, in its own words
                judged(lambda: rnnmc.scan("results/small").collect())
        else:
            commanded(name, "results/small", *more)
        assert not [left for left in files_below(folder) if left.endswith(".part")]
