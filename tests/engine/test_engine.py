"""The engine against an independent reference, at its limits, and as a pure function."""

import gc
import hashlib
import math
import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pyarrow as pa
import pytest
import torch
from grids import FULL
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from reference import (
    initial_state,
    inputs,
    jacobians,
    log_norms,
    log_norms_in_many_digits,
    measured,
    measured_with_errors,
    trajectory,
)

from rnnmc.cells import cells
from rnnmc.chain.product import follow
from rnnmc.common.errors import UsageError
from rnnmc.engine import block as blocks_of
from rnnmc.engine.block import SCHEMA, blocks, partition, run_block
from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Columns, Rows
from rnnmc.numerics.spectral import spectral_norm
from rnnmc.observables.vector import Vector
from rnnmc.study.point import DesignPoint

HORIZONS = (1, 2, 3, 10, 50, 200)
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
STATED = 1e-3  # nats of log_spectral that samples may state as an error at most
SUNSPOTS = str(Path(__file__).parents[2] / "config/data/sunspots.csv")


def point(cell, width, dtype="float64", horizons=HORIZONS, **more):
    return DesignPoint(cell=cell, width=width, dtype=dtype, horizons=horizons, **more)


def assert_close(found, wanted, errors, dtype):
    """Equal relative to the log-norm, or absolutely where that is below one nat, but for what is stated as an error."""
    for one, other, stated in zip(found, wanted, errors, strict=True):
        assert np.array_equal(np.isneginf(one), np.isneginf(other))
        finite = np.isfinite(other)
        error = np.maximum(0, np.abs(one - other) - stated)[finite] / np.maximum(1, np.abs(other[finite]))
        assert error.max(initial=0) < TOLERANCE[dtype]


def agrees(design, replicates=2, along_its_own_states=False):
    spectral, rms, status, *errors = measured_with_errors(design, replicates)
    assert (errors[0] <= STATED).all()
    assert not (status == "overflow").any()
    horizon = design.horizons[-1]
    states = trajectory(design, replicates, horizon) if along_its_own_states else None
    wanted = log_norms(jacobians(design, replicates, horizon, states), design.horizons)
    assert_close((spectral, rms), wanted, errors, design.dtype)
    return spectral


# --- against the reference ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 2, 5, *(pytest.param(width, marks=pytest.mark.slow) for width in (16, 64))])
@pytest.mark.parametrize("cell", FULL)
def test_a_cell_at_framework_defaults_agrees_with_a_product_of_autograd_jacobians(cell, width, dtype):
    agrees(point(cell, width, dtype))


@pytest.mark.slow
@pytest.mark.parametrize("cell", [name for name in cells() if name not in FULL])
def test_every_other_cell_does_so_at_one_width_over_a_few_steps(cell):
    agrees(point(cell, 3, horizons=(1, 2, 8), state_std=0.5))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [3, pytest.param(24, marks=pytest.mark.slow)])
@pytest.mark.parametrize("cell", FULL)
def test_a_cell_with_fresh_weights_at_every_step_agrees_with_the_reference(cell, width, dtype):
    agrees(point(cell, width, dtype, weights="untied", state_std=0.5, horizons=(1, 2, 30)))


DRIVES = {
    "none": "none",
    "white": {"white": 3},
    "field": "field",
    "ar1": {"ar1": {"correlation": 0.7, "dimension": 2}},
    "constant": {"constant": -0.8},
    "file": {"file": {"path": SUNSPOTS, "column": "SUNACTIVITY"}},
}


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize("cell", ["lstm", "gru_reset_after"])
@pytest.mark.parametrize("width", [3, 16])
def test_every_drive_agrees_with_the_reference(cell, width, drive):
    init = {"preset": "keras", "input": {"gaussian": 0.7}}
    agrees(point(cell, width, drive=DRIVES[drive], init=init, state_std=1.0, horizons=(1, 40)))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("cell", "width"), [("tanh", 4), ("tanh", 64), ("lstm", 64), ("gru", 64), ("gru_tied", 16)])
def test_a_chaotic_chain_agrees_with_the_product_along_its_own_trajectory(cell, width, dtype):
    gain = 3.5 if cell == "tanh" else 8.0  # gated cells turn chaotic later
    init = {"recurrent": {"gaussian": gain}}
    design = point(cell, width, dtype, init=init, drive="none", state_std=1.0, horizons=(1, 10, 200))
    spectral = agrees(design, along_its_own_states=True)
    if width == 64:
        assert spectral[:, -1].min() > 0  # chaotic indeed


