"""Directions swept by C that is made from a cell are those of the plain chain, over all cells, either way."""

import numpy as np
import pytest
import torch
from grids import FULL, MATRICES, spread

from rnnmc.cells import cells
from rnnmc.cells.cell import Cell
from rnnmc.chain.norms import log_norms
from rnnmc.chain.product import follow
from rnnmc.engine.block import Partition, observe_block, partition, run_block
from rnnmc.engine.choice import FEW_DIRECTIONS, SWEPT
from rnnmc.engine.compiled.agreement import disagreement
from rnnmc.engine.compiled.symbols import Untraceable
from rnnmc.engine.compiled.trace import traced
from rnnmc.engine.draws import Draws
from rnnmc.engine.swept import bounds, emit, narrowing, norms, trajectory
from rnnmc.engine.swept import kernels as of_kernels
from rnnmc.engine.swept.factors import factors_of
from rnnmc.engine.swept.kernels import swept_kernels
from rnnmc.engine.swept.trust import as_chain, kernels
from rnnmc.numerics import compiler
from rnnmc.numerics.layout import Rows
from rnnmc.observables.passage import Passage
from rnnmc.observables.spectrum import LyapunovSpectrum
from rnnmc.observables.vector import Vector
from rnnmc.study.point import DesignPoint, horizons_up_to

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler on this machine")
WITH_MATRICES = [name for name in MATRICES if cells()[name].recurrent and not cells()[name].diagonal]
ROUNDING = {"float32": 2e-5, "float64": 1e-13}  # of the largest entry, over ten steps
HORIZONS, REPLICATES, TILE = (4, 10), 2, [(0, 0)]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def _quickly_compiled(monkeypatch):
    """Compiled without a thought for speed, which takes a tenth of the time; the numbers are the same to rounding."""
    monkeypatch.setattr(compiler, "FLAGS", ("-O0", *(flag for flag in compiler.FLAGS if flag != "-O3")))
    for module in (emit, of_kernels, trajectory):
        monkeypatch.setattr(module, "SWEPT_TOGETHER", (4,))
    compiler.forget()
    yield
    compiler.forget()


def draws_of(design: DesignPoint, replicates: int = REPLICATES) -> Draws:
    return Draws(design, TILE, replicates, Rows(), "cpu")


def agree(design: DesignPoint, replicates: int = REPLICATES) -> None:
    """All unit directions become the columns of P_t forwards, and its rows backwards."""
    run = kernels(design.cell, design.width, getattr(torch, design.dtype), design.layers)
    assert run is not None
    along, draws = trajectory.walked(run, draws_of(design, replicates)), draws_of(design, replicates)
    which, d = torch.arange(replicates).flip(0), design.state_size
    unit = torch.eye(d, dtype=draws.dtype).expand(replicates, d, d)
    times = torch.tensor(design.horizons).expand(replicates, -1)
    there, back = along.sweep(which, unit, times), along.sweep(which, unit, times[:, -1:], backward=True)
    chain = follow(draws.cell, Rows(), draws.steps(), draws.state(), design.horizons)
    for i, moment in enumerate(chain):
        last = i == len(design.horizons) - 1
        found = [(there, i, False), *([(back, 0, True)] if last else [])]
        for image, at, transposed in found:
            shift = image.exponent[:, at].flip(0)[:, :, None] - moment.exponent[:, None, None]
            product = torch.ldexp(image.rows[:, at].flip(0), shift)
            off = (product.mT if transposed else product) - moment.product
            size = moment.product.abs().amax((1, 2))
            assert (off.abs().amax((1, 2)) <= ROUNDING[design.dtype] * size).all()


def by_full_product(design: DesignPoint, replicates: int, monkeypatch) -> dict[str, np.ndarray]:
    """The norms of the full product along the very trajectory that `swept_norms` walks."""
    with monkeypatch.context() as without_groups:
        without_groups.setattr(norms, "groups_of", lambda *_: [])
        without_groups.setattr(norms, "narrows", lambda _: False)
        return norms.swept_norms(design, TILE, replicates, "cpu", design.dtype)


