"""What the key of a design point depends on, and what its label names."""

import re
import subprocess
import sys

import numpy as np
import pytest
from reference import measured
from studies import HEAD, ROOT, entry, study_of

from rnnmc.common.errors import UsageError
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import read_study

SUNSPOTS = str(ROOT / "config/data/sunspots.csv")


# --- keys -----------------------------------------------------------------------------------------

BASE = {"cell": "lstm", "width": 3, "init": "pytorch", "horizons": [1, 10]}


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "gru"},
        {"width": 4},
        {"init": "keras"},
        {"init": {"preset": "pytorch", "bias": {"forget": 1.0}}},
        {"drive": "none"},
        {"drive": {"white": 2}},
        {"weights": "untied"},
        {"state_std": 0.1},
        {"horizons": [1, 11]},
        {"horizons": [1, 5, 10]},
        {"dtype": "float64"},
        {"seed": 1},
    ],
)
def test_a_key_changes_with_everything_that_changes_a_number(change):
    assert DesignPoint(**(BASE | change)).key != DesignPoint(**BASE).key


def test_a_key_changes_with_nothing_else(load):
    def keys(head, more=""):
        return [p.point.key for p in load(f"points: [{{cell: lstm, width: 3{more}}}]", head).points]

    base = keys(HEAD)
    assert keys(HEAD.replace("10\n", "99\n", 1)) == base
    assert keys(HEAD + "thresholds: {vanish: 0.5}\n") == base
    assert keys(HEAD + "interval: jeffreys\n") == base
    assert keys(HEAD.replace("small", "large")) == base
    assert keys(HEAD, ", replicates: 77") == base
    assert keys(HEAD, ", observables: norms") == base
    assert keys(HEAD, ", init: pytorch, drive: white, weights: tied, state_std: 0") == base
    assert keys(HEAD, ", init: {preset: pytorch}, drive: {white: 1}, state_std: 0.0") == base


def test_equal_numbers_written_differently_are_equal_points():
    one = DesignPoint(cell="tanh", width=2, init={"recurrent": {"gaussian": 1}}, state_std=1)
    other = DesignPoint(cell="tanh", width=2, init={"recurrent": {"gaussian": {"gain": 1.0}}}, state_std=1.0)
    assert one.key == other.key
    order = [{"input": 1.0, "forget": 2.0}, {"forget": 2.0, "input": 1.0}]
    assert len({DesignPoint(cell="lstm", width=2, init={"preset": "pytorch", "bias": bias}).key for bias in order}) == 1


GAUSSIAN = {"recurrent": {"gaussian": 1.0}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"init": GAUSSIAN}, {"init": GAUSSIAN | {"input": {"gaussian": 1}}}),
        ({"init": GAUSSIAN}, {"init": {"recurrent": {"hidden": {"gaussian": 1.0}}}}),
        ({"init": GAUSSIAN}, {"init": GAUSSIAN | {"bias": {"hidden": -0.0}}}),
        ({"init": GAUSSIAN, "drive": "none"}, {"init": GAUSSIAN | {"input": {"uniform": 3}}, "drive": "none"}),
        ({"init": "flax"}, {"init": {"recurrent": {"orthogonal": 1}, "input": {"truncated_gaussian": 1.0}}}),
        ({"state_std": 0.0}, {"state_std": -0.0}),
        ({"drive": {"constant": 0.0}}, {"drive": {"constant": {"value": -0.0, "dimension": 1}}}),
        ({"drive": "ar1"}, {"drive": {"ar1": {"correlation": 0.9, "dimension": 1}}}),
    ],
)
def test_the_same_laws_said_otherwise_are_the_same_point_with_the_same_samples(one, other):
    one, other = (DesignPoint(**({"cell": "tanh", "width": 3, "horizons": (1, 4)} | said)) for said in (one, other))
    assert one.key == other.key
    assert np.array_equal(measured(one, 5)[0], measured(other, 5)[0])


def test_an_input_law_counts_where_there_are_input_weights_or_a_field():
    laws = [GAUSSIAN | {"input": {"gaussian": s}} for s in (1.0, 2.0)]
    for drive, keys in (("white", 2), ("field", 2), ("none", 1)):
        assert len({DesignPoint(cell="tanh", width=3, init=init, drive=drive).key for init in laws}) == keys


def test_a_key_depends_on_the_source_of_a_cell_of_one_s_own(tmp_path, monkeypatch):
    source = """
import rnnmc
class Own(rnnmc.Cell):
    name, gates = "own", ("hidden",)
    def step(self, weights, drive, state):
        return (drive["hidden"] * FACTOR,)
CELL = Own()
"""
    monkeypatch.syspath_prepend(tmp_path)
    keys = []
    for factor in ("1", "2", "1"):
        (tmp_path / "own_cell.py").write_text(source.replace("FACTOR", factor))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        sys.modules.pop("own_cell", None)
        keys.append(DesignPoint(cell="own_cell:CELL", width=3).key)
    sys.modules.pop("own_cell", None)
    assert keys[0] == keys[2] != keys[1]