def test_the_reference_itself_agrees_with_sixty_digits():
    design = point("lstm", 2, horizons=(100,))
    factors = list(jacobians(design, 2, 100))
    assert log_norms(factors, (100,))[1][:, 0] == pytest.approx(log_norms_in_many_digits(factors, 100), rel=1e-12)


def test_the_drive_is_input_weights_times_the_sequence_plus_bias():
    for layout in (Rows(), Columns()):
        draws = Draws(point("lstm", 3, drive={"white": 4}), [(0, 0)], 8, layout, "cpu")
        weights, bias, piece = draws.given.inputs, draws.given.bias, next(draws.drive())
        assert weights is not None
        assert piece is not None
        x = piece[0]
        _, drive = next(draws.steps())
        unit = layout.matrices
        together = torch.cat([unit(drive[gate]) for gate in draws.cell.gates], dim=2)
        if layout.name == "columns":
            weights = weights.permute(2, 0, 1)
        wanted = torch.einsum("rm,rmk->rk", unit(x)[:, 0], weights) + unit(bias)[:, 0]
        assert torch.allclose(together[:, 0], wanted, rtol=1e-12)


def test_blocks_and_tiles_draw_different_weights_and_tied_ones_stay():
    design = point("tanh", 1, "float32")
    seen = {}
    for place in [(0, 0), (0, 1), (1, 0)]:
        steps = Draws(design, [place], 64, Columns(), "cpu").steps()
        (first, _), (second, _) = next(steps), next(steps)
        assert first.stacked is not None
        assert first.stacked is second.stacked
        seen[place] = first.stacked.numpy().tobytes()
    assert len(set(seen.values())) == 3


# --- planted mistakes of published tools (docs/physics.md section 4) -----------------------------------


def test_the_wrong_time_order_is_told_apart():
    design = point("tanh", 5, horizons=(3,))
    factors = list(jacobians(design, 2, 3))
    spectral, rms, _ = measured(design, 2)
    assert_close((spectral, rms), log_norms(factors, (3,)), (0.0, 0.0), "float64")
    assert np.abs(spectral - log_norms(factors[::-1], (3,))[0]).min() > 1e-4


def test_averaging_the_jacobians_of_a_batch_before_multiplying_is_told_apart():
    design = point("tanh", 5, horizons=(20,))
    factors = list(jacobians(design, 4, 20))
    averaged = [np.broadcast_to(factor.mean(axis=0), factor.shape) for factor in factors]
    spectral, _, _ = measured(design, 4)
    assert np.abs(spectral - log_norms(averaged, (20,))[0]).min() > 0.1


@pytest.mark.slow
def test_a_product_without_rescaling_underflows_where_the_engine_does_not():
    design = point("tanh", 8, "float32", drive="none", horizons=(400,))
    product = np.eye(8, dtype=np.float32)
    for factor in jacobians(design, 4, 400):
        product = factor.astype(np.float32) @ product
    assert not product.any()
    spectral, _, status = measured(design, 4)
    assert (status == "ok").all()
    assert np.isfinite(spectral).all()
    assert spectral.max() < -103  # the smallest float32 is e^-103.3


# --- at the limits --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gains_far_from_one_neither_overflow_nor_underflow_the_chain(dtype):
    for gain, low, high in ((1e3, 1500, 8000), (1e-3, -15000, -1500)):
        init = {"recurrent": {"gaussian": gain}}
        for width in (2, 16):
            design = point("linear", width, dtype, drive="none", init=init, horizons=(1, 1000))
            spectral, rms, status = measured(design, 4)
            assert (status == "ok").all()
            assert low < spectral[:, 1].min() < spectral[:, 1].max() < high
            assert (rms <= spectral).all()


@pytest.mark.parametrize(("dtype", "gain"), [("float32", 9.0), ("float64", 60.0)])
def test_saturated_tanh_keeps_its_tiny_slopes(dtype, gain):
    """Where tanh is flat to the last digit, 1 - tanh^2 is zero, but sech^2 is not: sixty digits agree."""
    init = {"recurrent": {"gaussian": gain}}
    design = point("tanh", 1, dtype, drive="none", state_std=0.3, init=init, horizons=(1, 5, 40))
    count = 200
    spectral, _, status = measured(design, count)
    (u, _, _), state = next(inputs(design, count)), initial_state(design, count)
    with mpmath.workdps(60):
        wanted = []
        for weight, start in zip(u["hidden"][:, 0, 0].tolist(), state[:, 0].tolist(), strict=True):
            h, log, row = mpmath.mpf(start), mpmath.mpf(0), []
            for t in range(1, 41):
                a = weight * h
                h = mpmath.tanh(a)
                log += mpmath.log(abs(weight) * mpmath.sech(a) ** 2)
                if t in design.horizons:
                    row.append(float(log))
            wanted.append(row)
    wanted = np.array(wanted)
    assert (status == "ok").all()
    assert wanted[:, -1].min() < -40 * 30  # many times below float32's smallest number in one or two steps
    assert np.abs(spectral / wanted - 1)[np.abs(wanted) > 1].max() < TOLERANCE[dtype]


