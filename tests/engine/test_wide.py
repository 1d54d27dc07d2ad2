"""The norms of wide cells from a few directions, against the plain chain of the same weights and drives."""

import itertools
import math

import numpy as np
import pytest
import torch
from grids import FULL, MATRICES, spread

from rnnmc.chain.norms import log_norms
from rnnmc.chain.product import follow
from rnnmc.engine.draws import Draws
from rnnmc.engine.few_directions import dense as wide_dense
from rnnmc.engine.few_directions import norms as wide
from rnnmc.engine.few_directions import path as wide_path
from rnnmc.engine.few_directions import subspace as wide_subspace
from rnnmc.engine.few_directions import sweeps as wide_sweeps
from rnnmc.engine.few_directions.factored import Linearised
from rnnmc.engine.few_directions.norms import wide_norms
from rnnmc.engine.few_directions.path import Path, Replay
from rnnmc.engine.few_directions.subspace import Subspace
from rnnmc.engine.few_directions.sweeps import Image
from rnnmc.numerics.layout import Rows
from rnnmc.study.point import DesignPoint

torch.set_num_threads(1)  # as blocks run; threads that share such small arrays only wait for one another
WIDTH = 40
HORIZONS = (1, 3, 8, 20, 60)
ROUNDING = {"float64": 1e-10, "float32": 5e-5}  # nats: of both engines, over some ten steps that are far from normal
TILE = [(0, 0)]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def point(cell="tanh", width=WIDTH, dtype="float64", horizons=HORIZONS, **more):
    return DesignPoint(cell=cell, width=width, dtype=dtype, horizons=horizons, **more)


def plain(design, replicates=1, tiles=TILE, dtype=""):
    """What the plain chain gives, as `wide_norms` gives it."""
    draws = Draws(design, tiles, replicates, Rows(), "cpu", dtype)
    measured = [log_norms(one) for one in follow(draws.cell, Rows(), draws.steps(), draws.state(), design.horizons)]
    return {name: np.stack([part[name] for part in measured], axis=1) for name in measured[0]}


def few(design, replicates=1, tiles=TILE, full_up_to=0, dtype=""):
    return wide_norms(design, tiles, replicates, "cpu", dtype or design.dtype, full_up_to)


def off(found, wanted, measure):
    """(R, horizons) nats beyond rounding; zero where both are infinite alike."""
    with np.errstate(invalid="ignore"):
        return np.where(found[measure] == wanted[measure], 0.0, np.abs(found[measure] - wanted[measure]))


def tangents(design, horizons, replicates=1, tiles=TILE):
    """(R, d) the directions that `few` takes for log_tangent where it sweeps to these horizons."""
    path = Path(design, tiles, replicates, "cpu", design.dtype)
    return wide._first_sweep(path, horizons)[horizons[0]].right.rows[:, 0]


def along(design, tangent, replicates=1, tiles=TILE):
    """(R, horizons) log ||P v|| in the plain chain."""
    draws = Draws(design, tiles, replicates, Rows(), "cpu")
    chain = follow(draws.cell, Rows(), draws.steps(), draws.state(), design.horizons)
    rows = [
        (tangent[:, :, None] * one.product).sum(1).norm(dim=1).log() + one.exponent.double() * math.log(2)
        for one in chain
    ]
    return torch.stack(rows, dim=1).numpy()


def agrees(design, replicates=1, tiles=TILE, found=None):
    """Replicate by replicate, the errors are as small as was asked for and bound what they should."""
    found, wanted = found or few(design, replicates, tiles), plain(design, replicates, tiles)
    assert np.array_equal(found["status"], wanted["status"])
    rounding = ROUNDING[design.dtype]
    spectral, rms = (np.nan_to_num(found[f"log_{name}_error"]) for name in ("spectral", "rms"))
    assert (spectral <= wide.TOLERANCE).all()
    assert (off(found, wanted, "log_spectral") <= spectral + rounding).all()
    assert (off(found, wanted, "log_rms") <= 2 * rms + rounding).all()  # eight standard errors
    return found


@pytest.mark.parametrize(("width", "limit"), [(WIDTH, 0), (WIDTH, 10), (wide.BY_SUBSPACE_FROM, 10)])
@pytest.mark.parametrize("weights", ["tied", "untied"])
def test_the_tangent_vector_is_one_and_the_same_at_every_horizon_however_its_norms_were_found(width, limit, weights):
    horizons = (2, 10, 40)
    design = point("gru", width=width, horizons=horizons, weights=weights)
    found = few(design, 2, full_up_to=limit)["log_tangent"]
    wanted = along(design, tangents(design, [horizon for horizon in horizons if horizon > limit], 2), 2)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


