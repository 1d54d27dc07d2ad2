"""Networks of units that no other unit reads, followed one unit at a time: the same norms as of the whole P_T."""

import math

import numpy as np
import pytest
import torch

from rnnmc import DesignPoint, run_block
from rnnmc.cells import cell, cells
from rnnmc.cells.cell import Cell
from rnnmc.engine.block import Partition, partition
from rnnmc.engine.choice import UNITS, kernel_of
from rnnmc.engine.compiled.trace import traced, units_are_alone
from rnnmc.engine.draws import Draws
from rnnmc.engine.run import made_by
from rnnmc.numerics import compiler
from rnnmc.numerics.layout import Rows

HORIZONS = (1, 10, 60)
ALONE = [name for name in cells() if units_are_alone(traced(cell(name)))]
HERE = "tests.engine.test_units"
needs_compiler = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler")


class Read(Cell):
    """h is shown and read by nothing: its own direction is zero after a step, which is no loss."""

    name, formula, source = "read", "c' = sg(a) o c + b, h' = tanh(c')", "a test"
    gates, recurrent, parts, bounded = ("keep", "value"), (), ("h", "c"), True

    def linearise(self, weights, drive, state):
        keep = drive["keep"].sigmoid()
        after = keep * state[1] + drive["value"]

        def push(directions):
            pushed = directions[1] * keep
            return pushed * (1 - after.tanh().square()), pushed

        return (after.tanh(), after), push


class Crossing(Read):
    """The same, but the mean over units goes into each."""

    name = "crossing"

    def linearise(self, weights, drive, state):
        return super().linearise(weights, drive | {"value": drive["value"] + weights.mean(drive["keep"])}, state)


class Delay(Cell):
    """Where the value of a moment ago is read, and that of the moment before it: what is shifted out is no loss."""

    name, formula, source = "delay", "a' = sg(a) o a + b, b' = c, c' = tanh(v)", "a test"
    gates, recurrent, parts = ("keep", "value"), (), ("a", "b", "c")

    def linearise(self, weights, drive, state):
        a, b, c = state
        keep = drive["keep"].sigmoid()

        def push(directions):
            return directions[0] * keep + directions[1], directions[2], directions[2] * 0.0

        return (keep * a + b, c, drive["value"].tanh()), push


READ, CROSSING, DELAY = Read(), Crossing(), Delay()


def sampled(point: DesignPoint, kernel: str, tile: int = 9, count: int = 18) -> dict[str, np.ndarray]:
    table = run_block(point, 0, count, cut=Partition(tile, count, kernel))
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray], tolerance: float) -> None:
    assert (one["status"] == other["status"]).all()
    for name in ("log_spectral", "log_rms", "log_tangent"):
        np.testing.assert_allclose(one[name], other[name], rtol=tolerance, atol=tolerance)
    for name in ("log_spectral_error", "log_rms_error"):
        assert (one[name] == other[name]).all()


@needs_compiler
@pytest.mark.parametrize("name", ALONE)
def test_unit_by_unit_the_norms_are_those_of_the_whole_product_by_the_plain_engine(name):
    """A tile that is no whole number of lanes, several inputs, replicates that share weights; then one that is."""
    nested = {"drives": 3}
    few = DesignPoint(cell=name, width=5, drive={"white": 2}, horizons=HORIZONS, dtype="float64", nested=nested)
    same(sampled(few, UNITS), sampled(few, "rows"), 1e-10)
    even = DesignPoint(cell=name, width=6, drive="white", horizons=HORIZONS)
    assert partition(even).kernel == UNITS
    same(sampled(even, UNITS, 16, 16), sampled(even, "columns", 16, 16), 3e-4)


@needs_compiler
@pytest.mark.parametrize("weights", ["tied", "untied"])
@pytest.mark.parametrize(("drive", "init"), [("none", {}), ("field", {"input": {"gaussian": 3}})])
def test_a_field_no_drive_and_weights_that_are_fresh_at_every_step_reach_each_unit(drive, init, weights):
    point = DesignPoint(
        cell="gru_diagonal",
        width=7,
        drive=drive,
        init={"recurrent": {"gaussian": 1}} | init,
        weights=weights,
        horizons=HORIZONS,
        state_std=1.0,
    )
    same(sampled(point, UNITS), sampled(point, "rows"), 3e-4)


@needs_compiler
def test_of_twenty_thousand_units_the_norm_is_the_exact_one_of_the_slowest():
    point = DesignPoint(cell="lru", width=20_000, drive="none", horizons=(1, 30), dtype="float64")
    assert partition(point).kernel == UNITS
    found = sampled(point, UNITS, 2, 2)["log_spectral"].reshape(2, 2)
    draws = Draws(point, [(0, 0)], 2, Rows(), "cpu")
    modulus = draws.of_cell(draws.given.recurrent).recurrent["modulus"]
    one = cell("lru").linearise(draws.of_cell(draws.given.recurrent), draws.by_gate(draws.given.bias), draws.state())
    unit = torch.zeros(2, 1, 20_000, dtype=torch.float64)
    real, imaginary = one[1]((unit + 1, unit))
    decay = torch.hypot(real, imaginary).amax(2).log().flatten()
    assert modulus.shape == (2, 1, 20_000)
    np.testing.assert_allclose(found, decay[:, None].numpy() * np.array([1, 30]), rtol=1e-12, atol=1e-13)