@pytest.mark.parametrize("pre_activation", [36.0, 42.0, 44.5, 47.0, 50.0, 60.0])
def test_a_step_beyond_the_range_of_float32_is_neither_dead_nor_exploded_nor_less_exact(pre_activation):
    """4 e^-2a is 1e-31 to 1e-52 here: subnormal from 1e-38 on, zero from 1e-45 on, were it left to float32."""
    init = {"recurrent": {"constant": 1.0}, "bias": {"constant": pre_activation}}
    design = point("tanh", 1, "float32", drive="none", init=init, horizons=(1, 2, 30))
    spectral, _, status = measured(design, 3)
    one, rest = math.log(4) - 2 * pre_activation, math.log(4) - 2 * (pre_activation + 1)
    assert (status == "ok").all()
    assert spectral == pytest.approx(np.tile([one, one + rest, one + 29 * rest], (3, 1)), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_exploding_relu_overflows_for_good_and_is_never_nan(dtype):
    init = {"recurrent": {"gaussian": 1e6}, "bias": {"constant": 0.1}}
    design = point("relu", 6, dtype, init=init, horizons=(1, 2, 5, 20, 100, 300))
    spectral, rms, status = measured(design, 500)
    for log in (spectral, rms):
        assert not np.isnan(log).any()
        assert np.array_equal(np.isposinf(log), status == "overflow")
        assert np.array_equal(np.isneginf(log), status == "dead")
    overflow = status == "overflow"
    assert overflow[:, -1].mean() > 0.5
    assert (overflow[:, 1:] >= overflow[:, :-1]).all()


def test_a_dead_relu_unit_counts_as_dead_for_good():
    init = {"recurrent": {"gaussian": 1.0}}
    design = point("relu", 2, "float32", init=init, horizons=(1, 2, 5, 20, 100, 300))
    spectral, rms, status = measured(design, 2000)
    dead = status == "dead"
    assert 0.5 < dead[:, -1].mean() <= 1
    assert 0.01 < dead[:, 0].mean() < 0.6
    assert (dead[:, 1:] >= dead[:, :-1]).all()
    assert (spectral[dead] == -np.inf).all()
    assert (rms[dead] == -np.inf).all()
    assert np.isfinite(spectral[status == "ok"]).all()
    overflow = status == "overflow"  # the input may carry the state away after the chain died, but that changes no zero
    assert overflow[:, -1].any()
    assert not overflow[dead.any(axis=1)].any()


@pytest.mark.slow
def test_memory_does_not_depend_on_the_horizon():
    design = point("lstm", 16, "float32", horizons=(20, 3000))
    draws = Draws(design, [(0, 0)], 16, Rows(), "cpu")

    def storages():
        gc.collect()
        tensors = [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]
        return {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}

    with torch.no_grad():
        chain = follow(design.cell_object, Rows(), draws.steps(), draws.state(), design.horizons)
        held = [sum(storages().values()) for _ in chain]
    assert held[1] - held[0] < 1e5  # a horizon of products would be 16 x 32 x 32 x 4 bytes x 2980 = 2e8


# --- a pure function ------------------------------------------------------------------------------


def digest(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


PURE = [
    {"cell": "lstm", "width": 16, "dtype": "float32", "horizons": (10, 60)},
    {"cell": "tanh", "width": 3, "dtype": "float64", "horizons": (10, 60), "weights": "untied"},
    {"cell": "gru", "width": 40, "dtype": "float32", "horizons": (10, 60), "init": "keras", "state_std": 1.0},
]


def some_block(design: DesignPoint, block: int = 0) -> pa.Table:
    return run_block(design, block, min(64, partition(design).block))


def test_a_block_has_the_same_bits_again_and_after_other_blocks_and_with_two_threads():
    designs = [point(**said) for said in PURE]
    first = [some_block(design) for design in designs]
    for design, table in zip(designs, first, strict=True):
        assert table.schema == SCHEMA
        assert some_block(design).equals(table)
        other = some_block(design, 1)
        assert not other["log_rms"].equals(table["log_rms"])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002 - no global generator has a say
        for design, table in reversed(list(zip(designs, first, strict=True))):
            assert some_block(design).equals(table)
        assert torch.get_num_threads() == 2  # and it leaves the setting as it was
    finally:
        torch.set_num_threads(threads)


@pytest.mark.process
def test_a_block_has_the_same_bits_in_another_process():
    here = [digest(some_block(point(**said))) for said in PURE]
    program = f"from test_engine import *; print(*[digest(some_block(point(**said))) for said in {PURE!r}])"
    place = Path(__file__).parent
    environment = {"PYTHONPATH": f"{place.parent}:{place}", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "2"}
    there = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment, cwd=place.parent
    )
    assert there.stdout.split() == here


@pytest.mark.parametrize(("cell", "width"), [("tanh", 1), ("tanh", 64), ("gru_output_gated", 6), ("lstm", 24)])
def test_the_first_replicates_of_a_block_are_those_of_the_whole_block(cell, width):
    design = point(cell, width, "float32", horizons=(5, 9))
    tile = partition(design).tile
    whole = run_block(design, 2, min(2 * tile + 3, partition(design).block))
    for count in (1, 3, tile, tile + 1):
        part = run_block(design, 2, count)
        assert part.num_rows == 2 * count
        assert part.equals(whole.slice(0, 2 * count).combine_chunks())


def test_rows_are_numbered_by_replicate_of_the_study_then_horizon():
    design = point("min_gru", 2, "float32", horizons=(1, 4))
    size = partition(design).block
    table = run_block(design, 3, 5).to_pydict()
    assert table["replicate"] == [3 * size + i // 2 for i in range(10)]
    assert table["horizon"] == [1, 4] * 5
    assert set(table["point"]) == {design.key}
    assert set(table["block"]) == {3}


def test_impossible_blocks_and_devices_are_refused():
    design = point("min_gru", 2)
    for block, count in ((-1, 1), (0, 0), (0, partition(design).block + 1), (True, 1), (0.0, 1), ("0", 1), (0, 2.5)):
        with pytest.raises(UsageError, match="give a block from 0"):
            run_block(design, block, count)
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="no CUDA device"):
            run_block(design, 0, 1, device="cuda")
    with pytest.raises(UsageError, match="give cpu or cuda"):
        run_block(design, 0, 1, device="tpu")
    with pytest.raises(UsageError, match="is not a design point"):
        run_block("lstm", 0, 1)


@pytest.mark.parametrize("cell", list(cells()))
@pytest.mark.parametrize("width", [1, 7, 300])
def test_partitions_are_whole_tiles_and_cover_what_is_asked(cell, width):
    design = point(cell, width)
    cut = partition(design)
    assert cut.tile >= 1
    assert cut.block % cut.tile == 0
    for wanted in (1, cut.block, cut.block + 1, 5 * cut.block - 1):
        needed = blocks(wanted, cut.block)
        assert [number for number, _ in needed] == list(range(len(needed)))
        assert sum(count for _, count in needed) == wanted
        assert all(1 <= count <= cut.block for _, count in needed)


# --- spectral norms -------------------------------------------------------------------------------


def norms(batch: np.ndarray) -> np.ndarray:
    return spectral_norm(torch.from_numpy(batch)).numpy()


finite = st.floats(-1e3, 1e3, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-100)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.integers(1, 30)).map(lambda s: (s[0], s[1], s[1])),
        elements=finite,
        fill=st.sampled_from([0.0, 1.0]),
    )
)
def test_the_spectral_norm_is_that_of_numpy_for_any_matrix(batch):
    wanted = np.linalg.norm(batch, 2, axis=(1, 2))
    assert norms(batch) == pytest.approx(wanted, rel=1e-11, abs=1e-100)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.integers(2, 48),
    rank=st.integers(0, 48),
    decay=st.sampled_from([0.0, 1e-13, 1e-9, 1e-3, 0.3, 3.0, 30.0]),
    scale=st.sampled_from([1e-120, 1.0, 1e120]),
    seed=st.integers(0, 2**31),
)
def test_the_spectral_norm_holds_for_close_singular_values_and_low_ranks(rows, rank, decay, scale, seed):
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((3, rows, rows)))[0] for _ in range(2))
    values = np.where(np.arange(rows) < rank, np.exp(-decay * np.arange(rows)), 0) * scale
    batch = (left * values) @ right
    wanted = values[0]
    assert norms(batch) == pytest.approx([wanted] * 3, rel=1e-11, abs=1e-300)


