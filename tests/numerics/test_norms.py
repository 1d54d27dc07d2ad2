"""The compiled spectral norm against LAPACK and many digits, over all that a chain or an adversary may give it."""

from __future__ import annotations

import ctypes

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor

from rnnmc.chain.product import follow
from rnnmc.engine.draws import Draws
from rnnmc.numerics import norms as spectral
from rnnmc.numerics.compiler import compiled
from rnnmc.numerics.layout import Columns, Layout, Rows
from rnnmc.numerics.norms import BY_REPLICATE_UP_TO, norms_of
from rnnmc.numerics.spectral import plain_norms_of
from rnnmc.study.point import DesignPoint

torch.set_num_threads(1)  # as in run_block

REPLICATES = 11  # no whole number of lanes
SIZES = (1, 2, 3, 4, 7, 8, 16, 23, BY_REPLICATE_UP_TO, BY_REPLICATE_UP_TO + 1, 45, 64, 100)
CLOSE = 1e-12  # relative, as promised
ROUNDED = 3e-15  # relative: rounding of a sum of 1e4 squares, at random

needs_compiler = pytest.mark.skipif(spectral.kernel(True) is None, reason="no C compiler on this machine")


@pytest.fixture(params=["compiled", "plain"])
def route(request, monkeypatch):
    """Both routes to the norms."""
    if request.param == "plain":
        monkeypatch.setattr(spectral, "kernel", lambda by_replicate: None)
    elif spectral.kernel(True) is None:
        pytest.skip("no C compiler on this machine")


def gaussian(size: int, count: int = REPLICATES, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, size, size))


def rotations(size: int, seed: int) -> np.ndarray:
    return torch.linalg.qr(torch.from_numpy(gaussian(size, seed=seed))).Q.numpy()


def with_singular_values(values: np.ndarray, seed: int = 2) -> np.ndarray:
    """Matrices in random directions, of the given (R, d) or (d,) singular values."""
    size = values.shape[-1]
    left, right = torch.from_numpy(rotations(size, seed) * values[..., None, :]), rotations(size, seed + 1)
    return (left @ torch.from_numpy(right)).numpy()


def products(size: int, steps: int) -> np.ndarray:
    factors = torch.from_numpy(gaussian(size, steps * REPLICATES) / np.sqrt(size)).unflatten(0, (steps, REPLICATES))
    total = factors[0]
    for factor in factors[1:]:
        total = total @ factor
    return total.numpy()


