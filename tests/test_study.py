"""Study files: what is refused and in which words, what is written out, and what a key depends on."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rnnmc.errors import UsageError
from rnnmc.study import DesignPoint, Thresholds, horizons_up_to, load_study, read_study

ROOT = Path(__file__).parent.parent
SUNSPOTS = str(ROOT / "config/data/sunspots.csv")
HEAD = "study: small\nreplicates: 10\nhorizons: [1, 10]\n"


@pytest.fixture
def load(tmp_path):
    def read(text, head=HEAD):
        path = tmp_path / "x.yaml"
        path.write_text(head + text)
        return load_study(path)

    return read


@pytest.fixture
def refused(load, tmp_path):
    """The sentence with which a file is refused, from the file's own name on."""

    def read(text, head=HEAD):
        with pytest.raises(UsageError) as caught:
            load(text, head)
        sentence = str(caught.value)
        assert "\n" not in sentence
        assert sentence.startswith(f"{tmp_path / 'x.yaml'}:")
        assert "Traceback" not in sentence
        return sentence.removeprefix(f"{tmp_path}/")

    return read


def entry(more, cell="tanh", width=2):
    return f"points: [{{cell: {cell}, width: {width}, {more}}}]"


# --- bad input: file, key path, value and remedy --------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("points: [{cell: lstmm, width: 2}]", "points[0].cell: lstmm is not a cell; did you mean lstm?"),
        ("points: [{cell: 3, width: 2}]", "points[0].cell: 3 is not a text; give a text"),
        ("points: [{cell: tanh, width: 0}]", "points[0].width: 0 is not a possible width; give a number of at least 1"),
        (
            "points: [{cell: tanh, width: [4, 0]}]",
            "points[0].width: 0 is not a possible width; give a number of at least 1",
        ),
        ("points: [{cell: tanh, width: 2.0}]", "points[0].width: 2.0 is not a whole number"),
        ("points: [{cell: tanh, width: true}]", "points[0].width: true is not a whole number"),
        ("points: [{cell: tanh, width: '2'}]", "points[0].width: 2 is not a whole number"),
        ("points: [{cell: tanh}]", "points[0].width: nothing is given; this key is needed"),
        ("points: [{cell: tanh, widht: 2}]", "points[0].widht: is an unknown key; did you mean width?"),
        (entry("dtype: float16"), "points[0].dtype: float16 is not known; give 'float32' or 'float64'"),
        (entry("weights: fresh"), "points[0].weights: fresh is not known; give 'tied' or 'untied'"),
        (
            entry("state_std: -1.0"),
            "points[0].state_std: -1.0 is not a possible state_std; give a number of at least 0",
        ),
        (entry("state_std: .nan"), "points[0].state_std: NaN"),
        (entry("state_std: .inf"), "points[0].state_std: Infinity"),
        (entry("seed: -1"), "points[0].seed: -1 is not a possible seed; give a number of at least 0"),
        (entry("seed: true"), "points[0].seed: true is not a whole number"),
        (entry("replicates: 0"), "points[0].replicates: 0 is not a possible replicates; give a number of at least 1"),
        (entry("observables: [nroms]"), "points[0].observables: nroms is not an observable; did you mean norms?"),
        (entry("horizons: []"), "points[0].horizons: [] is not a list of steps; give for example [10, 100, 1000]"),
        (entry("init: []"), "points[0].init: [] is an empty product; give at least one value"),
        (entry("init: pytroch"), "points[0].init: pytroch is not a preset; did you mean pytorch?"),
        (
            entry("init: {recurrent: {gaussian: -1}}"),
            "points[0].init.recurrent.gaussian: -1 is not a possible gain; give a number above 0",
        ),
        (entry("init: {recurrent: {gaussian: 0}}"), "points[0].init.recurrent.gaussian: 0 is not a possible gain"),
        (entry("init: {recurrent: {gaussian: .nan}}"), "points[0].init.recurrent.gaussian: NaN"),
        (entry("init: {recurrent: {gaussian: true}}"), "points[0].init.recurrent.gaussian: true is not a number"),
        (entry("init: {recurrent: {gaussian: []}}"), "points[0].init.recurrent.gaussian: [] is an empty product"),
        (entry("init: {recurrent: {gausian: 1}}"), "points[0].init.recurrent.gausian: "),
        (entry("init: {recurent: {gaussian: 1}}"), "points[0].init.recurent: "),
        (entry("init: {recurrent: {gaussian: 1, uniform: 1}}"), "points[0].init.recurrent: "),
        (
            entry("init: {recurrent: {uniform: {gain: 1, limit: 1}}}"),
            "does not say one scale; give either a gain or a limit",
        ),
        (
            entry("init: {preset: keras, bias: {forget: 1}}"),
            "points[0].init.bias.forget: forget is not a bias gate of tanh",
        ),
        (
            entry("init: {preset: keras, recurrent: {gaussian: 1, clip: 0}}"),
            "points[0].init.recurrent.gaussian.clip: 0",
        ),
        (entry("drive: wihte"), "points[0].drive: wihte is not a drive; did you mean white?"),
        (entry("drive: {white: 0}"), "points[0].drive.white"),
        (entry("drive: {file: no/such/file.csv}"), "points[0].drive.file: "),
        ("points: []", "points: [] is empty; give a list of entries"),
        ("points: {cell: tanh}", "points: {'cell': 'tanh'} is empty; give a list of entries"),
        ("points: [tanh]", "points[0]: 'tanh' is not a mapping; give cell, width"),
        ("", "points: None is empty"),
        ("pionts: []", "pionts: is an unknown key; did you mean points?"),
    ],
)
def test_a_bad_point_is_refused_with_its_path_its_value_and_a_remedy(refused, text, sentence):
    assert sentence in refused(text)
    assert refused(text).startswith("x.yaml: ")


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ("horizons: [0, 10]", "horizons[0]: 0 is not a horizon; give a whole number of steps, at least 1"),
        ("horizons: 0", "horizons: 0 is not a list of steps"),
        ("horizons: [1, 10, 10]", "horizons[2]: 10 is repeated; give each horizon once, in rising order"),
        ("horizons: [10, 1]", "horizons[1]: 1 is smaller than the one before it"),
        ("horizons: [1, 2.5]", "horizons[1]: 2.5 is not a horizon"),
        ("horizons: [true]", "horizons[0]: true is not a horizon"),
        ("horizons: {to: 0}", "horizons.to: 0 is not possible; give a whole number of at least 1"),
        ("horizons: {to: 100, per_decade: 0}", "horizons.per_decade: 0 is not possible"),
        ("horizons: {until: 100}", "horizons.until: "),
        ("horizons: {per_decade: 4}", "is not {to: steps, per_decade: number} nor a list of steps"),
        ("replicates: 0", "replicates: 0 is not a possible replicates; give a number of at least 1"),
        ("replicates: true", "replicates: true is not a whole number"),
        ("replicates: many", "replicates: many is not a whole number"),
        ("replicates: 1.5", "replicates: 1.5 is not a whole number"),
        ("seed: -1", "seed: -1 is not a possible seed"),
        ("interval: exact", "interval: exact is not known; give 'wilson', 'jeffreys', 'clopper-pearson'"),
        ("thresholds: {vanish: 0}", "thresholds.vanish: 0 is not a possible vanish; give a number above 0"),
        ("thresholds: {vanish: .nan}", "thresholds.vanish: "),
        ("thresholds: {vanish: 10, explode: 1}", "is not below explode (1); give vanish < explode"),
        ("thresholds: {vansih: 0.1}", "thresholds.vansih: "),
        ("thresholds: 3", "thresholds: "),
        ("study: ''", "study: "),
        ("study: ../up", "study: ../up "),
        ("study: a b", "study: a b "),
        ("study: 7", "study: 7 is not a text"),
    ],
)
def test_a_bad_head_is_refused_with_its_path_its_value_and_a_remedy(refused, head, sentence):
    said = head if head.startswith("study") else f"study: small\n{head}"
    assert sentence in refused("points: [{cell: tanh, width: 2}]", f"{said}\n")