def test_the_spectral_norm_is_not_misled_by_a_top_direction_that_the_start_does_not_see():
    """The heaviest eight columns, where the subspace starts, are orthogonal to the top singular vector."""
    matrix = np.zeros((1, 60, 60))
    matrix[0, :8, :8] = np.eye(8)
    matrix[0, 8:, 8:] = 0.9 / 52 * 1.2  # rank one, norm 1.08, every column lighter than one
    assert norms(matrix) == pytest.approx(np.linalg.norm(matrix, 2, axis=(1, 2)), rel=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 3, 10, 24, 60])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_matrix_that_is_not_finite_has_norm_nan_and_disturbs_no_other(rows, bad):
    batch = np.random.default_rng(rows).standard_normal((5, rows, rows))
    wanted = np.linalg.norm(batch, 2, axis=(1, 2))
    batch[2, 0, -1] = bad
    found = norms(batch)
    assert np.isnan(found[2])
    keep = [0, 1, 3, 4]
    assert found[keep] == pytest.approx(wanted[keep], rel=1e-12)


def test_log_norms_of_a_chain_never_put_rms_above_spectral():
    orthogonal = {"recurrent": {"orthogonal": 1.0}}
    for design in (point("lru", 4), point("min_gru", 4), point("linear", 4, init=orthogonal)):
        spectral, rms, _ = measured(design, 100)
        assert (spectral >= rms).all()