def spectra(size: int) -> dict[str, np.ndarray]:
    """Singular values that are hard for one method or another."""
    rank, half = np.arange(size), size // 2 + 1
    return {
        "all equal": np.ones(size),
        "equal pairs": 0.9 ** (rank // 2),
        "half of them equal, the others zero": (rank < half) * 1.0,
        "one a hair above the rest": 1 + 1e-9 * (rank == 0),
        "one far above equal others": 1 + 9.0 * (rank == 0),
        "evenly spread": 1 - rank / size,
        "graded to nothing": 10.0 ** (-20 * rank),
        "nearly of rank one": np.where(rank == 0, 1, 1e-8 / (1 + rank)),
    }


def exact(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(spectral norm, Frobenius norm over sqrt d) by LAPACK."""
    rms = np.sqrt(np.square(matrices).mean(axis=2).sum(axis=1))
    return torch.linalg.svdvals(torch.from_numpy(matrices))[:, 0].numpy(), rms


def in_columns(matrices: Tensor) -> Tensor:
    """The same matrices with replicates innermost in memory."""
    return matrices.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def assert_right(matrices: np.ndarray, dtype: torch.dtype = torch.float64) -> None:
    """Both norms, in both layouts, of these matrices in this dtype."""
    given = torch.from_numpy(matrices).to(dtype)
    wanted = exact(given.double().numpy())
    for layout in (given, in_columns(given)):
        for norm, other, tolerance in zip(norms_of(layout), wanted, (CLOSE, ROUNDED), strict=True):
            assert norm.dtype == torch.float64
            np.testing.assert_allclose(norm.numpy(), other, rtol=tolerance)


@pytest.mark.usefixtures("route")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_norms_of_random_matrices_and_of_products_of_them_are_lapacks(size, dtype):
    for matrices in (gaussian(size), products(size, 4), products(size, 30), np.full((3, size, size), 0.1)):
        assert_right(matrices, dtype)


@pytest.mark.usefixtures("route")
@pytest.mark.parametrize("size", [2, 3, 8, BY_REPLICATE_UP_TO, 45, 64])
@pytest.mark.parametrize("name", spectra(2))
def test_no_spectrum_is_too_hard(name, size):
    values = spectra(size)[name]
    for matrices in (with_singular_values(values), np.tile(np.diag(values), (3, 1, 1))):
        assert_right(matrices)


@needs_compiler
@pytest.mark.parametrize("size", SIZES)
def test_random_spectra_at_random_scales(size):
    rng = np.random.default_rng(size)
    decay = rng.uniform(0, 12 / size, REPLICATES)[:, None]
    values = np.exp(-decay * np.arange(size) + rng.uniform(0, 1, (REPLICATES, size)))
    assert_right(with_singular_values(values) * 10.0 ** rng.uniform(-140, 140, (REPLICATES, 1, 1)))


@needs_compiler
@pytest.mark.parametrize("size", [2, 5, BY_REPLICATE_UP_TO + 1])
def test_entries_of_any_scale_agree_with_many_digits(size):
    rng = np.random.default_rng(size)
    matrices = rng.standard_normal((4, size, size)) * 10.0 ** rng.uniform(-300, 300, (4, size, size))
    matrices[1] *= 1e-200
    matrices[2] = 5e-324 * rng.integers(-3, 4, (size, size))
    matrices[3] = 1e-3 * np.finfo(float).max * rng.uniform(-1, 1, (size, size))
    with mpmath.workdps(30):
        many = [mpmath.matrix(matrix.tolist()) for matrix in matrices]
        wanted = [float(mpmath.sqrt(max(mpmath.eigsy(one.T * one, eigvals_only=True)))) for one in many]
        rms = [float(mpmath.norm(one, 2) / mpmath.sqrt(size)) for one in many]
    for layout in (torch.from_numpy(matrices), in_columns(torch.from_numpy(matrices))):
        found = norms_of(layout)
        # a subnormal number has no more than the smallest of them as its rounding
        np.testing.assert_allclose(found[0].numpy(), wanted, rtol=CLOSE, atol=5e-324)
        np.testing.assert_allclose(found[1].numpy(), rms, rtol=ROUNDED, atol=5e-324)


@pytest.mark.usefixtures("route")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [1, 2, 8, 40])
def test_zero_is_exactly_zero_and_what_is_not_finite_gives_nan_and_spoils_no_other(size, dtype):
    matrices = torch.from_numpy(gaussian(size)).to(dtype)
    alone = norms_of(matrices)
    matrices[3], matrices[8] = 0.0, -0.0
    for replicate, entry in ((5, torch.inf), (6, -torch.inf), (10, torch.nan)):
        matrices[replicate, size // 2, size - 1] = entry
    left = [i for i in range(REPLICATES) if i not in (3, 5, 6, 8, 10)]
    for found, before in zip(norms_of(matrices), alone, strict=True):
        assert found[[3, 8]].eq(0).all()
        assert found[[5, 6, 10]].isnan().all()
        assert torch.equal(found[left], before[left])


@needs_compiler
@pytest.mark.parametrize("size", [2, 8, 17, 40, 64])
def test_the_bits_of_a_replicate_depend_on_its_matrix_alone(size):
    kinds = (gaussian(size), products(size, 30), with_singular_values(np.ones(size)), 0 * gaussian(size))
    mixed = torch.from_numpy(np.concatenate(kinds)).float()
    whole = torch.stack(norms_of(mixed))
    order = torch.from_numpy(np.random.default_rng(3).permutation(len(mixed)))
    assert torch.equal(torch.stack(norms_of(mixed[order])), whole[:, order])
    assert torch.equal(torch.stack(norms_of(in_columns(mixed))), whole)
    assert torch.equal(torch.stack(norms_of(mixed.double())), whole)
    assert torch.equal(torch.stack(norms_of(mixed.mT.contiguous().mT)), whole)
    assert torch.equal(torch.stack(norms_of(mixed[::2])), whole[:, ::2])
    for count in (1, 3, 8, 9):
        assert torch.equal(torch.stack(norms_of(mixed[:count])), whole[:, :count])
    assert [len(norm) for norm in norms_of(mixed[:0])] == [0, 0]


@pytest.mark.usefixtures("route")
@pytest.mark.parametrize("layout", [Rows(), Columns()], ids=lambda layout: layout.name)
@pytest.mark.parametrize(("cell", "width"), [("lstm", 1), ("lstm", 4), ("gru", 24), ("lstm", 16), ("tanh", 64)])
def test_norms_of_chains_of_cells_are_lapacks_at_every_horizon(cell: str, width: int, layout: Layout):
    horizons = (1, 3, 10, 30, 100)
    point = DesignPoint(cell=cell, width=width, horizons=horizons, dtype="float32")
    draws = Draws(point, [(0, 0)], 9, layout, "cpu")
    with torch.no_grad():
        for moment in follow(draws.cell, layout, draws.steps(), draws.state(), horizons):
            wanted = exact(moment.product.double().numpy())
            for found, other in zip(norms_of(moment.product), wanted, strict=True):
                np.testing.assert_allclose(found.numpy(), other, rtol=CLOSE)


def unreachable(size: int, rank: int) -> np.ndarray:
    """Matrices of norm 1.5 whose heaviest row, of norm 1, leads into `rank` directions, the top one not among them."""
    matrices, first = np.zeros((REPLICATES, size, size)), rank + 1
    matrices[:, :rank, :first] = rotations(first, seed=5)[:, :rank] * 0.3 ** np.arange(rank)[:, None]
    matrices[:, first:, first:] = 1.5 / (size - first)
    return matrices


@pytest.mark.usefixtures("route")
@pytest.mark.parametrize("rank", [1, 2, 8])
@pytest.mark.parametrize("size", [40, 64, 128])
def test_a_top_singular_vector_that_no_step_can_reach_is_found(size, rank):
    assert_right(unreachable(size, rank))
    assert_right(unreachable(size, rank).swapaxes(1, 2))


def largest_error_of(planted: str, instead_of: str, matrices: np.ndarray) -> float:
    """Relative error of the spectral norm by a source with one mistake."""
    size = matrices.shape[1]
    text = spectral.source(size <= BY_REPLICATE_UP_TO)
    assert text.count(instead_of) == 1
    function = compiled(text.replace(instead_of, planted), "norms")
    assert function is not None
    function.restype, function.argtypes = None, [ctypes.c_int64] * 3 + [ctypes.c_void_p] * 4
    found, rms = np.empty((2, len(matrices)))
    strides = (ctypes.c_int64 * 3)(size * size, size, 1)
    given = np.ascontiguousarray(matrices)
    function(len(matrices), size, 64, strides, given.ctypes.data, found.ctypes.data, rms.ctypes.data)
    return float(np.abs(found / exact(matrices)[0] - 1).max())


@needs_compiler
def test_planted_mistakes_show_in_these_matrices():
    proof = "is_above(found * (1 + TOLERANCE), k, diagonal, beside, bound)"
    settled = "(ends || beside[k][0] < 1e-12 * found * found)"  # what the residual says: the shortcut without its proof
    assert largest_error_of(proof, proof, unreachable(64, 8)) < CLOSE
    assert largest_error_of(settled, proof, unreachable(64, 8)) > 0.1
    equal = with_singular_values(spectra(16)["half of them equal, the others zero"])
    assert largest_error_of("MOST_ROUNDS 6", "MOST_ROUNDS 100", equal) > CLOSE


@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e160, 1e200])
def test_squares_that_leave_the_floating_point_range_take_no_norm_with_them(scale):
    # Squared as they are, entries below 1e-162 would be zero, and a living path of such a size would count as dead.
    matrices = torch.from_numpy(np.random.default_rng(3).standard_normal((4, 9, 9)))
    for of in (norms_of, plain_norms_of):
        for found, wanted in zip(of(matrices * scale), of(matrices), strict=True):
            np.testing.assert_allclose(found / scale, wanted, rtol=1e-13)
