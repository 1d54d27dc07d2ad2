"""Compiled chains are the plain engine's, to rounding, over all cells, dtypes, drives and weights."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from grids import FULL, spread
from looking import seen
from scipy import stats
from studies import command

import rnnmc
from rnnmc.cells import cells
from rnnmc.chain.norms import log_norms
from rnnmc.chain.product import follow
from rnnmc.engine import run
from rnnmc.engine.block import partition, run_block
from rnnmc.engine.choice import KERNELS, kernel_of, step_seconds
from rnnmc.engine.compiled import emit, symbols, trace
from rnnmc.engine.compiled import follow as compiled
from rnnmc.engine.draws import Draws
from rnnmc.numerics import compiler
from rnnmc.numerics.layout import Columns, Rows
from rnnmc.study.point import DesignPoint

HORIZONS = (1, 3, 7, 20)  # so short that no chaos can make rounding grow
REPLICATES = 37  # no whole number of lanes
CLOSE = {"float32": 3e-4, "float64": 1e-11}  # nats: rounding of 20 steps, where |l_T| is up to 50
KINDS = [("white", "tied"), ({"white": 3}, "tied"), ("field", "tied"), ("none", "untied"), ("ar1", "untied")]

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler on this machine")


def point(cell: str, width: int, dtype: str, drive="white", weights="tied", **more) -> DesignPoint:
    recurrent = {"recurrent": {"ring": 1.0} if cell == "lru" else {"gaussian": 1.2}}
    init = (recurrent if cells()[cell].recurrent else {}) | {"input": {"gaussian": 0.7}, "bias": {"gaussian": 0.3}}
    drive = {"ar1": 0.5} if drive == "ar1" else drive
    usual = {"horizons": HORIZONS, "state_std": 0.3, "init": init, "drive": drive, "weights": weights, "dtype": dtype}
    return DesignPoint(cell=cell, width=width, **(usual | more))


def both(design: DesignPoint, layout, replicates: int = REPLICATES) -> list[list[dict[str, np.ndarray]]]:
    """Norms at every horizon by the plain engine and by the compiled chain, of the same draws."""
    kind, apart = getattr(torch, design.dtype), design.units_apart
    function = compiled.kernel(design.cell, design.width, kind, isinstance(layout, Columns), apart=apart)
    assert function is not None
    found = []
    with torch.no_grad():
        for is_compiled in (False, True):
            draws = Draws(design, [(0, 0)], replicates, layout, "cpu")
            plain = (draws.cell, layout, draws.steps(), draws.state(), design.horizons)
            chain = (
                compiled.follow_compiled(function, draws, design.horizons)
                if is_compiled
                else follow(*plain, apart=apart)
            )
            found.append([log_norms(moment) for moment in chain])
    return found


def assert_same(plain: list[dict], other: list[dict], tolerance: float) -> None:
    for one, two in zip(plain, other, strict=True):
        known = one["resolved"]  # what is not is taken again in float64
        np.testing.assert_array_equal(two["resolved"], known)
        np.testing.assert_array_equal(one["status"][known], two["status"][known])
        for name in ("log_spectral", "log_rms"):
            np.testing.assert_allclose(two[name][known], one[name][known], rtol=0, atol=tolerance)


@pytest.mark.parametrize(("cell", "layout", "dtype"), spread([Columns(), Rows()], CLOSE))
def test_every_cell_drive_and_weighting_gives_the_plain_engines_log_norms(cell, layout, dtype):
    width = 3 if isinstance(layout, Columns) else 17
    kinds = KINDS if cell in FULL else KINDS[1::2]
    for drive, weights in kinds if not cells()[cell].vectors else KINDS[1:3]:
        plain, other = both(point(cell, width, dtype, drive, weights), layout)
        # three units may happen to be almost equal, and what normalises over them then loses a digit
        assert_same(plain, other, CLOSE[dtype] * (10 if cell == "lstm_layer_norm" else 1))


@pytest.mark.parametrize(
    ("layout", "width"), [(Columns(), 1), (Columns(), 2), (Columns(), 8), (Rows(), 9), (Rows(), 32), (Rows(), 47)]
)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_every_shape_of_lanes_and_panels_gives_the_plain_engines_log_norms(cell, layout, width):
    plain, other = both(point(cell, width, "float32"), layout, 19)
    assert_same(plain, other, 6e-4)  # at n = 1 a difference of gates can lose a digit


@pytest.mark.parametrize("layout", [Columns(), Rows()], ids=["columns", "rows"])
def test_a_mistake_in_the_tangent_would_be_seen(layout, monkeypatch):
    """Leaving out o sech^2(c') is the h-block alone that some tools fill."""
    honest = emit.source

    def planted(program, *more):
        c = program.cell.parts.index("c")
        return honest(trace.Program(program.cell, program.state, (program.pushed[c], program.pushed[c])), *more)

    compiled.kernel.cache_clear()
    monkeypatch.setattr(compiled, "source", planted)
    plain, other = both(point("lstm", 3, "float64"), layout)
    compiled.kernel.cache_clear()
    with pytest.raises(AssertionError):
        assert_same(plain, other, CLOSE["float64"])


def test_dead_overflowing_and_unresolved_replicates_are_marked_as_the_plain_engine_marks_them():
    dying = point("relu", 2, "float32", "none", init={"recurrent": {"gaussian": 1.0}}, horizons=(5, 50), state_std=1.0)
    bursting = point(
        "linear", 2, "float32", "none", init={"recurrent": {"gaussian": 90.0}}, horizons=(5, 50), state_std=1.0
    )
    saturated = point("tanh", 3, "float32", init={"recurrent": {"gaussian": 300.0}, "input": {"gaussian": 300.0}})
    seen = set()
    for design in (dying, bursting, saturated):
        plain, other = both(design, Columns(), 200)
        assert_same(plain, other, 1e-2)  # of log-norms down to -3,000
        seen |= {(int(s), bool(r)) for one in plain for s, r in zip(one["status"], one["resolved"], strict=True)}
    assert {(0, True), (1, True), (2, True), (1, False)} <= seen


@pytest.mark.slow
def test_a_chain_of_a_hundred_thousand_steps_neither_overflows_nor_underflows():
    design = point("lstm", 1, "float32", horizons=(100_000,))
    function = compiled.kernel(design.cell, 1, torch.float32, True)
    assert function is not None
    draws = Draws(design, [(0, 0)], 16, Columns(), "cpu")
    (moment,) = compiled.follow_compiled(function, draws, design.horizons)
    last = log_norms(moment)
    assert (last["status"] == 0).all()
    assert (np.abs(last["log_rms"]) > 1e4).any()


# --- the squashing functions ------------------------------------------------------------------------


def of_one_unit(name: str, values: np.ndarray, dtype: str) -> np.ndarray:
    """What the compiled function of this name gives at these values."""

    class Toy(rnnmc.Cell):
        formula = source = ""
        gates = ("hidden",)

        def linearise(self, weights, drive, state):
            symbol: Any = drive["hidden"]
            after: Any = symbols.Symbol(symbols.Node(name, symbols.VECTOR, (symbol.node,)))
            return (after,), lambda directions: (weights.product(directions[0], weights.recurrent["hidden"]),)

    Toy.name = f"toy_{name}"
    text = emit.source(trace.traced(Toy()), 1, torch.finfo(getattr(torch, dtype)).bits, True)
    function = compiler.compiled(text, "follow")
    function.argtypes, function.restype = compiled.ARGUMENTS, None
    kind = getattr(torch, dtype)
    count = len(values)
    zero, bias, state, rows = (torch.zeros(count, dtype=kind) for _ in range(4))
    bias += torch.from_numpy(values).to(kind)
    exponent, flags = torch.zeros(count, dtype=torch.int64), torch.ones(count, dtype=torch.bool)
    pointers = [zero, zero, bias, None, None, None, state, rows, exponent, flags, flags.clone()]
    function(count, 1, 0, *(None if one is None else one.data_ptr() for one in pointers))
    return state.numpy()


EXACT = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "sech2": lambda x: mpmath.sech(x) ** 2,
    "exp": mpmath.exp,
    "cosh": mpmath.cosh,
}


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("name", EXACT)
def test_a_squashing_function_has_all_its_digits_wherever_its_value_is_a_normal_number(name, dtype):
    rng = np.random.default_rng(5)
    spread = np.concatenate([rng.standard_normal(300) * scale for scale in (1e-6, 0.1, 1, 10, 40)])
    values = np.concatenate([[0.0, -0.0, 0.625, -0.625, 0.3466, 85.0, -85.0], spread]).astype(dtype).astype(float)
    with np.errstate(over="ignore"):
        wanted = np.array([float(EXACT[name](mpmath.mpf(value))) for value in values])
        limits = np.finfo(dtype)
        normal = (np.abs(wanted) > 2 * limits.tiny) & (np.abs(wanted) < limits.max / 2)
    found = of_one_unit(name, values, dtype).astype(float)
    error = np.abs(found[normal] - wanted[normal]) / np.abs(wanted[normal])
    assert error.max() < 5 * limits.eps
    below = np.abs(found[~normal & (np.abs(wanted) < 1)])
    assert (below <= 2 * limits.tiny).all()  # may be empty: cosh is nowhere below 1