def compared(design: DesignPoint, replicates: int, monkeypatch) -> np.ndarray:
    """Nats of log_spectral beside the full product's where sweeps found it; they are within their errors."""
    found = norms.swept_norms(design, TILE, replicates, "cpu", design.dtype)
    wanted = by_full_product(design, replicates, monkeypatch)
    assert np.array_equal(found["status"], wanted["status"])
    by_sweeps = ~np.isnan(found["log_spectral_error"])
    rounding = 1e-9 if design.dtype == "float64" else 2e-5
    if not by_sweeps.any():  # products that are nearly the identity have no few directions
        return np.zeros(0)
    for name, most in (("log_spectral", norms.TOLERANCE), ("log_rms", 1.0)):
        off, error = np.abs(found[name] - wanted[name])[by_sweeps], found[f"{name}_error"][by_sweeps]
        assert (off <= error + rounding).all()
        assert (error <= most).all()
    return np.abs(found["log_spectral"] - wanted["log_spectral"])[by_sweeps]


@pytest.mark.slow
@pytest.mark.usefixtures("_quickly_compiled")
@pytest.mark.parametrize(("cell", "dtype"), spread(ROUNDING, names=WITH_MATRICES))
def test_every_cell_sweeps_as_the_plain_chain_does_and_finds_the_norms_of_the_full_product(cell, dtype, monkeypatch):
    width = 37 if cell in FULL else 35  # no whole number of lanes, let alone of panels
    design = DesignPoint(cell=cell, width=width, dtype=dtype, horizons=HORIZONS, state_std=0.5)
    agree(design)
    compared(design.model_copy(update={"horizons": (3, 40, 100)}), 2, monkeypatch)


@pytest.mark.slow
@pytest.mark.usefixtures("_quickly_compiled")
@pytest.mark.parametrize("drive", ["none", {"white": 3}, "field"], ids=str)
def test_every_drive_and_several_layers_are_those_of_the_plain_chain(drive):
    init = {"recurrent": {"gaussian": 1.5}, "input": {"gaussian": 0.7}}
    agree(DesignPoint(cell="gru", width=17, layers=2, init=init, dtype="float64", drive=drive, horizons=HORIZONS), 3)


def test_a_cell_that_is_not_linear_in_its_directions_has_no_sweeps():
    class Odd(Cell):
        name, gates = "odd", ("hidden",)

        def linearise(self, weights, drive, state):
            h = drive["hidden"] + weights.apply(state[0], "hidden")["hidden"]
            return (h,), lambda directions: (weights.product(directions[0].tanh(), weights.recurrent["hidden"]),)

    with pytest.raises(Untraceable, match="tanh of directions is not linear"):
        factors_of(traced(Odd()))


def test_a_cell_without_recurrent_matrices_has_no_sweeps():
    assert kernels("min_gru", 32, torch.float32) is None
    assert kernels("lru", 32, torch.float32) is None


CHAOTIC = {"init": {"recurrent": {"gaussian": 4.0}}, "drive": "none", "state_std": 1.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "width", "more"),
    [
        ("tanh", 32, CHAOTIC | {"dtype": "float64"}),
        ("tanh", 300, {"drive": {"white": 3}, "horizons": (60, 90, 120)}),
        ("lstm", 45, {"dtype": "float64", "init": {"recurrent": {"gaussian": 5.0}}, "drive": {"ar1": 0.5}}),
        ("gru", 70, {"nested": {"drives": 2, "states": 2}, "state_std": 1.0}),
    ],
    ids=str,
)
def test_widths_gains_and_drives_have_the_norms_of_the_full_product(cell, width, more, monkeypatch):
    design = DesignPoint(**({"cell": cell, "width": width, "horizons": (30, 100, 300, 400)} | more))
    off = compared(design, 4, monkeypatch)
    assert len(off) >= 4  # not all by the full product
    assert np.median(off) < 1e-6
    assert off.max() < 1e-4