@needs_compiler
@pytest.mark.parametrize("recurrent", [0, 1])
def test_a_direction_that_all_units_lose_at_once_is_no_loss_and_one_that_some_lose_is(recurrent):
    """Without recurrent weights nothing of a diagonal LSTM reads h. Beyond float64 both ways say the same."""
    init = {"recurrent": {"constant": recurrent}, "input": {"gaussian": 1.0}}
    usual = DesignPoint(cell="lstm_diagonal", width=6, drive="white", init=init, horizons=HORIZONS)
    found = sampled(usual, UNITS)
    same(found, sampled(usual, "compiled columns"), 3e-4)
    assert all(error is None for error in found["log_spectral_error"])
    init = {"input": {"gaussian": 400.0}}
    far = DesignPoint(cell="min_gru", width=6, drive="white", init=init, horizons=HORIZONS, dtype="float64")
    found = sampled(far, UNITS)
    assert {np.inf} < set(found["log_spectral_error"])
    same(found, sampled(far, "compiled columns"), 1e-9)


@needs_compiler
def test_a_network_that_may_die_and_overflow_is_followed_as_a_whole():
    """A unit that is dead may overflow before its network is dead, which counts."""
    init = {"recurrent": {"gaussian": 1}, "input": {"gaussian": 1.0}, "bias": {"constant": 0.5}}
    point = DesignPoint(cell="indrnn", width=8, drive="white", init=init, horizons=(10, 100, 400))
    assert kernel_of(point) != UNITS
    cut = partition(point)
    assert {"ok", "dead", "overflow"} == set(sampled(point, cut.kernel, 64, 64)["status"])


@needs_compiler
def test_what_grows_beyond_all_numbers_does_so_at_the_same_step():
    init = {"recurrent": {"constant": 1.0}, "input": {"gaussian": 1e30}}
    point = DesignPoint(cell="lru", width=3, drive="white", horizons=(1, 60, 600), init=init)
    found = sampled(point, UNITS, 16, 16)
    same(found, sampled(point, "rows", 16, 16), 3e-4)


def test_units_that_read_others_or_lie_in_layers_are_not_followed_alone():
    assert units_are_alone(traced(READ))
    assert not units_are_alone(traced(CROSSING))
    points = [
        DesignPoint(cell=f"{HERE}:READ", width=4, horizons=HORIZONS),
        DesignPoint(cell=f"{HERE}:CROSSING", width=4, horizons=HORIZONS),
        DesignPoint(cell="min_gru", width=4, layers=2, horizons=HORIZONS),
        DesignPoint(cell="gru", width=4, init={"recurrent": {"constant": 0}}, horizons=HORIZONS),
    ]
    assert [kernel_of(point) == UNITS for point in points] == [True, False, False, False]


@needs_compiler
@pytest.mark.parametrize("name", ["READ", "DELAY"])
def test_a_part_of_the_state_that_nothing_reads_is_no_loss(name):
    """Were its direction taken for one that a step has shrunk out of sight, every replicate would be unresolved."""
    point = DesignPoint(cell=f"{HERE}:{name}", width=4, drive="white", horizons=HORIZONS)
    assert kernel_of(point) == UNITS
    found = sampled(point, UNITS)
    same(found, sampled(point, "rows"), 3e-4)
    assert all(error is None for error in found["log_spectral_error"])


@pytest.mark.parametrize("name", ["min_gru", "lru", "lstm_diagonal", "s6"])
def test_without_a_compiler_the_plain_engine_follows_the_units(name, monkeypatch):
    factors = {"cell": name, "width": 4, "drive": {"white": 3}, "nested": {"drives": 3}, "dtype": "float64"}
    point = DesignPoint(**factors, horizons=HORIZONS)
    with monkeypatch.context() as patch:
        patch.setenv("CC", "no-such-compiler")
        compiler.forget()
        assert made_by(point, "cpu", UNITS) == "units"
        plain = sampled(point, UNITS)
    compiler.forget()
    same(plain, sampled(point, "rows"), 1e-9)


@pytest.mark.parametrize(("cell", "width", "drive"), [("lru", 3000, "none"), ("min_gru", 400, {"white": 4000})])
def test_tiles_are_no_larger_than_all_of_p_t_or_of_the_weights_may_be(cell, width, drive):
    point = DesignPoint(cell=cell, width=width, drive=drive, horizons=HORIZONS)
    assert (partition(point).kernel, partition(point).tile) == (UNITS, 1)


def test_a_norm_is_that_of_the_units_together():
    """Two units of norms e^3 and e^1: 3 and log of the root of the mean square."""
    from rnnmc.engine.units import _of_all

    each = {name: np.array([3.0, 1.0]) for name in ("log_spectral", "log_rms", "log_tangent")}
    found = _of_all(each | {"status": np.array([0, 1], np.int8)}, 2)
    squares = math.log(math.exp(6) + math.exp(2)) / 2
    assert found["log_spectral"] == [3.0]
    np.testing.assert_allclose(found["log_rms"], squares - math.log(2) / 2, rtol=1e-15)
    np.testing.assert_allclose(found["log_tangent"], squares, rtol=1e-15)
    assert found["status"][0] == 0
