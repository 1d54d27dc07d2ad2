"""A law says nothing where one of its assumptions fails."""

import math
import subprocess
import sys

import pytest

from rnnmc.study.point import DesignPoint
from rnnmc.theory import laws, predictions
from rnnmc.theory.large_width import zero_state

GAUSSIAN = {"recurrent": {"gaussian": 1.2}, "input": {"gaussian": 0.5}}
FED = {"input": {"gaussian": 0.5}}
QUIET = {"init": GAUSSIAN, "drive": "none", "width": 8}
FIELD = QUIET | {"drive": "field"}


def biased(gate, value=0.3):
    return {"init": GAUSSIAN | {"bias": {"constant": 0.0, gate: value}}}


def recurrent(**law):
    return {"init": GAUSSIAN | {"recurrent": law}}


def bare(**bias):
    """No recurrent weights, and these biases."""
    return {"init": GAUSSIAN | {"recurrent": {"constant": 0.0}, "bias": bias}}


CLIP = recurrent(gaussian=1.2, clip=1.0)
RADIUS = recurrent(gaussian=1.2, spectral_radius=1.0)
TIED, UNTIED = {"weights": "tied"}, {"weights": "untied"}

# law -> (a point that meets its assumptions, changes each of which breaks one)
CASES = {
    "linear_untied": (
        QUIET | UNTIED | {"cell": "linear"},
        [
            TIED, CLIP, RADIUS, recurrent(uniform=1.2), recurrent(orthogonal=1.0), {"cell": "relu"},
            {"cell": "tanh", "state_std": 1.0}, {"cell": "tanh"} | biased("hidden"), {"cell": "tanh", "drive": "white"},
            {"drive": "white", **recurrent(gaussian=3.0)},  # the state overflows
        ],
    ),
    "linear_one_unit": (
        QUIET | {"cell": "linear", "width": 1},
        [
            {"width": 2}, UNTIED, CLIP, RADIUS, recurrent(uniform={"gain": 1.0, "terms": 2}), {"drive": "white"},
            {"cell": "relu"}, {"cell": "tanh", "state_std": 0.1}, {"cell": "tanh"} | biased("hidden"),
            biased("hidden"), {"state_std": 1.0}, recurrent(identity=1.0),
        ],
    ),
    "linear_orthogonal": (
        QUIET | {"cell": "linear"} | recurrent(orthogonal=1.0),
        [
            recurrent(gaussian=1.0), recurrent(orthogonal=1.0, clip=0.5),
            recurrent(orthogonal=1.0, spectral_radius=1.0),
            {"cell": "tanh", "state_std": 0.1}, {"cell": "tanh"} | {"drive": "white"}, {"cell": "relu"},
            {"drive": "white"} | recurrent(orthogonal=1.1), {"state_std": 1.0} | recurrent(orthogonal=1.1),
        ],
    ),
    "relu_untied": (
        QUIET | UNTIED | {"cell": "relu", "state_std": 1.0, "dtype": "float64"},
        [
            TIED, {"cell": "linear"}, {"state_std": 0.0}, biased("hidden"), CLIP, RADIUS, recurrent(uniform=1.2),
            recurrent(gaussian=0.3), recurrent(gaussian=9.0), {"horizons": (10**5,)},
            {"drive": "constant", "state_std": 0.0}, {"drive": "white"}, {"drive": "ar1"},  # input weights stay
        ],
    ),
    "irnn": (
        QUIET | {"cell": "relu", "state_std": 1.0} | recurrent(identity=1.0),
        [
            recurrent(identity=0.9), recurrent(identity=1.0, clip=0.5), recurrent(constant=1.0), {"drive": "white"},
            {"drive": "field"}, {"drive": "ar1", "state_std": 0.0}, {"drive": "constant", "state_std": 0.0},
            {"state_std": 0.0}, {"cell": "tanh"}, {"init": {"recurrent": {"identity": 1.0}, "bias": {"constant": 0.1}}},
        ],
    ),
    "lru": (
        QUIET | {"cell": "lru", "init": {"recurrent": {"ring": {"outer": 1.0, "inner": 0.9}}}},
        [
            UNTIED, {"init": {"recurrent": {"ring": {"outer": 1.0, "inner": 0.9}, "clip": 0.95}}},
            {"init": {"recurrent": {"uniform": {"limit": 1.0}}}},
            {"init": {"recurrent": {"ring": 1.1}}, "drive": "white"},
            {"init": {"recurrent": {"ring": 1.1}, "bias": {"constant": 1.0}}},
        ],
    ),
    "min_gru": (
        FIELD | {"cell": "min_gru", "init": FED},
        [
            {"drive": "white"}, {"drive": "none"}, {"drive": "ar1"}, {"cell": "minimal_rnn", "init": GAUSSIAN},
            {"init": FED | {"bias": {"uniform": 1.0}}}, {"init": FED | {"bias": {"chrono": 9.0}}},
        ],
    ),
    "tanh_one_unit": (
        QUIET | {"cell": "tanh", "width": 1, "state_std": 1.0},
        [
            {"width": 2}, UNTIED, {"state_std": 0.0}, biased("hidden"), CLIP, recurrent(uniform=1.2),
            {"cell": "linear"}, {"drive": "ar1"}, {"drive": "constant"}, {"drive": "white"}, {"drive": "field"},
        ],
    ),
    "zero_weights": (
        QUIET | {"cell": "lstm"} | recurrent(constant=0.0),
        [
            recurrent(constant=0.1), CLIP, {"drive": "white"}, {"drive": "field"}, {"drive": "constant"},
            {"cell": "tanh"}, {"init": {"recurrent": {"constant": 0.0}, "bias": {"uniform": 1.0}}},
            {"init": {"recurrent": {"constant": 0.0, "forget": {"gaussian": 1.0}}}},
            {"init": {"recurrent": {"constant": 0.0}, "bias": {"chrono": 10.0}}},
        ],
    ),
    "independent_units": (
        QUIET | {"cell": "lstm"} | bare(forget={"gaussian": 1.0}, output=1.0, candidate=1.0),
        [
            bare(forget=1.0), {"init": GAUSSIAN | {"bias": {"constant": 0.0, "forget": {"gaussian": 1.0}}}},
            bare(forget={"truncated_gaussian": 1.0}), bare(forget={"gaussian": 1.0, "clip": 1.0}), {"drive": "white"},
            {"drive": "field"}, {"drive": {"constant": 0.0}} | bare(forget=1.0), {"cell": "tanh", "init": GAUSSIAN},
            {"drive": "constant"}, {"init": {"recurrent": {"constant": 0.0, "forget": {"gaussian": 1.0}}}},
            {"init": {"recurrent": {"identity": 1.0}, "bias": {"forget": {"uniform": 1.0}, "candidate": 1.0}}},
            {"init": {"recurrent": {"identity": 1.0}, "bias": {"forget": {"uniform": 1.0}}}, "state_std": 1.0},
            {"init": GAUSSIAN, "width": 1, "weights": "untied"}, {"init": GAUSSIAN, "width": 1, "state_std": 1.0},
            {"init": GAUSSIAN, "cell": "minimal_rnn", "width": 1},
        ],
    ),
    "driven_gates": (
        FIELD | {"cell": "gru"} | bare(update=1.0),
        [
            {"drive": "none"}, {"drive": "white"}, {"drive": "ar1"}, {"cell": "min_gru", "init": FED},
            {"cell": "tanh", "init": GAUSSIAN},
            bare(update={"uniform": 1.0}), {"init": GAUSSIAN},
            {"init": {"recurrent": {"constant": 0.0}, "bias": {"chrono": 9.0}}},
        ],
    ),
    "white_gates": (
        QUIET | {"cell": "gru", "drive": {"white": 2}, "width": 1} | bare(update=1.0),
        [
            {"drive": "none"}, {"drive": "field"}, {"drive": "ar1"}, {"cell": "tanh", "init": GAUSSIAN},
            bare(update={"uniform": 1.0}), {"init": GAUSSIAN},
            {"cell": "lstm", "width": 2, "init": {"recurrent": {"constant": 0.0}}},
            {"init": {"recurrent": {"constant": 0.0}, "input": {"uniform": 1.0}}},
        ],
    ),
    "zero_state_vector": (
        QUIET | UNTIED | {"cell": "lstm"} | biased("forget"),
        [
            TIED, {"state_std": 0.1}, {"drive": "white"}, {"drive": "field"}, biased("candidate"), CLIP, RADIUS,
            recurrent(uniform=1.2), recurrent(orthogonal=1.0), {"cell": "minimal_rnn", "init": GAUSSIAN},
            {"cell": "tanh", "init": GAUSSIAN}, {"init": GAUSSIAN | {"bias": {"forget": {"uniform": 1.0}}}},
        ],
    ),
    "norm_bounds": (
        QUIET | {"cell": "tanh"} | recurrent(orthogonal=1.2),
        [recurrent(gaussian=1.2), recurrent(orthogonal=1.2, clip=0.3), {"cell": "lstm"}, recurrent(uniform=1.2)],
    ),
    "zero_state": (
        QUIET | {"cell": "lstm"},
        [
            {"state_std": 0.1}, {"drive": "white"}, {"drive": "field"}, biased("candidate"), {"width": 1}, CLIP, RADIUS,
            {"init": GAUSSIAN | {"bias": {"uniform": 0.1}}}, {"init": GAUSSIAN | {"bias": {"chrono": 10.0}}},
            {"cell": "relu"}, {"cell": "gru_reset_after"} | biased("candidate_recurrent"), recurrent(identity=1.0),
        ],
    ),
    "framework_default": (
        QUIET | {"cell": "lstm", "init": "pytorch"},
        [
            {"init": "keras"}, {"init": "flax"}, {"drive": "white"}, {"state_std": 1.0}, UNTIED, {"width": 1},
            {"init": {"preset": "pytorch", "bias": {"forget": 2.0}}}, {"cell": "relu"}, {"cell": "minimal_rnn"},
            {"init": {"preset": "pytorch", "bias": {"candidate": 1.0}}},
            {"init": {"preset": "pytorch", "bias": {"forget": {"uniform": 1.0}}}},
            {"init": {"preset": "pytorch", "recurrent": {"gaussian": 3.0}}},
        ],
    ),
    "tanh_autonomous": (
        QUIET | {"cell": "tanh", "state_std": 1.0},
        [
            {"state_std": 0.0}, {"drive": "white"}, {"drive": "field"}, biased("hidden"), CLIP, RADIUS, {"width": 1},
            recurrent(orthogonal=1.2), {"cell": "relu"},
        ],
    ),
    "tanh_driven": (
        FIELD | {"cell": "tanh"},
        [
            {"drive": "white"}, {"drive": {"white": 100}}, {"drive": "none"}, {"drive": "ar1"}, biased("hidden"), CLIP,
            RADIUS, {"width": 1}, recurrent(orthogonal=1.2), {"cell": "relu"},
        ],
    ),
    "frozen_edge": (
        QUIET | {"cell": "gru", "init": GAUSSIAN | {"bias": {"chrono": 20.0}}},
        [
            UNTIED, {"state_std": 0.1}, {"drive": "white"}, {"init": GAUSSIAN}, {"cell": "minimal_rnn"},
            {"init": GAUSSIAN | {"bias": {"constant": 0.0, "candidate": 0.1, "update": {"chrono": 9.0}}}},
            {"init": {"recurrent": {"orthogonal": 1.0}, "bias": {"chrono": 20.0}}},
            {"init": GAUSSIAN | {"bias": {"chrono": 20.0, "clip": 1.0}}},
            {"init": GAUSSIAN | {"bias": {"constant": 0.0, "update": {"truncated_gaussian": 1.0}}}},
        ],
    ),
}  # fmt: skip
CASES["tied_population"] = (
    FIELD | {"cell": "lstm"},
    [
        UNTIED, {"width": 1}, CLIP, RADIUS, recurrent(identity=1.0), recurrent(constant=0.0), {"drive": "none"},
        {"drive": "none"} | biased("forget"), {"cell": "tanh"}, {"cell": "relu"}, {"cell": "linear"},
        {"cell": "tanh", "drive": "none", "state_std": 1.0}, {"drive": "none", "init": "pytorch"},
        {"cell": "min_gru", "init": FED}, {"drive": "none", "init": GAUSSIAN | {"bias": {"chrono": 20.0}}},
        {"drive": "white", "init": GAUSSIAN | {"input": {"orthogonal": 1.0}}},
        {"init": GAUSSIAN | {"bias": {"orthogonal": 1.0}}},
    ],
)  # fmt: skip
UNTIED_CELLS = {
    "tanh": "hidden",
    "minimal_rnn": "candidate",
    "gru": "candidate",
    "gru_tied": "candidate",
    "gru_reset_after": "candidate_recurrent",
    "gru_output_gated": "candidate",
    "lstm": "candidate",
}
for _cell, _gate in UNTIED_CELLS.items():
    CASES[f"untied_{_cell}"] = (
        FIELD | UNTIED | {"cell": _cell},
        [TIED, {"drive": "white"}, {"drive": "ar1"}, biased(_gate), CLIP, RADIUS, recurrent(orthogonal=1.0),
         {"width": 1}, {"init": GAUSSIAN | {"bias": {"uniform": 0.1}}}, {"cell": "relu"}],
    )  # fmt: skip
