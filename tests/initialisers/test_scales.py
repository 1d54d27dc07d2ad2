"""A scale of 0: an input that is not felt, a bias that is none, and, for recurrent weights, no network.

What is not felt gives the numbers of the drive `none` to the last bit, where both have the same key and so the same
draws of the recurrent weights and the state.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnmc.common.errors import UsageError
from rnnmc.engine.block import Partition, partition, run_block
from rnnmc.engine.choice import CONDITIONAL
from rnnmc.statistics.analyses.analysis import gain_of, input_std_of
from rnnmc.study.options import initialisation
from rnnmc.study.point import DesignPoint
from rnnmc.theory import laws
from rnnmc.theory.assumptions import autonomous

SUNSPOTS = str(Path(__file__).parents[2] / "config/data/sunspots.csv")
UNFELT: dict[str, tuple[Any, Any]] = {
    "white": ("white", {"gaussian": 0}),
    "white, 0.0": ("white", {"gaussian": 0.0}),
    "white, -0.0": ("white", {"gaussian": -0.0}),
    "white in eight dimensions": ({"white": 8}, {"gaussian": 0}),
    "white, uniform": ("white", {"uniform": 0}),
    "white, uniform by its limit": ("white", {"uniform": {"limit": 0}}),
    "white, truncated": ("white", {"truncated_gaussian": 0}),
    "white, orthogonal": ({"white": 2}, {"orthogonal": 0}),
    "white, clipped": ("white", {"gaussian": 0, "clip": 1.0}),
    "white, constant": ("white", {"constant": 0}),
    "field": ("field", {"gaussian": 0}),
    "ar1": ({"ar1": 0.5}, {"gaussian": 0}),
    "constant": ({"constant": 3.0}, {"gaussian": 0}),
    "a file": ({"file": {"path": SUNSPOTS, "column": "SUNACTIVITY"}}, {"gaussian": 0}),
}
NO_BIAS: tuple[Any, ...] = (
    0, {"gaussian": 0}, {"gaussian": -0.0}, {"uniform": 0}, {"uniform": {"limit": 0}}, {"truncated_gaussian": 0},
    {"uniform": {"gain": 0, "terms": 2}}, {"orthogonal": 0},
)  # fmt: skip
GATED = ("lstm", "gru", "gru_reset_after", "gru_tied", "gru_output_gated")


def point(cell: str, drive: Any, input_law: Any = None, **more: Any) -> DesignPoint:
    recurrent = {} if cell == "min_gru" else {"recurrent": {"ring": 0.9} if cell == "lru" else {"gaussian": 1.3}}
    init = recurrent | ({} if input_law is None else {"input": input_law}) | {"bias": more.pop("bias", 0.0)}
    return DesignPoint(
        **{"cell": cell, "width": 3, "init": init, "drive": drive, "state_std": 0.7, "horizons": (1, 7, 40)} | more
    )


def samples(design: DesignPoint, kernel: str) -> list[np.ndarray]:
    """The numbers of a point as though its key were another's, from one kernel."""
    object.__setattr__(design, "key", "0" * 12)
    cut = partition(design)
    table = run_block(design, 0, 20, cut=Partition(cut.tile, cut.block, kernel))
    return [table[name].to_numpy() for name in ("log_spectral", "log_rms")]


def equal(one: DesignPoint, other: DesignPoint, kernel: str) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(samples(one, kernel), samples(other, kernel), strict=True))


@pytest.mark.parametrize("name", UNFELT)
def test_an_input_of_deviation_0_gives_the_numbers_of_no_drive(name: str) -> None:
    for cell in ("tanh", "lstm"):
        assert equal(point(cell, *UNFELT[name]), point(cell, "none"), "rows")
    drive, law = UNFELT[name]
    if "gaussian" in law:
        felt = point("tanh", drive, {"gaussian": 0.4})
        assert not equal(felt, point("tanh", "none"), "rows"), "what is felt changes the numbers"


@pytest.mark.parametrize(
    "cell", ["relu", "linear", "gru", "gru_reset_after", "gru_tied", "gru_output_gated", "min_gru"]
)
def test_an_input_of_deviation_0_leaves_every_cell_to_itself(cell: str) -> None:
    for name in ("white", "field"):
        assert equal(point(cell, *UNFELT[name]), point(cell, "none"), "rows")


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["compiled rows", "compiled columns", "few directions"])
def test_no_kernel_feels_an_input_of_deviation_0(kernel: str) -> None:
    for name in ("white", "field"):
        unfelt, none = point("tanh", *UNFELT[name], width=8), point("tanh", "none", width=8)
        assert equal(unfelt, none, kernel)


def test_untied_matrices_that_are_never_formed_do_not_feel_it_either() -> None:
    more = {"width": 40, "weights": "untied", "horizons": (1, 4)}
    none, unfelt = (point("tanh", *said, **more) for said in (("none",), UNFELT["field"]))
    assert equal(none, unfelt, CONDITIONAL)


@pytest.mark.parametrize("law", NO_BIAS, ids=str)
def test_a_bias_of_deviation_0_is_none(law: Any) -> None:
    for cell in ("tanh", "gru_reset_after"):
        assert equal(point(cell, "none", bias=law), point(cell, "none"), "rows")
        assert not equal(point(cell, "none", bias={"gaussian": 0.5}), point(cell, "none"), "rows")