def test_without_sweeps_the_tangent_vector_is_that_of_the_draws():
    design = point("lstm", horizons=(2, 10))
    wanted = along(design, Draws(design, TILE, 2, Rows(), "cpu").tangent(), 2)
    np.testing.assert_allclose(few(design, 2, full_up_to=10)["log_tangent"], wanted, rtol=0, atol=1e-10)


# --- against the plain chain ----------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "dtype"), spread(ROUNDING))
def test_every_cell_has_the_norms_of_the_full_product(cell, dtype):
    found = agrees(point(cell, dtype=dtype))
    assert cell not in FULL or not np.isnan(found["log_spectral_error"][0, -1])  # not by the full product itself


@pytest.mark.parametrize(("cell", "dtype"), spread(ROUNDING, names=MATRICES))
def test_every_cell_with_fresh_weights_at_every_step_has_the_norms_of_the_full_product(cell, dtype):
    found = agrees(point(cell, dtype=dtype, weights="untied", horizons=(2, 10, 40)))
    assert cell not in FULL or not np.isnan(found["log_spectral_error"][0, -1])


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["tied", "untied"])
@pytest.mark.parametrize(("cell", "layers", "residual"), [("lstm", 2, False), ("gru", 3, True), ("tanh", 4, False)])
def test_several_layers_have_the_norms_of_the_full_product(cell, layers, residual, weights):
    design = point(cell, 24, layers=layers, residual=residual, weights=weights, horizons=(2, 10, 40))
    found = agrees(design, 2)
    assert not np.isnan(found["log_spectral_error"][0, -1])


@pytest.mark.parametrize("drive", ["none", {"white": 3}, "field", {"ar1": {"correlation": 0.7}}, {"constant": 0.5}])
def test_every_drive_is_the_same_as_in_the_plain_chain(drive):
    init = {"recurrent": {"gaussian": 1.5}, "input": {"gaussian": 0.7}}
    agrees(point("gru", drive=drive, init=init, state_std=1.0))


def test_packed_matrices_change_nothing_beyond_rounding(monkeypatch):
    monkeypatch.setattr(wide_dense, "PACKED_FROM", 1)
    for cell in ("tanh", "lstm", "gru"):
        agrees(point(cell, dtype="float32"), replicates=2)


def test_a_chaotic_trajectory_is_that_of_the_plain_chain_bit_by_bit(monkeypatch):
    monkeypatch.setattr(wide_dense, "PACKED_FROM", 1)
    design = point(init={"recurrent": {"gaussian": 4.0}}, drive="none", state_std=1.0, dtype="float32", horizons=(300,))
    found = agrees(design)
    assert found["log_spectral"][0, 0] > 30  # a last bit, e^-16, would have grown beyond all bounds


def test_replicates_tiles_and_nested_draws_keep_their_places():
    nested = {"drives": 2, "states": 2}
    design = point("lstm", init={"recurrent": {"gaussian": 2.0}}, nested=nested, state_std=0.5, horizons=(5, 50))
    found = agrees(design, replicates=4, tiles=[(0, 0), (1, 3)])
    assert found["log_spectral"].shape == (8, 2)
    assert len(set(found["log_spectral"][:, 1])) == 8


def test_a_state_too_short_for_few_directions_takes_the_full_product():
    design = point("lstm", width=8)
    found, wanted = few(design), plain(design)
    assert np.isnan(found["log_spectral_error"]).all()
    assert np.array_equal(found["log_spectral"], wanted["log_spectral"])


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru", "min_gru", "lru", "relu"])
def test_the_error_bounds_the_error_even_after_a_single_round(cell, monkeypatch):
    for name, value in {"LEAST_ROUNDS_OF_ALL": 1, "TOLERANCE": math.inf}.items():
        monkeypatch.setattr(wide, name, value)
    design = point(cell, horizons=(1, 2, 4, 8, 16, 32))
    for block in range(4):
        found, wanted = few(design, tiles=[(block, 0)]), plain(design, tiles=[(block, 0)])
        assert (off(found, wanted, "log_spectral") <= found["log_spectral_error"] + 1e-10).all()
        assert (found["log_spectral"] <= wanted["log_spectral"] + 1e-10).all()  # from below


