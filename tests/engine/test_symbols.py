# ruff: noqa: FURB171, FURB192, C416, B905, NPY002 - odd ways to ask are the point
"""What a cell asks of its tensors is answered by the numbers or not at all; and the kernel that runs is looked at."""

from __future__ import annotations

import copy
import logging
import math
import random
import sys
import time
from typing import Any

import numpy as np
import pytest
import torch
from grids import FULL, spread

import rnnmc
from rnnmc.cells import cells
from rnnmc.engine import run
from rnnmc.engine.block import run_block
from rnnmc.engine.compiled import agreement, follow, symbols
from rnnmc.engine.compiled.check_kernel import check_kernel
from rnnmc.engine.compiled.symbols import Untraceable
from rnnmc.engine.compiled.trace import traced
from rnnmc.engine.few_directions.factored import Linearised
from rnnmc.numerics import compiler
from rnnmc.numerics.layout import Columns, Rows

needs_compiler = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler on this machine")


class Gain(rnnmc.Cell):
    """A tanh network whose slope is scaled by what `gain` makes of pre-activation and state; right only if it is 1."""

    name, formula, source, gates = "gain", "-", "a test", ("hidden",)

    def gain(self, a: Any, h: Any) -> Any:
        return 1.0

    def linearise(self, weights, drive, state):
        (h,) = state
        a = drive["hidden"] + weights.apply(h, "hidden")["hidden"]
        jacobian = weights.recurrent["hidden"] * self.gain(a, h) * (1 - a.tanh() * a.tanh())
        return (a.tanh(),), lambda directions: (weights.product(directions[0], jacobian),)


def cell_with(gain) -> Gain:
    return type("Own", (Gain,), {"gain": lambda _, a, h: gain(a, h)})()


def some(asked) -> float:
    """Whatever was answered, one gain or another is the consequence."""
    return 1.0 if asked else 0.5


def caught(asked) -> float:
    try:
        return some(asked())
    except Exception:  # as a cell may, and go on without what it asked for
        return 0.25