CASES["untied_relu"] = (
    FIELD | UNTIED | {"cell": "relu", "width": 64} | recurrent(gaussian=2**0.5),
    [TIED, {"drive": "white"}, {"drive": "none"}, biased("hidden"), recurrent(gaussian=4.0), {"cell": "linear"}],
)
BROKEN = [(name, i) for name, (_, changes) in CASES.items() for i in range(len(changes))]


def test_every_law_has_its_near_misses():
    assert set(CASES) == set(laws())


@pytest.mark.parametrize("name", CASES)
def test_a_law_holds_where_its_assumptions_do_and_predicts_something(name):
    point = DesignPoint(**CASES[name][0])
    found = {law.name: prediction for law, prediction in predictions(point)}[name]
    assert found.growth_rate is not None or found.explode_at_most is not None


@pytest.mark.parametrize(("name", "i"), BROKEN)
def test_a_near_miss_is_refused(name, i):
    base, changes = CASES[name]
    assert not laws()[name].applies(DesignPoint(**base | changes[i]))


def test_exact_laws_come_first_and_all_that_hold_are_there():
    found = [law.name for law, _ in predictions(DesignPoint(**QUIET | UNTIED | {"cell": "linear"}))]
    assert found == ["linear_untied", "zero_state"]
    gated = [law.name for law, _ in predictions(DesignPoint(**QUIET | UNTIED | {"cell": "gru"}))]
    assert gated == ["zero_state_vector", "untied_gru", "zero_state"]


