"""What is read from a study file and written out again, whatever it says."""

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from studies import HEAD, ROOT, entry

from rnnmc.common.errors import UsageError
from rnnmc.study.point import DesignPoint, horizons_up_to
from rnnmc.study.study import Study, Thresholds, load_study, read_study

SUNSPOTS = str(ROOT / "config/data/sunspots.csv")


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


def test_a_number_of_replicates_may_be_written_with_an_exponent(load):
    assert load(entry("replicates: 2e3")).points[0].replicates == 2000
    assert load(entry("replicates: {half_width: 0.01, max: 1e5}")).points[0].replicates == 100_000
    with pytest.raises(UsageError, match=r"replicates: 2000.5 is not possible; give a whole number"):
        load(entry("replicates: 2.0005e3"))
    assert load(entry("seed: 1e3")).points[0].point.seed == 1000


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
  - {{cell: tanh, width: 4, replicates: {{relative: 0.5, max: 5000}}, seed: 1}}
  - {{cell: tanh, width: 4, replicates: {{events: 100, of: p_explode_by, max: 5000}}, seed: 2}}
  - {{cell: tanh, width: 4, replicates: {{deviation: 1.0e-3, of: growth_rate, max: 5000}}, seed: 3}}
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
    assert set(written) == set(DesignPoint.model_fields) - {"splitting"}  # said where there is one
    assert DesignPoint(**written).key == DesignPoint(cell="tanh", width=2).key


WORDS = re.findall(
    r"\w+",
    """gaussian uniform ring chrono identity gain limit clip spectral_radius stacked recurrent input bias forget preset
    white ar1 dimension file path to per_decade vanish explode half_width relative events deviation of max""",
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


@pytest.mark.slow
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
