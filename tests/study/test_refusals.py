"""Study files: what is refused and in which words, what is written out, and what a key depends on."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import measured
from studies import study_of

from rnnmc.common.errors import UsageError
from rnnmc.study.point import DesignPoint, horizons_up_to
from rnnmc.study.study import Study, Thresholds, load_study, read_study

ROOT = Path(__file__).parents[2]
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
        (
            entry("replicates: 0"),
            "points[0].replicates: 0 is not possible; give a whole number of at least 1 and at most 2147483647",
        ),
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
        ("points: {cell: tanh}", 'points: {"cell": "tanh"} is not a list; give a list of entries'),
        ("points: [tanh]", "points[0]: tanh is not a mapping; give cell, width"),
        ("", "points: nothing is given; give a list of entries"),
        (entry("init: {preset: {a: 1}}"), 'points[0].init: {"a": 1} is not a preset; there are flax, keras, pytorch'),
        (entry("init: {preset: 4}"), "points[0].init: 4 is not a preset; there are flax, keras, pytorch"),
        (
            entry("init: {recurrent: {gaussian: {gain: 1, clip: 2}, clip: 1}}"),
            "points[0].init.recurrent.gaussian.clip: 2 is clip a second time; give it once",
        ),
        (
            entry("init: {recurrent: {gaussian: {1: 1}}}"),
            "points[0].init.recurrent.gaussian.1: 1 is under a key that is not a text; give a parameter's name",
        ),
        (entry("init: {recurrent: {gaussian: {}}}"), "nothing is given for its gain; write for example gaussian: 1"),
        (entry("init: {recurrent: {2: {gaussian: 1}}}"), "points[0].init.recurrent.2: 2 is not a recurrent gate of"),
        (
            entry("init: {recurrent: gaussian}"),
            "points[0].init.recurrent: gaussian is a law without its gain; write for example {gaussian: 1}",
        ),
        (entry("init: {recurrent: gausian}"), "gausian is neither a law nor a number; did you mean gaussian?"),
        (
            entry("init: {preset: keras, bias: {forget: chrono}}", cell="lstm"),
            "points[0].init.bias.forget: chrono is a law without its t_max; write for example {chrono: 10}",
        ),
        (entry("init: {recurrent: {uniform: {}}}"), "give either a gain or a limit, as in {gain: 1}"),
        (
            entry("init: {recurrent: {gaussian: 1}}", cell="min_gru"),
            'points[0].init.recurrent: {"gaussian": 1.0} is for recurrent weights, and min_gru has none',
        ),
        (
            entry("init: {recurrent: {ring: 1, spectral_radius: 1}}", cell="lru"),
            "points[0].init.recurrent.spectral_radius: 1.0 scales square matrices, and lru has vectors; remove it",
        ),
        (entry("drive: {white: {1: 2}}"), "points[0].drive.white.1: 2 is under a key that is not a text"),
        (
            entry("drive: field, init: {recurrent: {gaussian: 1}, input: {gaussian: 1, clip: 2}}"),
            "points[0].drive: field has no input weights; remove clip under init.input",
        ),
        (
            entry("drive: field, init: {recurrent: {gaussian: 1}, input: {hidden: {gaussian: 1, stacked: true}}}"),
            "points[0].drive: field has no input weights; remove stacked under init.input",
        ),
        (entry("drive: {file: {}}"), "points[0].drive.file: nothing is given for its path; write for example file: co"),
        (entry('drive: {file: "a\\0b"}'), "is not a possible path; give a file"),
        (entry('drive: {file: "\\ud800"}'), "is not a possible path; give a file"),
        (entry("drive: {file: /dev/zero}"), "/dev/zero is not a regular file; give a file"),
        (entry("horizons: {1: 2}"), 'points[0].horizons.1: {"1": 2} is not {to: steps'),
        (entry("observables: {a: 1}"), "points[0].observables: a is not an observable; there are"),
        (entry("observables: [[norms]]"), 'points[0].observables: ["norms"] is not an observable; there are norms'),
        (entry("observables: [vector, vector]"), "points[0].observables: vector is given twice; give each observable"),
        (entry("observables: [{vector: 3}]"), "points[0].observables.vector: 3 takes no value; write vector"),
        (
            entry("drive: none, replicates: {weights: 5, drives: 2}"),
            "points[0].drive: none is the same in every draw; nest only a drive that is random",
        ),
        (
            entry("replicates: {weights: 5, states: 2}"),
            "points[0].state_std: 0.0 is one and the same state; nest states with state_std above 0",
        ),
        (entry("init: &x {recurrent: *x}"), "points[0].init.recurrent: contains itself, through an anchor; write out"),
        (entry("state_std: &w [1, *w]"), "points[0].state_std[1]: contains itself, through an anchor; write out"),
        (
            entry("width: 100001").replace("width: 2, ", ""),
            "points[0].width: 100001 is not a possible width; give a nu",
        ),
        (entry("drive: {white: 100001}"), "points[0].drive.white: 100001 is not a possible dimension"),
        (entry("horizons: [1, 2147483648]"), "points[0].horizons[1]: 2147483648 is not a horizon"),
        (entry("horizons: {to: 2147483648}"), "points[0].horizons.to: 2147483648 is not possible"),
        (entry("horizons: {to: 10, per_decade: 10001}"), "points[0].horizons.per_decade: 10001 is not possible"),
        (entry("replicates: 2147483648"), "replicates: 2147483648 is not possible; give a whole number"),
        (entry("seed: 9223372036854775808"), "is not a possible seed; give a number below 9223372036854775808"),
        (
            entry(f"seed: {list(range(1100))}, state_std: {list(range(1000))}"),
            "points[0]: 1100000 design points are too many; give at most 1000000 in a study",
        ),
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
        ("replicates: 0", "replicates: 0 is not possible; give a whole number of at least 1 and at most 2147483647"),
        ("replicates: true", "replicates: true is not possible; give a whole number"),
        ("replicates: many", "replicates: many is not possible; give a whole number"),
        ("replicates: 1.5", "replicates: 1.5 is not possible; give a whole number"),
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
        ("study: a b", "study: a b is not a name; give letters, digits"),
        ("thresholds: null", "thresholds: null is not a mapping; give for example {vanish: 1.0e-3, explode: 1.0e+3}"),
        ("thresholds: {vanish: .inf}", "thresholds.vanish: Infinity is not finite; give a finite number"),
        ("replicates: 2147483648", "replicates: 2147483648 is not possible; give a whole number"),
        (
            "replicates: {}",
            "replicates: {} is not a number of replicates; give a number, {half_width: 0.01, max: 100000} or",
        ),
        ("replicates: {max: 10}", "replicates.half_width: nothing is given; this key is needed"),
        ("replicates: {half_width: 0.01}", "replicates.max: nothing is given; this key is needed"),
        (
            "replicates: {half_width: 0.6, max: 10}",
            "replicates.half_width: 0.6 is not a possible half_width; give a number",
        ),
        ("replicates: {half_width: 0.01, drives: 10}", "is not a number of replicates; give a number, {half_width"),
        ("replicates: {drives: 10}", "replicates.weights: nothing is given; this key is needed"),
        (
            "replicates: {weights: 5, drives: 5000}",
            "replicates.drives: 5000 is not possible; give a whole number of at",
        ),
        ("replicates: {weights: 5, drives: 100, states: 100}", "are too many; give at most 4096 a weight draw"),
        (f"horizons: {list(range(1, 100002))}", "horizons: 100001 horizons are too many; give at most 100000"),
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
        ("points: [{cell: tanh, width: 2020-99-99}]", "is not YAML: a value cannot be read (month must be in 1..12)"),
        ("points: [{cell: tanh, width: !!bool x}]", "is not YAML: a value cannot be read"),
        ("points: [{cell: tanh, width: !!timestamp x}]", "is not YAML: a value cannot be read"),
        (f"points: [{{cell: tanh, width: {'9' * 5000}}}]", "is not YAML: a value cannot be read"),
        ("points: [{cell: tanh, width: \0}]", "is not YAML: "),
        ("points: [{? [a] : 1}]", "is not YAML: found unhashable key"),
        (f"points: {'[' * 2000}{']' * 2000}", "is nested more than 50 levels deep; write it flatter"),
        (f"points: {'[' * 80}{']' * 80}", "is nested more than 50 levels deep; write it flatter"),
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


@pytest.mark.parametrize("said", ["[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "{x: 1}"])
def test_a_short_file_that_anchors_make_endless_is_refused_at_once(refused, said):
    grown = "[{0}]" if said.startswith("[") else "{{x: {0}, y: {0}}}"
    levels = [grown.format(", ".join([f"*a{i}"] * 10) if said.startswith("[") else f"*a{i}") for i in range(30)]
    anchored = "".join(f"- &a{i} {level}\n" for i, level in enumerate([said, *levels]))
    assert "becomes too long when its anchors are written out; use fewer" in refused(f"points:\n{anchored}")


def test_what_contains_itself_in_python_is_refused_too():
    endless: dict = {}
    endless["recurrent"] = endless
    with pytest.raises(UsageError, match=r"init\.recurrent: contains itself"):
        DesignPoint(cell="tanh", width=2, init=endless)


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        ("raise RuntimeError('no\\nluck')", "own_bad:CELL", "cannot be imported (RuntimeError: no luck)"),
        ("import sys; sys.exit(3)", "own_bad:CELL", "cannot be imported (SystemExit: 3)"),
        ("def f(:", "own_bad:CELL", "cannot be imported (SyntaxError: "),
        ("CELL = 3", "own_bad:CELL", "is a int; give module:attribute of an rnnmc.Cell instance"),
        ("", "own_bad:CELL", "cannot be imported (AttributeError: "),
        ("", ".own_bad:CELL", "cannot be imported (TypeError: "),
        ("", ":CELL", "cannot be imported (ValueError: "),
        (
            "import rnnmc\nclass Own(rnnmc.Cell):\n  def step(self, w, x, s): return s\nCELL = Own()",
            "own_bad:CELL",
            "has no name; set what rnnmc.Cell asks for",
        ),
    ],
)
def test_a_cell_of_one_s_own_that_cannot_be_had_is_refused(refused, tmp_path, monkeypatch, text, name, sentence):
    (tmp_path / "own_bad.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_bad", raising=False)
    found = refused(entry("dtype: float32", cell=f'"{name}"'))
    assert sentence in found
    assert f"points[0].cell: {name} " in found
    sys.modules.pop("own_bad", None)


WORDS = re.findall(
    r"\w+",
    """gaussian uniform ring chrono identity gain limit clip spectral_radius stacked recurrent input bias forget preset
    white ar1 dimension file path to per_decade vanish explode half_width""",
)
NESTED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10)
    | st.sampled_from([2**31, 10**30, 10**400, 1.0, -0.0, 0.5, 1e300, float("nan"), float("inf"), ""])
    | st.sampled_from(["gaussian", "keras", "lstm", "min_gru", "lru", "field", "none", "tied", "norms", "a:b", "a\nb"])
    | st.dates()
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*WORDS, 1, None, 2.5, True]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_anything_at_all_under_any_key_is_a_study_or_a_sentence(load, tmp_path, data):
    """Never another exception, whatever a file says: under a key of the head, of an entry, of init or as a whole."""
    value, place = data.draw(NESTED), data.draw(st.sampled_from(["head", "entry", "init", "drive", "whole"]))
    good = {"cell": data.draw(st.sampled_from(["tanh", "lstm", "min_gru", "lru"])), "width": 2}
    content: Any = {"study": "small", "horizons": [1, 2], "points": [good]}
    if place == "head":
        content |= {data.draw(st.sampled_from([*Study.model_fields, "other"])): value}
    elif place == "entry":
        good |= {data.draw(st.sampled_from([*DesignPoint.model_fields, "replicates", "other"])): value}
    elif place == "init":
        good["init"] = {"recurrent": {"gaussian": 1}} | {
            data.draw(st.sampled_from(["recurrent", "input", "bias"])): value
        }
    elif place == "drive":
        good["drive"] = {data.draw(st.sampled_from(["white", "ar1", "constant", "file", "field", "none"])): value}
    else:
        content = value
    path = tmp_path / "any.yaml"
    path.write_text(yaml.safe_dump(content))
    for read in (lambda: load_study(path), lambda: read_study(content, "any.yaml"), lambda: DesignPoint(**good)):
        study, sentence = None, ": "
        try:
            study = read()
        except UsageError as error:
            sentence = str(error)
        assert sentence.isprintable()
        assert ": " in sentence
        if isinstance(study, Study):
            again = read_study(json.loads(json.dumps(study.written())), "again")
            assert [p.point.key for p in again.points] == [p.point.key for p in study.points]
            assert [p.point.label for p in again.points] == [p.point.label for p in study.points]


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


def test_merge_keys_take_over_an_entry_and_may_be_overridden(load):
    study = load(
        "points: [&base {cell: tanh, width: 2, dtype: float64}, &more {<<: *base, width: 3}, {<<: [*more], width: 4}]"
    )
    assert [(p.point.width, p.point.dtype) for p in study.points] == [(2, "float64"), (3, "float64"), (4, "float64")]


def test_numbers_with_an_exponent_and_no_dot_are_numbers(load):
    study = load(
        entry("init: {recurrent: {gaussian: 1e-3}}, state_std: 2E+1"),
        HEAD + "thresholds: {vanish: 1e-4, explode: 1e4}\n",
    )
    assert study.thresholds == Thresholds(vanish=1e-4, explode=1e4)
    assert study.points[0].point.state_std == 20
    assert study.points[0].point.written()["init"]["recurrent"] == {"gaussian": 0.001}


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
  - {{cell: tanh, width: 3, state_std: 1, replicates: {{weights: 5, drives: 2, states: 3}}, observables: [vector]}}
  - {{cell: tanh, width: 3, state_std: 1, replicates: {{half_width: 0.01, max: 5000}}}}
"""