DENSE = horizons_up_to(300)  # so many that one sweep of ever fewer columns serves them all


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "width", "more"),
    [
        ("tanh", 45, CHAOTIC | {"dtype": "float64"}),
        ("lstm", 37, {"dtype": "float64", "drive": {"white": 3}}),
        ("lstm", 64, {"weights": "tied"}),
        ("gru", 70, {"nested": {"drives": 2, "states": 2}, "state_std": 1.0}),
        (
            "tanh",
            150,
            {"init": {"recurrent": {"orthogonal": 1.0}}, "dtype": "float64", "horizons": tuple(range(10, 101, 10))},
        ),
        ("gru", 33, {"layers": 2, "drive": {"ar1": 0.5}, "dtype": "float64"}),
    ],
    ids=str,
)
def test_many_horizons_have_the_norms_of_the_full_product_from_fewer_and_fewer_columns(cell, width, more, monkeypatch):
    design = DesignPoint(**({"cell": cell, "width": width, "horizons": DENSE} | more))
    off = compared(design, 4, monkeypatch)
    assert len(off) == 4 * len(design.horizons)  # none by the full product
    assert np.median(off) < 1e-6
    assert off.max() < 1e-4


def test_columns_become_fewer_and_what_is_dropped_is_told():
    design = DesignPoint(cell="lstm", width=32, horizons=DENSE, dtype="float64")
    run = kernels("lstm", 32, torch.float64)
    assert run is not None
    along = trajectory.walked(run, draws_of(design))
    carried: list[int] = []
    sweep = along.sweep

    def counted(which, rows, times, **more):
        carried.append(rows.shape[1])
        return sweep(which, rows, times, **more)

    along.sweep = counted  # pyright: ignore[reportAttributeAccessIssue]
    normal = torch.from_numpy(np.random.default_rng(3).standard_normal((REPLICATES, narrowing.NORMAL_ROWS, 64)))
    coarse = narrowing.narrowed(along, torch.arange(REPLICATES), DENSE, normal, 1e-3)
    assert carried[0] == 64
    assert carried[-1] <= 16
    fine = narrowing.narrowed(along, torch.arange(REPLICATES), DENSE, normal, 1e-12)
    missed = fine.told.spectral - coarse.told.spectral
    assert (missed >= -1e-9).all()
    assert float(missed.max()) > 1e-6  # so that the next line says something
    assert (missed <= coarse.told.spectral_error + 1e-9).all()
    assert (fine.told.spectral_error <= 1e-7).all()


def test_a_pivoted_factor_leaves_no_more_than_the_share_and_keeps_rows_orthonormal():
    """`drop` on its own: A of falling singular values, X and G told exactly."""
    run = narrowing.functions()
    assert run is not None
    rng, (r, d, m) = np.random.default_rng(7), (21, 30, narrowing.NORMAL_ROWS)
    turn, other = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (r, d))
    a = torch.from_numpy(turn * 0.4 ** np.arange(r) @ other[:r])[None].clone()
    inside = torch.from_numpy(rng.standard_normal((1, m, r)))
    rest, kept, whole = torch.zeros(1, m, d, dtype=torch.float64), torch.tensor([r]), inside @ a
    gram, before = a @ a.mT, a.square().sum()
    small = torch.tensor([1e-6], dtype=torch.float64)
    given = gram, small, a, rest, inside, kept
    run[1](1, d, m, r, 0.9, *(one.data_ptr() for one in given))
    assert 8 <= int(kept) <= 14
    assert torch.allclose(inside @ a + rest, whole, atol=1e-12)
    assert 0 < before - a.square().sum() <= 1e-6
    assert float(rest.square().mean()) < 1e-6
    assert float(torch.linalg.matrix_norm(a[0], 2)) == pytest.approx(1, abs=1e-6)