@pytest.mark.parametrize("dtype", CLOSE)
def test_squashing_functions_take_infinities_to_their_limits_and_keep_what_is_no_number(dtype):
    values = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30])
    for name, limits in {"tanh": (1, -1), "sigmoid": (1, 0), "sech2": (0, 0), "exp": (np.inf, 0)}.items():
        found = of_one_unit(name, values, dtype)
        np.testing.assert_array_equal(found, [limits[0], limits[1], np.nan, limits[0], limits[1]])


# --- guarantees -------------------------------------------------------------------------------------


def test_the_length_of_a_segment_changes_no_bit(monkeypatch):
    for width in (2, 20):
        design = point("lstm", width, "float32", horizons=(5, 300))
        whole = run_block(design, 0, 20)
        monkeypatch.setattr(compiled, "STEPS_OF_A_CALL", 1)
        assert run_block(design, 0, 20).equals(whole)
        monkeypatch.undo()


@pytest.mark.slow
@pytest.mark.parametrize("width", [3, 20])
def test_observables_look_at_the_compiled_chain_and_change_no_bit_of_its_samples(width):
    design = point("lstm", width, "float32", horizons=(10, 400))
    assert kernel_of(design).startswith("compiled")
    looked = seen(design, 9, "paths", "passage")
    assert looked["samples"].equals(run_block(design, 0, 9))
    joint = looked["paths"].to_pandas().query("path == 'joint'")["log_spectral"].to_numpy()
    np.testing.assert_allclose(joint, looked["samples"]["log_spectral"].to_numpy(), atol=2e-3)


