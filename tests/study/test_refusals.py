"""What is refused in a study, and in which words: file, key path, value and remedy."""

import re
import sys

import pytest
from studies import entry

from rnnmc.common.errors import UsageError
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import load_study

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
        ("points: [{cell: tanh, width: '2'}]", "points[0].width: 2 is a text, for its quotes, and not a whole number"),
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
        (entry("init: {preset: {a: 1}}"), 'points[0].init: {"a": 1} is not a preset; there are flax, keras, published'),
        (entry("init: {preset: 4}"), "points[0].init: 4 is not a preset; there are flax, keras, published, pytorch"),
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
        (entry('drive: {file: {path: a, "\\ud800": 1}}'), "a key or a text holds half of a character"),
        (entry('init: {recurrent: {"\\ud800": 1}}'), "half of a character"),
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
            "replicates: {} is not a number of replicates; give a number, {half_width: 0.01, max: 100000}, {rel",
        ),
        ("replicates: {max: 10}", "replicates.half_width: nothing is given; this key is needed"),
        ("replicates: {half_width: 0.01}", "replicates.max: nothing is given; this key is needed"),
        (
            "replicates: {half_width: 0.6, max: 10}",
            "replicates.half_width: 0.6 is not a possible half_width; give a number",
        ),
        ("replicates: {half_width: 0.01, drives: 10}", "is not a number of replicates; give a number, {half_width"),
        (
            "replicates: {relative: 0.1, events: 9, max: 10}",
            "is not a number of replicates; give a number, {half_width",
        ),
        (
            "replicates: {relative: 1, max: 10}",
            "replicates.relative: 1 is not a possible relative; give a number below 1",
        ),
        ("replicates: {relative: 0.1}", "replicates.max: nothing is given; this key is needed"),
        ("replicates: {events: 2.5, max: 10}", "replicates.events: 2.5 is not a whole number; give a whole number"),
        ("replicates: {events: 11, max: 10}", "replicates.events: 11 is more than max (10); give fewer, or more"),
        (
            "replicates: {events: 5, of: growth_rate, max: 10}",
            "replicates.of: growth_rate cannot be counted; there are p_vanish_at, p_vanish_by, p_stable_at",
        ),
        (
            "replicates: {relative: 0.1, of: p_explod_at, max: 10}",
            "replicates.of: p_explod_at cannot be waited for; did you mean p_explode_at? there are p_vanish_at,",
        ),
        ("replicates: {deviation: 0.1, max: 10}", "replicates.of: nothing is given; name a column of the statistics"),
        ("replicates: {deviation: .inf, of: mean, max: 9}", "replicates.deviation: Infinity is not finite; give a fin"),
        (
            "replicates: {half_width: 0.1, of: mean, max: 9}",
            "replicates.of: mean is not for half_width; give deviation",
        ),
        (
            "replicates: {deviation: 0.1, of: growth_rate, max: 9}\nhorizons: [2, 10]",
            "replicates.of: growth_rate is of the last decade; give a horizon of at most 1, a tenth of the last",
        ),
        ("replicates: {drives: 10}", "replicates.weights: nothing is given; this key is needed"),
        (
            "replicates: {weights: 5, drives: 5000}",
            "replicates.drives: 5000 is not possible; give a whole number of at",
        ),
        ("replicates: {weights: 5, drives: 100, states: 100}", "are too many; give at most 4096 a weight draw"),
        ("scale: 1.0e+7", "points[0].replicates: 1e+10 replicates are too many; give a smaller scale"),
        ("scale: 1.0e+308", "points[0].replicates: inf replicates are too many; give a smaller scale, for at most"),
        pytest.param(
            f"horizons: {list(range(1, 100002))}",
            "horizons: 100001 horizons are too many; give at most 100000",
            marks=pytest.mark.slow,
        ),
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
        ("points: [\n{cell: tanh, width: 2}\nunits: 3", "x.yaml: line 4 is not YAML: expected ',' or ']'"),
        ("title: 'a study\npoints: []", "x.yaml: line 4 is not YAML: found unexpected end of stream (while scanning a"),
        ("seed: 1\n  scale: 2", "x.yaml: line 5 is not YAML: mapping values are not allowed here; is it ind"),
        ("points: []\nseed 1\n", "x.yaml: line 5 is not YAML: could not find expected ':' (while scanning"),
        ("points:\n\t- cell: tanh", "is not YAML"),
        ("points: [{cell: tanh, width: 2, width: 3}]", "x.yaml: line 4: the key 'width' is given twice"),
        ("points: [{cell: tanh, width: 010}]", "x.yaml: line 4: 010 is 8 in YAML; write that, or put it in quotes"),
        ("seed: 1:40\npoints: []", "1:40 is 100 in YAML"),
        ("seed: 1\nseed: 2\npoints: []", ": the key 'seed' is given twice"),
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
        (
            "raise RuntimeError('no\\nluck')",
            "own_bad:CELL",
            "cannot be imported (RuntimeError: no luck (own_bad.py, line 1))",
        ),
        ("import sys; sys.exit(3)", "own_bad:CELL", "cannot be imported (SystemExit: 3 (own_bad.py, line 1))"),
        ("def f(:", "own_bad:CELL", "cannot be imported (SyntaxError: "),
        ("CELL = 3", "own_bad:CELL", "is a int; give module:attribute of an rnnmc.Cell instance"),
        ("", "own_bad:CELL", "cannot be imported (AttributeError: "),
        ("", ".own_bad:CELL", "is not module:attribute; "),
        ("", ":CELL", "is not module:attribute; "),
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