def test_what_is_told_of_a_matrix_holds_whatever_its_singular_values():
    draws = np.random.default_rng(5)
    d, k, m, many = 24, 4, 4, 400
    decay = draws.uniform(0.2, 0.95, (many, 1))
    values = decay ** np.arange(d)
    values[::2, 1] = values[::2, 0] * draws.uniform(0.999, 1, many // 2)  # a pair, as complex eigenvalues give
    turn = [np.linalg.qr(draws.standard_normal((many, d, d)))[0] for _ in range(2)]
    matrix = torch.from_numpy(turn[0] * values[:, None] @ turn[1])  # rows meet it from the left: the transposed P
    start, normal = (torch.from_numpy(draws.standard_normal((many, size, d))) for size in (k, m))
    left = bounds.orthonormal_rows(start @ matrix)
    back = left @ matrix.mT
    right = bounds.orthonormal_rows(back)
    by_left = bounds.told_by_left(left, back, normal @ matrix)
    by_right = bounds.told_by_right(right, right @ matrix, normal, normal @ matrix)
    spectral, frobenius = np.log(values.max(1)), 0.5 * np.log((values**2).sum(1))
    for told in (by_left, by_right):
        missed = spectral - told.spectral.numpy()
        assert (missed > -1e-12).all()
        assert (missed <= told.spectral_error.numpy() + 1e-12).all()
        assert (np.abs(frobenius - told.frobenius.numpy()) <= told.frobenius_error.numpy() + 1e-12).mean() > 0.99
    assert (by_right.spectral_error < 1e-4).double().mean() > 0.2  # and says something


def test_a_matrix_that_its_start_missed_is_not_told_as_known():
    """The largest direction is none that the rows saw: the normal rows say so."""
    d = 32
    matrix = torch.diag(torch.cat([torch.tensor([10.0]), 0.5 ** torch.arange(1.0, d)])).double()[None]
    start = torch.eye(d, dtype=torch.float64)[None, 1:5]
    normal = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 4, d)))
    told = bounds.told_by_right(start, start @ matrix, normal, normal @ matrix)
    assert told.spectral_error[0] > np.log(10 / 0.5) - 1e-9


def test_nothing_that_is_known_beside_something_that_is_missed_is_not_known_at_all():
    """As where what was kept has shrunk out of the range of float64 beside what was dropped."""
    zeros, missed = torch.zeros(1, dtype=torch.float64), torch.ones(1, 4, 8, dtype=torch.float64)
    told = bounds.told_by_rest(zeros, zeros, missed, torch.ones(1, 4, dtype=torch.float64))
    assert told.spectral_error.isposinf().all()
    dead = bounds.told_by_rest(zeros, zeros, 0 * missed, torch.ones(1, 4, dtype=torch.float64))
    assert (dead.spectral_error == 0).all()


def test_what_has_died_keeps_no_exponent_that_the_living_are_measured_by():
    """f^T where nothing else is: log 2 a step, exactly; the columns of h are zero after one step."""
    init = {"recurrent": {"constant": 0.0}, "bias": 0.0}
    for horizons in ((1, 40, 1000), horizons_up_to(1200)):
        design = DesignPoint(cell="lstm", width=32, init=init, drive="none", state_std=1.0, horizons=horizons)
        found = norms.swept_norms(design, TILE, 2, "cpu", "float32")
        assert (found["status"] == 0).all()
        wanted = -np.log(2) * np.array(horizons) + np.log(1.25) / 2  # of c, and of h = sg(0) tanh(c)
        assert np.abs(found["log_spectral"] - wanted)[:, np.array(horizons) >= 40].max() < 1e-3
    scaled = torch.eye(4, dtype=torch.float32)[None, :2], torch.tensor([[0, -1000]])
    scaled[0][0, 0] = 0
    told, most = norms._scaled_told(
        lambda rows, images, normal: bounds.told_by_right(rows, images, normal, normal),
        torch.eye(4)[None, :2],
        scaled,
        (torch.zeros(1, 4, 4), torch.zeros(1, 4, dtype=torch.int64)),
    )
    assert float(told.spectral + most) == pytest.approx(-1000 * np.log(2))


def test_an_overflow_a_death_and_a_step_without_digits_are_told_as_the_plain_chain_tells_them():
    dying = {"cell": "relu", "init": {"recurrent": {"gaussian": 0.5}, "bias": -1.0}}
    exploding = {"cell": "linear", "init": {"recurrent": {"gaussian": 1e30}}, "drive": "none", "state_std": 1.0}
    for more, last in ((dying, 1), (exploding, 2)):
        for horizons in ((1, 150), horizons_up_to(150)):  # by a few directions, and by fewer and fewer
            assert compared_status(DesignPoint(**({"width": 32, "horizons": horizons} | more)))[-1] == last
    shut = {"cell": "relu", "width": 64, "init": {"recurrent": {"identity": 1.0}, "input": {"gaussian": 1.0}}}
    assert 0 < (compared_status(DesignPoint(**(shut | {"horizons": horizons_up_to(300)})), 16) == 1).mean() < 1
    init = {"recurrent": {"gaussian": 300.0}, "input": {"gaussian": 300.0}}
    saturated = DesignPoint(cell="tanh", width=32, horizons=(5, 120), init=init)
    assert not norms.swept_norms(saturated, TILE, 2, "cpu", "float32")["resolved"].all()