@pytest.mark.parametrize("width", [2, 12])
def test_over_long_chaotic_orbits_both_kernels_have_one_distribution(width, monkeypatch):
    """Where orbits part, only the law is left to compare: Kolmogorov-Smirnov at 1e-6, over different blocks."""
    design = point("tanh", width, "float32", horizons=(400,), init={"recurrent": {"gaussian": 3.0}})
    here = np.asarray(run_block(design, 0, 1500)["log_rms"])
    monkeypatch.setattr(compiled, "compiled", lambda *_: None)
    compiled.kernel.cache_clear()
    there = np.asarray(run_block(design, 1, 1500)["log_rms"])
    compiled.kernel.cache_clear()
    shifted = there + 0.25 * there.std()
    same, seen = (float(np.asarray(stats.ks_2samp(here, one))[1]) for one in (there, shifted))
    assert same > 1e-6 > seen  # so small a shift would be seen


@pytest.mark.slow
@pytest.mark.process
def test_without_a_compiler_the_plain_engine_runs_says_so_once_and_agrees_to_rounding(tmp_path):
    code = (
        "import rnnmc, numpy as np; from rnnmc.engine import run; from rnnmc.engine.block import partition;"
        "p = rnnmc.DesignPoint(cell='lstm', width=2, horizons=[10, 1000], dtype='float64');"
        "t = rnnmc.run_block(p, 0, 50); rnnmc.run_block(p, 1, 50);"
        "np.save('found.npy', t.filter(t['horizon'].to_numpy() == 10)['log_rms'].to_numpy());"
        "print(partition(p).kernel, '|', run.made_by(p, 'cpu', partition(p).kernel))"
    )
    said = {}
    for name, compiler_path in (("with", ""), ("without", "no-such-compiler")):
        extra = ["env", f"CC={compiler_path}"] if compiler_path else []
        done = command(*extra, sys.executable, "-c", code, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        said[name] = done.stdout.strip(), done.stderr.count("no C compiler"), np.load(tmp_path / "found.npy")
    assert said["with"][:2] == ("compiled columns | compiled columns", 0)
    assert said["without"][:2] == ("compiled columns | columns", 1)
    np.testing.assert_allclose(said["with"][2], said["without"][2], atol=1e-9)


def test_a_compiler_that_fails_is_told_of_and_the_plain_engine_runs(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiler, "AGAIN_AFTER", 0)
    with caplog.at_level(logging.WARNING, "rnnmc"):
        assert compiler.compiled("this is no C", "follow") is None
    assert "could not be compiled" in caplog.text


def test_a_kernel_is_compiled_once_and_then_found_on_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = "int follow(void) { return 7; }"
    assert compiler.compiled(text, "follow")() == 7
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("compiled again"))
    assert compiler.compiled(text, "follow")() == 7
    assert len(list(Path(tmp_path).rglob("*.so"))) == 1