def test_horizons_whose_error_stays_above_tolerance_are_taken_from_the_full_product(monkeypatch):
    monkeypatch.setattr(wide, "LEAST_ROUNDS_OF_ALL", 1)
    design = point("tanh", init={"recurrent": {"gaussian": 1.5}}, horizons=(1, 100))
    found, wanted = few(design), plain(design)
    full = np.isnan(found["log_spectral_error"][0])
    assert full.tolist() == [True, False]
    assert np.array_equal(np.isnan(found["log_rms_error"][0]), full)
    assert np.array_equal(found["log_spectral"][0, full], wanted["log_spectral"][0, full])
    assert np.array_equal(found["log_rms"][0, full], wanted["log_rms"][0, full])


def test_short_horizons_take_the_full_product_where_it_costs_little():
    assert 0 < wide._full_up_to(point("tanh", width=512, horizons=(1000,))) < 30
    assert wide._full_up_to(point("lstm", width=4096, horizons=(100,))) == 0
    design = point(width=300, dtype="float32", horizons=(1, 2, 30))
    found = agrees(design, found=few(design, full_up_to=2))
    assert np.isnan(found["log_rms_error"][0]).tolist() == [True, True, False]
    assert (found["log_spectral_error"] < wide.TOLERANCE).all()  # by few directions from the product


def test_the_mean_of_the_squared_rms_norm_is_without_bias_and_its_error_is_the_spread(monkeypatch):
    monkeypatch.setattr(wide, "TOLERANCE", math.inf)
    monkeypatch.setattr(wide, "LEAST_ROUNDS_OF_ALL", 1)
    z = shares(point("tanh", horizons=(12,), init={"recurrent": {"gaussian": 1.2}}))
    assert abs(z) < 4.9  # a false alarm in a million


def test_probes_that_the_directions_depend_on_are_found_by_the_bias_of_the_rms_norm(monkeypatch):
    monkeypatch.setattr(wide, "TOLERANCE", math.inf)
    monkeypatch.setattr(wide, "LEAST_ROUNDS_OF_ALL", 1)

    def again(self, start, probes, right=Subspace.__init__):
        size = start[0].shape[2] ** 0.5  # the start itself, as long as probes are
        right(self, start, (start[0] * size, Image(start[1].rows * size, start[1].exponent, start[1].resolved)))

    monkeypatch.setattr(Subspace, "__init__", again)
    assert abs(shares(point("tanh", horizons=(12,), init={"recurrent": {"gaussian": 1.2}}))) > 4.9


def shares(design) -> float:
    """Standard score of the mean of ||P||_F^2 as estimated over what it is, minus one, of 200 replicates."""
    tiles = [(block, 0) for block in range(25)]
    found, wanted = few(design, 8, tiles), plain(design, 8, tiles)
    ratio = np.exp(2 * (found["log_rms"] - wanted["log_rms"]))[:, 0] - 1
    return float(ratio.mean() / (ratio.std(ddof=1) / math.sqrt(len(ratio))))


# --- dead, overflowed, unresolved -----------------------------------------------------------------


def test_a_dead_relu_chain_is_dead_from_the_step_on_at_which_the_plain_one_is():
    init = {"recurrent": {"gaussian": 1.0}, "input": {"gaussian": 0.3}, "bias": -0.3}
    design = point("relu", init=init, drive={"white": 5}, horizons=tuple(range(1, 9)), dtype="float32")
    found = agrees(design, replicates=8)
    assert set(found["status"][:, -1]) == {0, 1}  # some live
    dead = found["status"] == 1
    assert np.isneginf(found["log_spectral"][dead]).all()
    assert np.isneginf(found["log_rms"][dead]).all()
    assert np.isnan(found["log_spectral_error"][dead]).all()


@pytest.mark.parametrize("cell", ["relu", "linear"])
def test_a_state_that_overflows_does_so_where_it_does_in_the_plain_chain(cell):
    init = {"recurrent": {"gaussian": 30.0}}
    design = point(cell, init=init, dtype="float32", horizons=(10, 25, 30, 40))
    found, wanted = few(design, 2), plain(design, 2)
    assert set(found["status"].ravel()) == {0, 2}
    assert np.array_equal(found["status"], wanted["status"])
    assert np.isposinf(found["log_spectral"][found["status"] == 2]).all()


def test_what_a_step_of_float32_cannot_hold_is_told_and_held_by_float64():
    init = {"recurrent": {"gaussian": 1.0}, "bias": 50.0}  # every unit so saturated that a step shrinks by 1e-43
    design = point("tanh", init=init, dtype="float32", horizons=(1, 5))
    found, wanted = few(design, 4), plain(design, 4)
    assert np.array_equal(found["resolved"], wanted["resolved"])
    assert not found["resolved"].all()
    again, exactly = few(design, 4, dtype="float64"), plain(design, 4, dtype="float64")
    assert again["resolved"].all()
    assert np.abs(again["log_spectral"] - exactly["log_spectral"]).max() < wide.TOLERANCE