def compared_status(design: DesignPoint, replicates: int = 4) -> np.ndarray:
    """The status at every horizon, which is the plain chain's."""
    found = norms.swept_norms(design, TILE, replicates, "cpu", design.dtype)
    draws = draws_of(design, replicates)
    chain = follow(draws.cell, Rows(), draws.steps(), draws.state(), design.horizons)
    wanted = np.stack([log_norms(moment)["status"] for moment in chain], axis=1)
    assert np.array_equal(found["status"], wanted)
    return wanted.ravel()


@pytest.mark.parametrize("horizons", [(20, 100, 300), horizons_up_to(150)], ids=len)
def test_a_replicate_has_the_same_bits_whatever_runs_beside_it(horizons):
    design = DesignPoint(cell="lstm", width=32, horizons=horizons)
    cut = Partition(8, 16, SWEPT)
    whole, some = run_block(design, 1, cut=cut), run_block(design, 1, 3, cut=cut)
    assert some.equals(whole.slice(0, some.num_rows))


def test_kernels_of_sweeps_do_what_the_cell_does_and_one_that_does_not_is_found_out():
    run, _ = swept_kernels(cells()["lstm"], 21, torch.float32)
    assert run is not None
    for backward in (False, True):
        assert disagreement(cells()["lstm"], as_chain(run, backward), 21, torch.float32, False) <= 1
        wrong = run._replace(sweeps={key: run.sweeps[not key[0], key[1]] for key in run.sweeps})
        assert disagreement(cells()["lstm"], as_chain(wrong, backward), 21, torch.float32, False) > 1


def test_an_observable_that_looks_at_no_columns_is_spared_them_and_sees_the_same():
    design = DesignPoint(cell="lstm", width=40, horizons=(20, 100), dtype="float64")
    cut = Partition(2, 2, SWEPT)
    seen = [Vector(), LyapunovSpectrum(exponents=3)]
    alone = observe_block(design, 0, tuple(seen), cut=cut)
    beside = observe_block(design, 0, (*seen, Passage()), cut=cut)  # which looks at all columns
    for table, name in ((one, one.name) for one in seen):
        for column in table.columns:
            found, wanted = (tables[name][column].to_numpy() for tables in (alone, beside))
            assert np.allclose(found, wanted, rtol=1e-6, atol=1e-9, equal_nan=True)
    assert alone["samples"].equals(beside["samples"])


def test_columns_are_not_carried_for_an_observable_that_does_not_look_at_them(monkeypatch):
    shown: list[int] = []
    watch = LyapunovSpectrum.watch

    def watched(self, *given):
        made = watch(self, *given)
        see = made.see
        monkeypatch.setattr(made, "see", lambda step: (shown.append(step.chain[0].shape[1]), see(step)))
        return made

    monkeypatch.setattr(LyapunovSpectrum, "watch", watched)
    design = DesignPoint(cell="tanh", width=40, horizons=(110,))
    observe_block(design, 0, (LyapunovSpectrum(exponents=2),), cut=Partition(1, 1, SWEPT))
    assert set(shown) == {1}


def test_beyond_1024_units_sweeps_give_way_to_the_few_directions_of_torch_under_keys_of_their_own(monkeypatch):
    def points() -> list[DesignPoint]:
        sizes = ({"width": 1024}, {"width": 1025}, {"width": 600, "layers": 2})
        return [DesignPoint(**({"cell": "tanh", "horizons": (1, 10, 100, 1000)} | size)) for size in sizes]

    assert [partition(point).kernel for point in points()] == [SWEPT, FEW_DIRECTIONS, FEW_DIRECTIONS]
    now = [point.key for point in points()]
    monkeypatch.setattr("rnnmc.study.point.ENGINE_ABOVE", (10**9, 5))
    before = [point.key for point in points()]
    assert [one == other for one, other in zip(before, now, strict=True)] == [True, False, False]