class Strange(rnnmc.Cell):
    """Does with its state what no symbol can."""

    name, formula, source = "strange", "h' = tanh(erf(h) + U h + x)", "none"
    gates = ("hidden",)

    def step(self, weights, drive, state):
        at_h = weights.apply(state[0], "hidden")["hidden"]
        return ((drive["hidden"] + at_h + state[0].erf()).tanh(),)


class StrangeTangent(Strange):
    """The same in a tangent by hand."""

    def linearise(self, weights, drive, state):
        return (state[0].erf(),), lambda directions: directions


CELL = Strange()


@pytest.mark.slow
def test_a_cell_without_a_trace_runs_on_the_plain_engine():
    with pytest.raises(symbols.Untraceable, match="no linearise"):
        trace.traced(CELL)
    with pytest.raises(symbols.Untraceable, match="erf has no symbol"):
        trace.traced(StrangeTangent())
    design = DesignPoint(cell="tests.engine.test_compiled:CELL", width=2, init={"recurrent": {"gaussian": 1.0}})
    assert kernel_of(design) == "columns"
    assert run_block(design, 0, 4).num_rows == 4 * len(design.horizons)


# --- the choice -------------------------------------------------------------------------------------


def test_the_choice_rests_on_the_point_alone_and_short_work_is_not_compiled():
    assert kernel_of(DesignPoint(cell="lstm", width=1, horizons=[2])) == "columns"
    assert kernel_of(DesignPoint(cell="lstm", width=1, horizons=[1000])) == "compiled columns"
    assert kernel_of(DesignPoint(cell="lstm", width=16)) == "compiled rows"
    assert kernel_of(DesignPoint(cell="lstm", width=64)) == "compiled few directions"
    for name in KERNELS:
        costs = [step_seconds(DesignPoint(cell="gru", width=width), name) for width in (8, 32, 128)]
        assert costs == sorted(costs)


def test_every_part_of_the_plan_names_the_kernel_that_makes_it():
    design = DesignPoint(cell="lstm", width=4)
    assert partition(design).kernel == kernel_of(design) == "compiled columns"
    assert run.made_by(design, "cpu", kernel_of(design)) == "compiled columns"
    assert run.made_by(design, "cuda", kernel_of(design)) == "columns"
    assert run.layout_of("compiled columns").name == "columns"
