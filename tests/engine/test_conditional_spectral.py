"""The bound on the spectral norm fails as rarely as it says, also where Lanczos dwells on a cluster."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from rnnmc.engine.conditional.spectral import DOUBT, bound

FALSE_ALARM = 1e-6
STARTS, STEPS = 1000, 14


def lanczos(eigenvalues, start):
    """Yield (theta (N, q) rising, log of prod beta (N,)) after q = 1, 2, ... steps from `start` (N, d), by NumPy."""
    basis = [start / np.linalg.norm(start, axis=1, keepdims=True)]
    log_product = np.zeros(len(start))
    for _ in range(STEPS):
        vectors = np.stack(basis, axis=1)
        theta = np.linalg.eigvalsh((vectors * eigenvalues) @ vectors.swapaxes(1, 2))
        new = basis[-1] * eigenvalues
        for _ in range(2):
            new = new - ((vectors @ new[:, :, None]).swapaxes(1, 2) @ vectors)[:, 0]
        length = np.linalg.norm(new, axis=1)
        log_product = log_product + np.log(length)
        yield theta, log_product
        basis.append(new / length[:, None])


SPECTRA = {
    "one above a cluster": np.r_[1.04, 1 - 1e-3 * np.arange(20), np.linspace(0, 0.6, 179)],
    "an edge without a gap": np.linspace(0, 1, 200) ** 0.5,
    "a few far above the rest": np.r_[1.0, 0.5, 0.1, np.geomspace(1e-9, 1e-3, 197)],
}


def failures(eigenvalues):
    """(of how many starts the largest eigenvalue is above the bound at some stage, by how much it is below in most)."""
    start = np.random.default_rng(1).standard_normal((STARTS, len(eigenvalues)))
    failed, medians = np.zeros(STARTS, dtype=bool), []
    for theta, log_product in lanczos(eigenvalues, start):
        top = theta[:, -1:]
        relative = log_product - theta.shape[1] * np.log(top[:, 0])
        more = bound(torch.from_numpy(theta / top), torch.from_numpy(relative), len(eigenvalues)).numpy()
        over = (1 + more) * top[:, 0] / eigenvalues.max()
        failed |= over < 1 - 1e-12
        medians.append(np.median(over) - 1)
    return failed.sum(), medians


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_largest_eigenvalue_lies_below_the_bound_at_every_stage_in_nearly_all_cases(spectrum):
    failed, medians = failures(SPECTRA[spectrum])
    assert failed <= binom.isf(FALSE_ALARM / len(SPECTRA), STARTS, DOUBT)
    assert medians[-1] < 0.1  # and it says something
    assert medians[0] > 2 * medians[-1]


def test_a_bound_that_counts_on_an_average_start_is_found_out(monkeypatch):
    monkeypatch.setattr("rnnmc.engine.conditional.spectral.DOUBT", 0.5)
    failed, _ = failures(SPECTRA["one above a cluster"])
    assert failed > 2 * binom.isf(FALSE_ALARM, STARTS, DOUBT)