# --- memory and replay ----------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["tied", "untied"])
@pytest.mark.parametrize("drive", ["none", "white", "field", {"ar1": {"correlation": 0.7}}])
def test_steps_can_be_taken_again_from_any_marked_one(weights, drive):
    init = {"recurrent": {"gaussian": 1.0}, "input": {"gaussian": 0.7}}
    design = point("gru_reset_after", width=5, weights=weights, drive=drive, init=init, horizons=(30,))

    def draws():
        return Draws(design, [(0, 0), (2, 1)], 2, Rows(), "cpu")

    wanted = list(itertools.islice(draws().steps(), 30))
    replay = Replay(draws())
    first = replay.steps_after(0)
    for number in range(1, 18):
        same(next(first), wanted[number - 1])
        if number in (7, 17):
            replay.mark(number)
    for after in (7, 0, 17):
        again = replay.steps_after(after)
        for other in wanted[after:]:
            same(next(again), other)
    same(next(first), wanted[17])  # whatever was taken in between


def same(step, other):
    (weights, drive), (others, driven) = step, other
    assert torch.equal(weights.stacked, others.stacked)
    assert drive.keys() == driven.keys()
    assert weights.bias.keys() == others.bias.keys()
    assert all(torch.equal(drive[gate], driven[gate]) for gate in drive)
    assert all(torch.equal(weights.bias[name], others.bias[name]) for name in weights.bias)


@pytest.mark.parametrize("weights", ["tied", "untied"])
def test_checkpoints_change_no_bit_and_what_is_kept_does_not_grow_with_the_horizon(weights, monkeypatch):
    most, made = [], Path._made

    def counted(self, segment):
        steps = made(self, segment)
        most.append(len(steps) + sum(len(kept) for kept in self.kept.values()))
        return steps

    monkeypatch.setattr(Path, "_made", counted)
    memory = 40 * (WIDTH * 8 + (WIDTH * WIDTH * 8 if weights == "untied" else 0))  # 40 steps of a tanh cell
    for last in (80, 320):
        design = point("tanh", weights=weights, drive={"ar1": 0.5}, horizons=(10, last))
        monkeypatch.setattr(wide_path, "MEMORY", 1 << 30)
        wanted = few(design)
        most.clear()
        monkeypatch.setattr(wide_path, "MEMORY", memory)
        found = few(design)
        assert all(np.array_equal(found[name], wanted[name], equal_nan=True) for name in wanted)
        assert max(most) <= 40


def test_the_same_call_gives_the_same_bits():
    design = point("lstm", dtype="float32")
    one, other = few(design), few(design)
    assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


# --- planted mistakes -----------------------------------------------------------------------------


def planted(cell="tanh"):
    found = agrees(point(cell, init={"recurrent": {"gaussian": 1.5}}, drive="none", state_std=1.0))
    assert not np.isnan(found["log_spectral_error"][0, 2:]).any()  # a mistake may show by never converging


def test_a_backward_sweep_in_the_order_of_time_is_found(monkeypatch):
    planted()
    backward = Path.backward

    def in_order(self, first):
        steps = list(backward(self, first))
        return [one._replace(factors=other.factors) for one, other in zip(steps, reversed(steps), strict=True)]

    monkeypatch.setattr(Path, "backward", in_order)
    with pytest.raises(AssertionError):
        planted()


@pytest.mark.parametrize("cell", ["tanh", "lstm"])
def test_a_backward_sweep_without_the_transposition_is_found(cell, monkeypatch):
    step = Linearised.step

    class Forgotten:
        def __init__(self, factors):
            self.times = self.times_transposed = factors.times
            self.nbytes = factors.nbytes

    def forgotten(self, *given):
        state, factors = step(self, *given)
        return state, Forgotten(factors)

    monkeypatch.setattr(Linearised, "step", forgotten)
    with pytest.raises(AssertionError):
        planted(cell)


def test_rows_that_leave_at_the_wrong_horizon_are_found(monkeypatch):
    forward = wide_sweeps.forward

    def late(path, horizons, rows):
        return forward(path, [min(horizon + 1, path.last) for horizon in horizons], rows)

    monkeypatch.setattr(wide, "forward", late)
    with pytest.raises(AssertionError):
        planted()


def test_an_error_without_its_margin_is_found(monkeypatch):
    monkeypatch.setattr(wide_subspace, "SAFETY", 0.1)
    with pytest.raises(AssertionError):
        test_the_error_bounds_the_error_even_after_a_single_round("tanh", monkeypatch)