USERS_CELLS = """
from rnnmc.cells.cell import AtZero, Cell
from rnnmc.cells.lstm import LSTM

class Silent(LSTM):
    pass

class Other(LSTM):
    def linearise(self, weights, drive, state):
        return super().linearise(weights, {**drive, "forget": -drive["forget"]}, state)

class Stating(LSTM):
    at_zero, gating = LSTM.at_zero, LSTM.gating

class Slow(Cell):
    name, gates, at_zero = "slow", ("hidden",), AtZero(("hidden",), "hidden")

    def slopes(self):
        return 0.875, 0.125

    def step(self, weights, drive, state):
        (h,) = state
        return (0.875 * h + 0.125 * (drive["hidden"] + weights.apply(h, "hidden")["hidden"]).sin(),)

SAME, SILENT, OTHER, STATING, SLOW = LSTM(), Silent(), Other(), Stating(), Slow()
"""


def test_a_user_s_cell_has_the_laws_that_its_class_states_and_inherits_none(tmp_path, monkeypatch):
    (tmp_path / "theirs.py").write_text(USERS_CELLS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))

    def found(cell, **more):
        point = DesignPoint(**QUIET | {"cell": cell} | more)
        return {law.name: prediction for law, prediction in predictions(point)}

    assert found("theirs:SILENT") == found("theirs:OTHER") == {}
    ours, growth = found("lstm"), {name: p.growth_rate for name, p in found("theirs:STATING").items()}
    assert set(ours) == {"zero_state"}
    assert growth == {"zero_state": ours["zero_state"].growth_rate}
    assert found("theirs:STATING", **bare(forget=1.0)).keys() == {"zero_weights"}
    assert found("theirs:SILENT", drive="field").keys() == {"tied_population"}  # of what it does, whatever it states
    assert found("theirs:SLOW", drive="field") == {}  # its state is not bounded
    assert set(found("theirs:SAME", **UNTIED)) == {"zero_state_vector", "zero_state"}  # no more: `untied_lstm` is ours
    slow = found("theirs:SLOW")["zero_state"]
    assert slow.growth_rate == pytest.approx(math.log(0.875 + 0.125 * 1.2))
    assert slow.onset_gain == pytest.approx(1.0)
    assert set(found("theirs:SLOW", **UNTIED)) == {"zero_state_vector", "zero_state"}


def test_a_zero_state_that_turns_its_sign_grows_by_the_moduli():
    assert zero_state.growth(-0.5, -1.5, 1.0, "tied") == math.log(2.0)
    assert zero_state.onset(-0.5, 1.5, "tied") == pytest.approx(1 / 3)
    assert zero_state.onset(-2.0, 1.0, "untied") is None


@pytest.mark.process
def test_theory_imports_neither_torch_nor_ray():
    code = "import sys, rnnmc.theory; rnnmc.theory.laws(); print({'torch', 'ray'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "set()"


@pytest.mark.parametrize("gain", [1e-20, 1e20])
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru", "gru_reset_after", "linear"])
def test_a_gain_beyond_what_a_law_can_follow_leaves_the_point_without_it(cell: str, gain: float) -> None:
    for weights, drive in (("untied", "field"), ("tied", "none")):
        init = {"recurrent": {"gaussian": gain}}
        for _, found in predictions(DesignPoint(cell=cell, width=3, weights=weights, drive=drive, init=init)):
            assert found.growth_rate is None or math.isfinite(found.growth_rate)