def test_a_key_depends_on_the_source_of_the_bases_of_a_cell_of_one_s_own_too(tmp_path, monkeypatch):
    base = "import rnnmc\nclass Base(rnnmc.Cell):\n  name, gates = 'o', ('a',)\n  def step(self, w, x, s): return s\n"
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_user.py").write_text("from own_base import Base\nCELL = Base()\n")
    keys = set()
    for more in ("", "# changed\n"):
        (tmp_path / "own_base.py").write_text(base + more)
        for name in ("own_base", "own_user"):
            sys.modules.pop(name, None)
        keys.add(DesignPoint(cell="own_user:CELL", width=3).key)
    for name in ("own_base", "own_user"):
        sys.modules.pop(name, None)
    assert len(keys) == 2


def test_two_spellings_of_one_point_in_a_study_are_refused(refused):
    assert "is the same design point as one of points[0]" in refused(entry("state_std: [0.0, -0.0]"))
    text = "points: [{cell: tanh, width: 2, init: [{recurrent: {gaussian: 1}}, {recurrent: {hidden: {gaussian: 1}}}]}]"
    assert "is the same design point as one of points[0]" in refused(text)


def test_a_point_writes_out_its_default_laws_and_all_of_its_drive_and_keeps_its_short_label():
    point = DesignPoint(cell="lstm", width=2, init={"recurrent": {"gaussian": 1}, "bias": {"forget": 1}}, drive="ar1")
    assert point.written()["init"] == {
        "recurrent": {"gaussian": 1.0},
        "input": {"gaussian": 1.0},
        "bias": {"constant": 0.0, "forget": {"constant": 1.0}},
    }
    assert point.written()["drive"] == {"ar1": {"correlation": 0.9, "dimension": 1}}
    again = DesignPoint(**point.written())
    assert str(again.init) == str(point.init) == "gaussian 1, bias forget 1"
    assert again.label == point.label == "lstm n=2 gaussian 1, bias forget 1, drive ar1, m = 1"
    ring = DesignPoint(cell="lru", width=2, init={"recurrent": {"ring": {}}})
    assert ring.written()["init"]["recurrent"] == {"ring": {"outer": 1.0, "inner": 0.0}}


@pytest.mark.process
def test_a_key_is_the_same_in_another_process():
    """Hashes of Python's own would not be."""
    program = f"from rnnmc.study.study import DesignPoint; print(DesignPoint(**{BASE!r}).key)"
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONHASHSEED": "5", "PATH": ""},
    )
    key = run.stdout.strip()
    assert key == DesignPoint(**BASE).key
    assert re.fullmatch("[0-9a-f]{12}", key)


@pytest.mark.process
def test_planning_imports_no_torch():
    program = f"import sys, rnnmc.study.study as s; s.DesignPoint(**{BASE!r}).key; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env={"PATH": ""})


def test_a_label_names_what_differs_and_no_hash():
    point = DesignPoint(
        **(
            BASE
            | {"drive": {"file": {"path": SUNSPOTS, "column": "SUNACTIVITY"}}, "weights": "untied", "state_std": 0.5}
        )
    )
    assert point.label.startswith("lstm n=3 pytorch")
    assert "SUNACTIVITY" in point.label
    assert "untied" in point.label
    assert "state 0.5" in point.label
    assert not re.search("[0-9a-f]{20}", point.label)


def test_a_scale_multiplies_every_number_of_replicates_and_changes_no_key():
    entries = [
        {"cell": "tanh", "width": 2},
        {"cell": "lstm", "width": 2, "replicates": {"weights": 30, "drives": 4}},
        {"cell": "gru", "width": 2, "replicates": {"events": 60, "of": "p_explode_by", "max": 500}},
        {"cell": "relu", "width": 2, "replicates": 1},
    ]
    whole = study_of({"study": "x", "replicates": 200, "points": entries})
    scaled = study_of({"study": "x", "replicates": 200, "points": entries, "scale": 0.1})
    assert [one.replicates for one in scaled.points] == [20, 12, 50, 1]
    assert [one.point.key for one in scaled.points] == [one.point.key for one in whole.points]
    again = read_study(scaled.written(), "again")
    assert [one.replicates for one in again.points] == [20, 12, 50, 1]
    assert "scaled" not in whole.written()
    assert [one.written()["scaled"] for one in (scaled, again)] == [0.1, 0.1]
    assert read_study(scaled.written() | {"scale": 2}, "twice").written()["scaled"] == 0.2


@pytest.mark.parametrize("scale", [0, -1, "many"])
def test_a_scale_that_cannot_be_is_refused(scale):
    with pytest.raises(UsageError, match=r"test\.yaml: scale"):
        study_of({"study": "x", "points": [{"cell": "tanh", "width": 2}], "scale": scale})
