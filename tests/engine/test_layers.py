"""Chains of several layers: against a second writing of them on every kernel, and what their growth must be."""

import numpy as np
import pytest
import torch
from reference import jacobians, log_norms, measured
from scipy.stats import kstest

from rnnmc.engine import block, choice
from rnnmc.engine.block import partition, run_block
from rnnmc.engine.choice import compiled_kernel
from rnnmc.numerics.compiler import compiler
from rnnmc.study.point import DesignPoint

HORIZONS = (1, 3, 10)
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")


def point(cell="lstm", width=3, layers=2, **more):
    usual = {"horizons": HORIZONS, "state_std": 0.5, "dtype": "float64", "drive": {"white": 2}}
    init = {"recurrent": {"gaussian": 1.2}, "input": {"gaussian": 0.7}, "bias": {"gaussian": 0.3}}
    init = {k: v for k, v in init.items() if k != "recurrent" or cell != "min_gru"}
    return DesignPoint(cell=cell, width=width, layers=layers, init=init, **(usual | more))


POINTS = [
    point("lstm"),
    point("lstm", 9, 3, residual=True),
    point("gru", 3, 3, weights="untied"),
    point("gru_reset_after", 9, 2, drive="none"),
    point("tanh", 3, 4, residual=True, drive="field"),
    point("min_gru", 3, 2),
    point("relu", 9, 2, weights="untied"),
]


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["plain", pytest.param("compiled", marks=needs_compiler)])
@pytest.mark.parametrize("design", POINTS, ids=lambda one: one.label.partition(" bias")[0])
def test_every_norm_is_that_of_the_product_of_jacobians_written_out(design, kernel, monkeypatch):
    found = choice.plain_kernel(design) if kernel == "plain" else compiled_kernel(design)
    monkeypatch.setattr(block, "kernel_of", lambda _: found)
    assert found.startswith("compiled") == (kernel == "compiled")
    assert partition(design).kernel == found
    spectral, rms, _ = measured(design, 5)
    wanted = log_norms(jacobians(design, 5, HORIZONS[-1]), HORIZONS)
    np.testing.assert_allclose(spectral, wanted[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(rms, wanted[1], rtol=0, atol=1e-9)


def gue_top(layers, count, seed=5):
    """(count,) largest eigenvalues of Hermitian Gaussian matrices with entries of unit variance."""
    rng = np.random.default_rng(seed)
    real, imaginary = rng.standard_normal((2, count, layers, layers)) / np.sqrt(2)
    upper = np.triu(real + 1j * imaginary, 1)
    diagonal = np.eye(layers) * rng.standard_normal((count, layers))[:, None]
    return np.linalg.eigvalsh(upper + upper.conj().transpose(0, 2, 1) + diagonal)[:, -1]


def units(layers, replicates, steps, width=1):
    """(replicates,) l_T of linear layers with fresh Gaussian weights, of one unit each unless said."""
    said = {"init": {"recurrent": {"gaussian": 1.0}}, "drive": "none", "weights": "untied", "horizons": (steps,)}
    design = DesignPoint(cell="linear", width=width, layers=layers, dtype="float64", **said)
    return run_block(design, 0, replicates)["log_spectral"].to_numpy()


@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_fresh_linear_layers_of_one_unit_lie_above_one_of_them_as_the_top_of_a_gaussian_matrix(layers):
    """docs/physics.md section 2.1: the best of all times at which to change to the layer above.

    Each factor is log|N(0,1)|, of mean -(log 2 + gamma)/2 and variance pi^2/8; corrections are of order log T over the
    root of T, which is why the distance between the two laws is held to a bound, and that of the wrong law found beyond
    it. The sampling error of a distance of 2,000 is below 0.062 but with probability 1e-6.
    """
    steps, count = 3000, 2000
    found = units(layers, count, steps)
    scaled = (found + steps * (np.log(2) + np.euler_gamma) / 2) / np.sqrt(steps * np.pi**2 / 8)
    top = np.sort(gue_top(layers, 200_000))
    distance = kstest(scaled, lambda x: np.searchsorted(top, x) / len(top)).statistic
    assert distance < 0.062 + 0.04
    for wrong in {1, 2, 3} - {layers}:
        other = np.sort(gue_top(wrong, 200_000))
        assert kstest(scaled, lambda x, other=other: np.searchsorted(other, x) / len(other)).statistic > 0.2


@pytest.mark.slow
def test_the_slowest_layer_decides_the_growth():
    """Tied linear layers: the spectral radius of the joint matrix is the largest of those of the layers."""
    design = point("linear", 6, 3, drive="none", horizons=(200, 400), state_std=0.0)
    spectral, _, _ = measured(design, 40)
    from rnnmc.cells.stacked import of_layer
    from rnnmc.engine.draws import Draws
    from rnnmc.numerics.layout import Rows

    draws = Draws(design, [(0, 0)], partition(design).tile, Rows(), "cpu")
    matrices = draws.of_cell(draws.given.recurrent).recurrent
    own = torch.stack([torch.linalg.eigvals(matrices[of_layer("hidden", k)][:40]).abs().amax(1) for k in (1, 2, 3)])
    rate = (spectral[:, 1] - spectral[:, 0]) / 200
    off = rate - own.amax(0).log().numpy()
    assert np.abs(off).max() < 3 * np.log(2) / 200 + 0.02  # T^2 from three equal layers, and eigenvalues that are close
    assert np.abs(rate - own.amin(0).log().numpy()).max() > 0.3  # another layer is told apart