@pytest.mark.parametrize("name", UNFELT)
def test_every_law_of_theory_applies_to_an_input_that_is_not_felt_where_it_applies_to_none(name: str) -> None:
    applied = 0
    for cell in ("tanh", "relu", "linear", "min_gru", "lru", *GATED):
        for more in ({}, {"state_std": 0.0}, {"weights": "untied"}, {"width": 1}, {"bias": {"gaussian": 0}}):
            unfelt, none = point(cell, *UNFELT[name], **more), point(cell, "none", **more)
            for law in laws().values():
                assert law.applies(unfelt) == law.applies(none), f"{law.name} of {unfelt.label}"
                applied += law.applies(none)
    assert applied > 20


@pytest.mark.parametrize("name", ["white", "field", "constant"])
def test_theory_says_of_an_input_that_is_not_felt_what_it_says_of_none(name: str) -> None:
    told = 0
    for cell, more in itertools.product(("tanh", "linear", "min_gru", "lstm"), ({"state_std": 0.0}, {"width": 1})):
        unfelt, none = point(cell, *UNFELT[name], **more), point(cell, "none", **more)
        for law in (one for one in laws().values() if one.applies(none)):
            said, wanted = law.predict(unfelt), law.predict(none)
            assert said.growth_rate == pytest.approx(wanted.growth_rate, nan_ok=True), law.name
            assert said.log_norm.keys() == wanted.log_norm.keys()
            told += 1
    assert told > 3


def test_an_input_that_some_gates_feel_is_felt() -> None:
    some = {"gaussian": 0.0, "candidate": {"gaussian": 1.0}}
    for drive in ("white", "field"):
        assert not autonomous(point("lstm", drive, some))
        assert not equal(point("lstm", drive, some), point("lstm", "none"), "rows")
        assert not equal(point("lstm", drive, some), point("lstm", drive, {"gaussian": 1.0}), "rows")


def test_analyses_place_an_input_that_is_not_felt_at_0() -> None:
    for drive in ("none", "white", "field"):
        said = point("tanh", drive, None if drive == "none" else {"gaussian": 0}).written()
        assert input_std_of(said) == 0
        assert gain_of(said) == 1.3


@pytest.mark.parametrize(
    ("role", "law", "problem"),
    [
        ("recurrent", {"gaussian": 0}, "recurrent.gaussian: 0 is not a possible gain; give a number above 0; weights"),
        ("recurrent", {"gaussian": -0.0}, "recurrent.gaussian: -0.0 is not a possible gain; give a number above 0"),
        ("recurrent", {"gaussian": {"gain": 0}}, "recurrent.gaussian: 0 is not a possible gain; give a number above"),
        ("recurrent", {"uniform": 0}, "recurrent.uniform: 0 is not a possible gain; give a number above 0"),
        ("recurrent", {"uniform": {"limit": 0}}, "recurrent.uniform.limit: 0 is not a possible limit; give a number"),
        (
            "recurrent",
            {"truncated_gaussian": 0},
            "is not a possible gain; give a number above 0; weights that",
        ),
        ("recurrent", {"orthogonal": 0}, "recurrent.orthogonal: 0 is not a possible gain; give a number above 0"),
        (
            "recurrent",
            {"gaussian": 1, "hidden": {"gaussian": 0}},
            "hidden.gaussian: 0 is not a possible gain",
        ),
        ("recurrent", {"gaussian": -1}, "recurrent.gaussian: -1 is not a possible gain; give a number above 0"),
        ("recurrent", {"gaussian": 1, "clip": 0}, "is not a possible clip; give a number above 0"),
        ("input", {"gaussian": -1}, "input.gaussian: -1 is not a possible gain; give a number of at least 0"),
        (
            "input",
            {"uniform": {"limit": -1}},
            "input.uniform.limit: -1 is not a possible limit; give a number of",
        ),
        ("input", {"gaussian": float("nan")}, "is not finite; give a finite number"),
        ("input", {"gaussian": True}, "input.gaussian: true is not a number; give a number"),
        ("bias", {"gaussian": -0.5}, "bias.gaussian: -0.5 is not a possible gain; give a number of at least 0"),
    ],
)
def test_a_scale_that_leaves_no_network_or_is_none_is_refused(role: str, law: Any, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        DesignPoint(cell="tanh", width=3, init={"recurrent": {"gaussian": 1.0}} | {role: law})
    assert problem in str(caught.value)


def test_recurrent_weights_that_are_said_to_be_0_are() -> None:
    design = DesignPoint(cell="tanh", width=3, init={"recurrent": {"constant": 0}}, horizons=(1, 3))
    assert (samples(design, "rows")[0] == -np.inf).all()


@pytest.mark.parametrize("drive", ["white", "field", "none"])
def test_the_option_of_0_is_taken(drive: str) -> None:
    said = initialisation("gaussian", 1.3, 0.0, [])
    design = DesignPoint(cell="tanh", width=3, init=said, drive=drive, horizons=(4,))
    assert design.init.written()["input"] == {"gaussian": 0.0}
    assert autonomous(design)