def test_a_study_without_a_name_is_refused(refused):
    assert "study: nothing is given; this key is needed" in refused("points: [{cell: tanh, width: 2}]", "")


def test_two_equal_points_are_refused_with_both_places(refused):
    text = "points: [{cell: tanh, width: [2, 3]}, {cell: [relu, tanh], width: 3, init: pytorch}]"
    assert re.search(
        r"points\[1\]: 'tanh n=3 .*' is the same design point as one of points\[0\]; remove one", refused(text)
    )
    assert "is the same design point as one of points[0]" in refused("points: [{cell: tanh, width: [2, 2]}]")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("points: [{cell: tanh, width: 2]", "x.yaml: line 4 is not YAML: "),
        ("points:\n\t- cell: tanh", "is not YAML"),
        ("points: [{cell: tanh, width: 2, width: 3}]", "x.yaml: line 4 is not YAML: the key 'width' is given twice"),
        ("seed: 1\nseed: 2\npoints: []", "is not YAML: the key 'seed' is given twice"),
    ],
)
def test_what_is_not_yaml_or_says_a_key_twice_is_refused_with_its_line(refused, text, sentence):
    assert sentence in refused(text)


@pytest.mark.parametrize("text", ["[1, 2]", "just words", "", "3"])
def test_a_file_that_is_no_mapping_is_refused(refused, text):
    assert "is not a mapping; start from a file in config/" in refused(text, "")


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"nothing.yaml: cannot be read: No such file or directory; give a study file"):
        load_study(tmp_path / "nothing.yaml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load_study(tmp_path)
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00study")
    with pytest.raises(UsageError, match="it is not UTF-8 text"):
        load_study(tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("content", "said", "sentence"),
    [
        (None, "", "cannot be read (No such file or directory)"),
        ("", "", "is empty; give a file with at least 2 rows"),
        ("x\n1\ntwo\n", "", "x: 'two' in data row 2 is not a number; mend the file"),
        (
            "x\n1\n2\n3\n",
            ", wrap: false",
            "has 3 rows, fewer than the horizon 10; give a shorter horizon or wrap: true",
        ),
    ],
)
def test_a_drive_file_that_cannot_serve_is_refused(refused, tmp_path, content, said, sentence):
    path = tmp_path / "drive.csv"
    if content is not None:
        path.write_text(content)
    found = refused(entry(f"drive: {{file: {{path: {path}{said}}}}}"))
    assert sentence in found
    assert "points[0].drive" in found


def test_a_bad_point_in_python_is_refused_in_the_same_words():
    for said, sentence in (
        ({"width": 0}, "width: 0 is not a possible width; give a number of at least 1"),
        ({"width": 2, "init": {"recurrent": {"gaussian": -1}}}, "init.recurrent.gaussian: -1 is not a possible gain"),
        ({"width": 2, "gain": 2}, "gain: 2 is under an unknown key; remove it or mend its name"),
    ):
        with pytest.raises(UsageError) as caught:
            DesignPoint(cell="tanh", **said)
        assert str(caught.value).startswith(sentence)


# --- what is read ---------------------------------------------------------------------------------


def test_an_entry_is_the_product_of_its_lists_at_every_depth(load):
    study = load(
        """
points:
  - cell: [tanh, relu]
    width: [1, 2, 3]
    init: [pytorch, keras]
  - cell: lstm
    width: 4
    init: {recurrent: {gaussian: [0.5, 1, 2]}, input: {gaussian: 0.5}, bias: {forget: [0, 1, 3]}}
    weights: [tied, untied]
    drive: [none, {ar1: [0.1, 0.2]}]
"""
    )
    points = [planned.point for planned in study.points]
    assert len(points) == 2 * 3 * 2 + 3 * 3 * 2 * 3
    assert len({point.key for point in points}) == len(points)
    assert [point.width for point in points[:6]] == [1, 1, 2, 2, 3, 3]
    assert {str(point.drive) for point in points[12:]} == {"none", "ar1 0.1", "ar1 0.2"}


def test_lists_of_horizons_and_observables_are_one_level(load):
    study = load(entry("horizons: [3, 5], observables: [norms]"))
    assert len(study.points) == 1
    assert study.points[0].point.horizons == (3, 5)


def test_points_inherit_the_head_and_may_say_otherwise(load):
    study = load(
        "points: [{cell: tanh, width: 2}, {cell: tanh, width: 3, seed: 5, replicates: 7, horizons: {to: 100}}]",
        HEAD + "seed: 3\n",
    )
    one, other = study.points
    assert (one.point.seed, one.replicates, one.point.horizons) == (3, 10, (1, 10))
    assert (other.point.seed, other.replicates, other.point.horizons[-1]) == (5, 7, 100)


def test_numbers_with_an_exponent_and_no_dot_are_numbers(load):
    study = load(
        entry("init: {recurrent: {gaussian: 1e-3}}, state_std: 2E+1"),
        HEAD + "thresholds: {vanish: 1e-4, explode: 1e4}\n",
    )
    assert study.thresholds == Thresholds(vanish=1e-4, explode=1e4)
    assert study.points[0].point.state_std == 20
    assert study.points[0].point.written()["init"] == {"recurrent": {"gaussian": 0.001}}


def test_horizons_up_to_are_even_in_the_logarithm_rise_and_end_where_asked():
    assert horizons_up_to(10, 4) == (1, 2, 3, 6, 10)
    for last in (1, 2, 7, 10, 99, 100, 101, 1000, 12345):
        for per_decade in (1, 3, 8, 50):
            grid = horizons_up_to(last, per_decade)
            assert grid[-1] == last
            assert grid[0] == 1
            assert list(grid) == sorted(set(grid))


def test_gate_level_laws_reach_the_point(load):
    text = "init: {preset: keras, bias: {forget: 3}, recurrent: {orthogonal: 1, candidate: {gaussian: 2, clip: 1}}}"
    point = load(entry(text, cell="lstm")).points[0].point
    laws = point.init.laws(point.cell_object, 2, 1)
    assert str(laws["bias"]["forget"]) == "constant 3"
    assert str(laws["bias"]["output"]) == "constant 0"
    assert str(laws["recurrent"]["candidate"]) == "gaussian 2 clip 1.0" or laws["recurrent"]["candidate"].clip == 1
    assert str(laws["recurrent"]["forget"]).startswith("orthogonal")


EVERYTHING = f"""
points:
  - cell: [tanh, relu, lstm, gru, gru_tied, gru_output_gated, gru_reset_after, minimal_rnn, min_gru]
    width: [1, 4]
    init: [pytorch, keras, flax]
  - {{cell: lru, width: 3, init: {{recurrent: {{ring: {{outer: [0.9, 1.0], inner: 0.3}}}}}}}}
  - cell: lstm
    width: 3
    init: {{preset: keras, bias: {{chrono: 30.0, output: 1}}}}
    drive: {{ar1: {{correlation: 0.3, dimension: 2}}}}
  - cell: tanh
    width: 3
    init: {{recurrent: {{gaussian: 1e-3, clip: 1, spectral_radius: 0.5}}, input: {{gaussian: 2}}}}
    drive: field
  - cell: tanh
    width: 3
    init: {{recurrent: {{uniform: {{limit: 0.2, terms: 3}}}}}}
    weights: untied
    dtype: float64
    state_std: 0.5
  - cell: tanh
    width: 3
    init: {{recurrent: {{identity: {{}}}}}}
    drive: {{file: {{path: {SUNSPOTS}, column: SUNACTIVITY}}}}
  - {{cell: tanh, width: 3, drive: {{constant: 2}}, horizons: {{to: 50}}, seed: 4, replicates: 3}}
"""


def test_what_a_study_writes_reads_back_to_the_same_points_through_yaml_and_json(load):
    study = load(EVERYTHING, HEAD + "thresholds: {vanish: 1e-5}\ninterval: jeffreys\n")
    written = study.written()
    for content in (yaml.safe_load(yaml.safe_dump(written)), json.loads(json.dumps(written))):
        again = read_study(content, "again")
        assert [p.point.key for p in again.points] == [p.point.key for p in study.points]
        assert [p.replicates for p in again.points] == [p.replicates for p in study.points]
        assert again.thresholds == study.thresholds
        assert again.interval == "jeffreys"
        assert again.written() == written


def test_a_point_written_out_says_every_default():
    written = DesignPoint(cell="tanh", width=2).written()
    assert set(written) == set(DesignPoint.model_fields)
    assert DesignPoint(**written).key == DesignPoint(cell="tanh", width=2).key


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


def test_a_key_is_the_same_in_another_process():
    """Hashes of Python's own would not be."""
    program = f"from rnnmc.study import DesignPoint; print(DesignPoint(**{BASE!r}).key)"
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


def test_planning_imports_no_torch():
    program = f"import sys, rnnmc.study as s; s.DesignPoint(**{BASE!r}).key; sys.exit('torch' in sys.modules)"
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