KEPT: dict[Any, float] = {}
ASKED = {
    "is it true": lambda a, h: some(a),
    "not": lambda a, h: some(not a),
    "and": lambda a, h: some(a and h),
    "if equal": lambda a, h: some(a == h),
    "if unequal": lambda a, h: some(a != 0),
    "if above": lambda a, h: some(a > 0),
    "a chain of comparisons": lambda a, h: some(-1 < a < 1),
    "a chain with equals": lambda a, h: some(0 <= a <= h),
    "in a list": lambda a, h: some(a in [h]),
    "a number in it": lambda a, h: some(0.0 in a),
    "the place in a list": lambda a, h: some([h, a].index(a)),
    "length": lambda a, h: some(len(a) > 3),
    "iteration": lambda a, h: some([one for one in a]),
    "unpacking": lambda a, h: some((lambda *all_: all_)(*a)),
    "zip": lambda a, h: some(list(zip(a, h))),
    "reversed": lambda a, h: some(reversed(a)),
    "an index": lambda a, h: some(a[0]),
    "a slice": lambda a, h: a[..., :1],
    "an assignment": lambda a, h: a.__setitem__(0, 1.0),
    "a key": lambda a, h: KEPT.setdefault(a, 1.0),
    "hash": lambda a, h: some(hash(a) % 2),
    "a set": lambda a, h: some(len({a, h}) > 1),
    "float": lambda a, h: float(a),
    "int": lambda a, h: int(a),
    "math": lambda a, h: math.exp(a),
    "round": lambda a, h: some(round(a)),
    "max": lambda a, h: max(a, h),
    "sorted": lambda a, h: sorted([a, h])[0],
    "any": lambda a, h: some(any([a, h])),
    "a range": lambda a, h: some(range(a)),
    "a format": lambda a, h: some(f"{a}" == "0"),
    "a text": lambda a, h: some("Symbol" in str(a)),
    "isinstance": lambda a, h: some(isinstance(a, torch.Tensor)),
    "isinstance of a number": lambda a, h: some(isinstance(a, int | float)),
    "is_tensor": lambda a, h: some(torch.is_tensor(a)),
    "hasattr": lambda a, h: some(hasattr(a, "shape")),
    "shape": lambda a, h: some(a.shape[0] == 1),
    "dtype": lambda a, h: some(a.dtype == torch.float64),
    "device": lambda a, h: some(str(a.device) == "cpu"),
    "item": lambda a, h: a.item(),
    "any entry": lambda a, h: some((a > 0).any()),
    "numpy": lambda a, h: np.asarray(a),
    "a ufunc": lambda a, h: np.exp(a),
    "a tensor of it": lambda a, h: torch.tensor(a),
    "a random tensor like it": lambda a, h: torch.rand_like(a),
    "a copy": lambda a, h: copy.copy(a),
    "a deep copy": lambda a, h: copy.deepcopy(a),
    "a mark on it": lambda a, h: setattr(a, "seen", True),
    "an assignment in place": lambda a, h: a.__iadd__(1.0),
    "addition in place": lambda a, h: h.add_(1.0),
    "a remainder": lambda a, h: a % 2,
    "a floor": lambda a, h: a // 1,
    "a power": lambda a, h: a**2.5,
    "a base": lambda a, h: 2**a,
    "a matrix product": lambda a, h: a @ h,
    "two truths added": lambda a, h: (a > 0) + (h > 0),
    "a truth times a number": lambda a, h: (a > 0) * 0.1,
    "one less a truth": lambda a, h: 1 - (a > 0),
    "the negative of a truth": lambda a, h: -(a > 0),
    "numbers chosen": lambda a, h: torch.where(a > 0, 1.0, 0.1),
    "a sum over an axis": lambda a, h: a.sum(-1),
    "isinstance, caught": lambda a, h: caught(lambda: isinstance(a, torch.Tensor)),
    "length, caught": lambda a, h: caught(lambda: len(a)),
    "truth, caught": lambda a, h: caught(lambda: bool(a > 0)),
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_a_symbol_cannot_answer_is_untraceable(asked):
    with pytest.raises(Untraceable):
        traced(cell_with(ASKED[asked]))


class Counts(Gain):
    """Its gain changes from call to call, by `which` way of counting."""

    def __init__(self, which: str):
        self.which, self.calls, self.met = which, 0, []
        self.iterator = iter(range(10**9))
        self.generator = np.random.default_rng(0)

    def gain(self, a, h):
        self.calls += self.which == "a field"
        if self.which == "a list":
            self.met.append(1)
        COUNTED[0] += 1
        return {
            "a field": lambda: self.calls,
            "a list": lambda: len(self.met),
            "a rare field": lambda: self.__dict__.update(rare=self.__dict__.get("rare", 0) + 1) or 1.0,
            "a global": lambda: COUNTED[0],
            "an iterator": lambda: next(self.iterator),
            "time": time.perf_counter_ns,
            "random": random.random,
            "random, seldom": lambda: some(random.random() > 1e-9),
            "numpy": np.random.standard_normal,
            "numpy, seldom": lambda: some(np.random.uniform() > 1e-9),
            "a generator": self.generator.standard_normal,
            "torch": lambda: float(torch.randn(())),
            "torch, seldom": lambda: some(float(torch.rand(())) > 1e-9),
            "the place in memory": lambda: id(object.__new__(type("New", (), {}))) + time.perf_counter_ns(),
        }[self.which]()


COUNTED = [0]
WAYS = "a field,a list,a rare field,a global,an iterator,time,random,numpy,a generator,torch,the place in memory"
SELDOM = ["random, seldom", "numpy, seldom", "torch, seldom"]


@pytest.mark.parametrize("which", WAYS.split(",") + SELDOM)
def test_what_changes_from_step_to_step_is_untraceable_and_says_so(which):
    with pytest.raises(Untraceable, match=r"every step would"):
        traced(Counts(which))


def test_a_cell_that_does_the_same_each_time_is_traced():
    assert traced(Gain()).pushed
    assert traced(cell_with(lambda a, h: 2.0)).pushed


GIVEN = {
    "a number for the state": (lambda a: (0.0,), lambda directions: directions),
    "a number for the directions": (lambda a: (a,), lambda directions: (0.0,)),
    "a vector for the directions": (lambda a: (a,), None),
    "a truth for the state": (lambda a: (a > 0,), lambda directions: directions),
    "a part too many": (lambda a: (a, a), lambda directions: directions),
    "nothing": (lambda a: None, lambda directions: directions),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_is_no_state_or_no_directions_is_untraceable(name):
    state_of, push = GIVEN[name]

    class Odd(Gain):
        def linearise(self, weights, drive, state):
            return state_of(drive["hidden"]), push or (lambda directions: (drive["hidden"],))

    with pytest.raises(Untraceable):
        traced(Odd())


# --- comparisons that have a symbol ---------------------------------------------------------------

NUMBERS = [0.0, -0.0, 1.0, -1.0, 1e-45, 0.5, math.inf, -math.inf, math.nan, 3.0]
PAIRS = [(a, h) for a in NUMBERS for h in NUMBERS]
TRACED = {
    ">": lambda a, h: h * (a > h),
    "<": lambda a, h: h * (a < 0),
    ">=": lambda a, h: h * (a >= h),
    "<=": lambda a, h: h * (a <= 0),
    "==": lambda a, h: h * (a == h),
    "!=": lambda a, h: h * (a != 0),
    "a number first": lambda a, h: (0.5 <= a) * h,
    "both": lambda a, h: ((a > -1) & (a <= 0.5)) * h,
    "either": lambda a, h: ((a < -1) | (a == 0)) * h,
    "one of two": lambda a, h: ((a > -2) ^ (h > 0)) * h,
    "not": lambda a, h: ~(a != 0) * h,
    "where": lambda a, h: torch.where(a > 0, a, 0.1 * h),
    "where of a tensor": lambda a, h: a.where(a <= 0, h),
    "where with a number": lambda a, h: h.where(a != a, 7.0),
    "as a dtype": lambda a, h: h - (a > 0).to(a.dtype) * 3,
    "as a type": lambda a, h: (a == 0).type_as(h) + h,
    "as float": lambda a, h: (a >= 0).float() - h,
    "torch's names": lambda a, h: torch.ne(a, 0) * torch.ge(h, a) * h,
    "powers": lambda a, h: a**2 - h**3 + abs(a) + (h * h) ** 0.5,
}


class Toy(rnnmc.Cell):
    """Its state is what every expression gives of two numbers."""

    name, formula, source, gates, parts = "toy", "-", "a test", ("one", "other"), tuple(TRACED)

    def linearise(self, weights, drive, state):
        return tuple(one(drive["one"], drive["other"]) for one in TRACED.values()), lambda directions: directions


def told(dtype, layout) -> np.ndarray:
    """(expression, pair) what the kernel gives of all pairs of NUMBERS."""

    kind, columns = getattr(torch, dtype), isinstance(layout, Columns)
    function, _ = follow.made(Toy(), 1, kind, columns)
    assert function is not None
    count = len(PAIRS)
    drive = layout.load(np.array(PAIRS).reshape(count, 1, 2), kind, "cpu")
    parts = len(TRACED)
    weights, rows = torch.zeros(2 * count, dtype=kind), torch.ones(parts * parts * count, dtype=kind)
    state, flags = torch.zeros(parts, count, dtype=kind), torch.ones(count, dtype=torch.bool)
    exponent = torch.zeros(count, dtype=torch.int64)
    fixed = (weights, None, drive, None, None, None, state, rows, exponent, flags, flags.clone())
    function(count, 1, 0, *(None if one is None else one.data_ptr() for one in fixed))
    return state.numpy()


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", [Columns(), Rows()], ids=["columns", "rows"])
def test_comparisons_are_torchs_at_zero_of_either_sign_and_at_what_is_no_number(layout, dtype):
    one, other = (torch.tensor([pair[i] for pair in PAIRS], dtype=getattr(torch, dtype)) for i in (0, 1))
    for (name, expression), found in zip(TRACED.items(), told(dtype, layout), strict=True):
        wanted = expression(one, other).numpy()
        np.testing.assert_allclose(found, wanted, rtol=4 * np.finfo(dtype).eps, err_msg=name)


# --- the kernel is looked at ----------------------------------------------------------------------


class MaskedRelu(rnnmc.Cell):
    """A relu whose tangent is masked by "is not zero"."""

    name, formula, source, gates = "masked_relu", "h' = max(a, 0)", "a test", ("hidden",)
    can_die = True

    def linearise(self, weights, drive, state):
        after = (drive["hidden"] + weights.apply(state[0], "hidden")["hidden"]).relu()
        jacobian = weights.recurrent["hidden"] * (after != 0)
        return (after,), lambda directions: (weights.product(directions[0], jacobian),)


MASKED = MaskedRelu()
LINEAR = type("Fooling", (Gain,), {"gain": lambda _, a, h: 1.0 if type(a) is torch.Tensor else 2.0})()
HERE = f"tests.engine.{__name__.rpartition('.')[2]}"
DRAWN = {"recurrent": {"gaussian": 1.2}, "input": {"gaussian": 1.0}}


@pytest.mark.slow
@needs_compiler
def test_a_relu_masked_by_is_not_zero_is_the_relu_on_the_kernel_too():
    horizons, vanished = (1, 10, 100), {}
    for cell in (f"{HERE}:MASKED", "relu"):
        point = rnnmc.DesignPoint(cell=cell, width=8, init=DRAWN, horizons=horizons)
        assert run.made_by(point, "cpu", "compiled columns") == "compiled columns"
        table = run_block(point, 0, 400)
        last = table.filter(table["horizon"].to_numpy() == 100)["log_spectral"].to_numpy()
        vanished[cell] = float((last < math.log(1e-3)).mean()), float((last > math.log(1e3)).mean())
    for vanish, explode in vanished.values():  # .77 and .14, each within five standard errors
        assert abs(vanish - 0.77) < 0.105
        assert abs(explode - 0.14) < 0.09


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("cell", "by_replicate", "dtype"), spread([True, False], [torch.float32, torch.float64]))
def test_the_kernels_of_every_cell_of_ours_are_the_plain_engines_step(cell, by_replicate, dtype):
    width = 3 if by_replicate else 17
    function, _ = follow.made(cells()[cell], width, dtype, by_replicate)
    assert function is not None
    assert agreement.disagreement(cells()[cell], function, width, dtype, by_replicate) <= (0.5 if cell in FULL else 1)


def planted(cell, change):
    """The least disagreement of kernels whose trace is that of another cell, in both layouts."""
    found = []
    for by_replicate, width, dtype in ((True, 3, torch.float64), (False, 17, torch.float32)):
        function, _ = follow.made(change, width, dtype, by_replicate)
        assert function is not None
        found.append(agreement.disagreement(cell, function, width, dtype, by_replicate))
    return min(found)


MISTAKES = {
    "a mask that is always there": (MASKED, lambda a, u: (a.relu(), u)),
    "a mask of what is below": (MASKED, lambda a, u: (a.relu(), u * (a < 0))),
    "a mask at the other side of zero": (cells()["relu"], lambda a, u: (a.relu(), u * (a >= 0))),
    "another state": (MASKED, lambda a, u: (a, u * (a > 0))),
    "a slope a little off": (cells()["tanh"], lambda a, u: (a.tanh(), u * (1 - a.tanh() * a.tanh()) * 1.0001)),
    "a state a little off": (cells()["tanh"], lambda a, u: (a.tanh() * 1.0001, u * (1 - a.tanh() * a.tanh()))),
}


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("name", MISTAKES)
def test_a_kernel_that_is_not_the_cell_is_seen_in_either_layout(name):
    cell, other = MISTAKES[name]

    class Other(rnnmc.Cell):
        name, formula, source, gates = "other", "-", "a test", ("hidden",)

        def linearise(self, weights, drive, state):
            a = drive["hidden"] + weights.apply(state[0], "hidden")["hidden"]
            after, jacobian = other(a, weights.recurrent["hidden"])
            return (after,), lambda directions: (weights.product(directions[0], jacobian),)

    assert planted(cell, Other()) > 3


@pytest.mark.slow
@needs_compiler
def test_lanes_without_a_unit_that_are_no_numbers_are_seen():
    """a / |a| is no number at zero, and zero is what they hold: every replicate would count as overflowing."""

    class Sign(rnnmc.Cell):
        name, formula, source, gates = "sign", "h' = a / |a|", "a test", ("hidden",)

        def linearise(self, weights, drive, state):
            a = drive["hidden"] + weights.apply(state[0], "hidden")["hidden"]
            return (a / abs(a),), lambda directions: (weights.product(directions[0], weights.recurrent["hidden"]),)

    worst = {}
    for by_replicate in (True, False):
        function, _ = follow.made(Sign(), 5, torch.float32, by_replicate)
        assert function is not None
        worst[by_replicate] = agreement.disagreement(Sign(), function, 5, torch.float32, by_replicate)
    assert worst[True] < 1
    assert worst[False] == math.inf


@pytest.mark.slow
@needs_compiler
def test_a_cell_that_fools_the_trace_runs_on_the_plain_engine_and_is_told_of(caplog, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    follow.kernel.cache_clear()
    point = rnnmc.DesignPoint(cell=f"{HERE}:LINEAR", width=3, init=DRAWN, horizons=(1, 200), dtype="float64")
    with caplog.at_level(logging.WARNING, "rnnmc"):
        found = run_block(point, 0, 30)
    assert "is not what the cell does" in caplog.text
    assert run.made_by(point, "cpu", "compiled columns") == "columns"
    as_tanh = rnnmc.DesignPoint(cell="tanh", width=3, init=DRAWN, horizons=(1, 200), dtype="float64")
    assert found.num_rows == run_block(as_tanh, 0, 30).num_rows
    assert len(list(tmp_path.rglob("*.txt"))) == 1
    follow.kernel.cache_clear()
    monkeypatch.setattr(follow, "disagreement", lambda *_: pytest.fail("looked again"))
    assert follow.kernel(f"{HERE}:LINEAR", 3, torch.float64, True) is None
    follow.kernel.cache_clear()


@pytest.mark.slow
def test_the_check_of_a_cell_says_what_its_kernels_do_and_why_there_is_none():
    results = check_kernel(Counts("a field"))
    assert [one.name for one in results] == ["kernel"]
    assert "every step would" in results[0].meaning
    if compiler.compiler() is not None:
        said = {one.name: one.passed for one in check_kernel(MASKED)}
        names = {f"kernel {layout} {dtype}" for layout in ("columns", "rows") for dtype in ("float32", "float64")}
        assert said == dict.fromkeys(names, True)
        assert not any(one.passed for one in check_kernel(LINEAR))


# --- matrices that remember -----------------------------------------------------------------------

OF_MATRICES = {
    "is it true": lambda u: some(u),
    "equal": lambda u: some(u == 0),
    "unequal": lambda u: some(u != u),
    "in a list": lambda u: some(u in [1.0]),
    "length": lambda u: some(len(u)),
    "its type": lambda u: some(type(u) is torch.Tensor),
    "isinstance": lambda u: some(isinstance(u, torch.Tensor)),
    "has a shape": lambda u: some(hasattr(u, "shape")),
    "a count": lambda u: COUNTED.__setitem__(0, COUNTED[0] + 1) or float(COUNTED[0]),
}


@pytest.mark.parametrize("asked", OF_MATRICES)
def test_a_record_of_what_is_done_to_matrices_is_held_to_the_cell_s_own_push(asked):
    """1.0 for a tensor, and something else for whatever stands in its place."""

    class Asks(Gain):
        def linearise(self, weights, drive, state):
            a = drive["hidden"] + weights.apply(state[0], "hidden")["hidden"]
            u = weights.recurrent["hidden"]
            try:
                gain = OF_MATRICES[asked](u)
            except (RuntimeError, TypeError, ValueError):
                gain = 0.25
            jacobian = u * (gain * (1 - a.tanh() * a.tanh()))
            return (a.tanh(),), lambda directions: (weights.product(directions[0], jacobian),)

    assert Linearised(Gain()).recorded
    assert not Linearised(Asks()).recorded


def test_every_operator_and_question_of_python_is_answered_or_refused():
    """What a symbol lacks Python would answer itself, by a TypeError, which a cell may catch."""
    operators = {f"__{side}{name}__" for side in ("", "r", "i") for name in symbols.OPERATORS}
    asked = {name for kind in (int, float, list, dict) for name in dir(kind) if name.startswith("__")}
    inherited = {"__new__", "__init__", "__doc__", "__class__", "__getattribute__", "__init_subclass__"}
    inherited |= {"__subclasshook__", "__class_getitem__", "__getnewargs__", "__getformat__", "__setformat__"}
    inherited |= {"__or__", "__rdivmod__"} & operators
    assert sys.version_info >= (3, 11)
    for name in asked | operators - inherited:
        assert getattr(symbols.Symbol, name, None) is not getattr(object, name, 0) or name in inherited, name