def test_a_chain_that_float32_cannot_resolve_is_taken_from_float64_and_is_not_dead() -> None:
    """A saturated tanh: sech^2(60 w) is 0 in float32 for |w| > 0.87, which is 0.39 of all, and nothing is dead."""
    gaussian = {"recurrent": {"gaussian": 1}, "input": {"gaussian": 1}}
    samples = {
        dtype: run_block(
            point("tanh", 1, init=gaussian, drive={"constant": 60}, dtype=dtype),
            0,
            1000,
        )
        for dtype in ("float32", "float64")
    }
    for table in samples.values():
        assert set(table["status"].to_pylist()) == {"ok"}
    deep = [np.quantile(table["log_spectral"].to_numpy(), 0.25) for table in samples.values()]
    assert abs(deep[0] - deep[1]) < 0.25 * abs(deep[1])  # two draws of one law, far below what float32 can hold
    assert deep[0] < -200


def test_untied_weights_are_fresh_at_every_step_and_input_weights_and_biases_stay() -> None:
    design = point("tanh", 4, weights="untied", drive={"constant": 2.0}, horizons=[5])
    steps = Draws(design, [(0, 0)], 3, Rows(), "cpu").steps()
    (first, drive), (second, later) = next(steps), next(steps)
    assert torch.equal(drive["hidden"], later["hidden"])
    assert not torch.equal(first.recurrent["hidden"], second.recurrent["hidden"])


def test_a_relu_state_that_decays_below_float32_does_not_seem_to_kill_the_chain() -> None:
    """Without input h shrinks with the chain, to 1e-60 here: in float32 it would be zero, and every unit then dead."""
    init = {"recurrent": {"identity": 0.5}, "bias": 0}
    design = point("relu", 3, dtype="float32", init=init, drive="none", state_std=1.0, horizons=[200])
    samples = run_block(design, 0, 200)
    alive = np.array(samples["status"].to_pylist()) == "ok"
    assert 0.7 < alive.mean() < 1.0  # all three units start below zero in an eighth of the replicates
    assert samples["log_spectral"].to_numpy()[alive] == pytest.approx(200 * math.log(0.5), rel=1e-6)


def test_a_block_whose_norms_contradict_its_status_is_refused_where_it_is_made(monkeypatch):
    true = blocks_of._run_chain

    def otherwise(*asked):
        kinds, lost = true(*asked)
        kinds["samples"]["log_spectral"][0, -1] = -np.inf
        return kinds, lost

    monkeypatch.setattr(blocks_of, "_run_chain", otherwise)
    with pytest.raises(FloatingPointError, match="log_spectral contradicts status in 1 rows"):
        run_block(DesignPoint(cell="tanh", width=2, horizons=(1, 5)), 0, 3)


def test_an_observable_shares_no_stream_with_the_draws():
    class Mine(Vector):
        name = "drive"

    point = DesignPoint(cell="tanh", width=2, horizons=(1, 5))
    with pytest.raises(UsageError, match="observables: drive is the name of a stream of draws; give it another name"):
        blocks_of.observe_block(point, 0, (Mine(),), 3)