def test_what_a_study_writes_reads_back_to_the_same_points_through_yaml_and_json(load):
    study = load(EVERYTHING, HEAD + "thresholds: {vanish: 1e-5}\ninterval: jeffreys\n")
    written = study.written()
    for content in (yaml.safe_load(yaml.safe_dump(written)), json.loads(json.dumps(written))):
        again = read_study(content, "again")
        assert [p.point.key for p in again.points] == [p.point.key for p in study.points]
        assert again.points == study.points
        assert [p.point.label for p in again.points] == [p.point.label for p in study.points]
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
    assert again.label == point.label == "lstm n=2 gaussian 1, bias forget 1, drive ar1"
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
        {"cell": "gru", "width": 2, "replicates": {"half_width": 0.1, "max": 500}},
        {"cell": "relu", "width": 2, "replicates": 1},
    ]
    whole = study_of({"study": "x", "replicates": 200, "points": entries})
    scaled = study_of({"study": "x", "replicates": 200, "points": entries, "scale": 0.1})
    assert [one.replicates for one in scaled.points] == [20, 12, 50, 1]
    assert [one.point.key for one in scaled.points] == [one.point.key for one in whole.points]
    again = read_study(scaled.written(), "again")
    assert [one.replicates for one in again.points] == [20, 12, 50, 1]


@pytest.mark.parametrize("scale", [0, -1, "many"])
def test_a_scale_that_cannot_be_is_refused(scale):
    with pytest.raises(UsageError, match=r"test\.yaml: scale"):
        study_of({"study": "x", "points": [{"cell": "tanh", "width": 2}], "scale": scale})
