# pyright: reportAttributeAccessIssue=false
"""Exact laws of the linear RNN and the LRU (docs/physics.md section 5), sampled through run_block.

ALPHA = 1e-9 a test (or a normal score of 6.1), about forty tests: a false alarm below 1e-7. Seeds are fixed.
"""

import numpy as np
import pytest
from reference import chain_of, first_direction, inputs, measured
from scipy import stats
from scipy.special import polygamma, psi

from rnnmc.chain.norms import log_norms
from rnnmc.study.point import DesignPoint

ALPHA, SIGMAS = 1e-9, 6.1


def linear(width, gain, horizons, dtype="float64", **more):
    init = {"recurrent": gain if isinstance(gain, dict) else {"gaussian": gain}}
    return DesignPoint(cell="linear", width=width, init=init, drive="none", horizons=horizons, dtype=dtype, **more)


def assert_mean(sample, mean, deviation=None):
    deviation = np.std(sample) if deviation is None else deviation
    assert abs(np.mean(sample) - mean) < SIGMAS * deviation / np.sqrt(len(sample))


# --- untied Gaussian (Newman 1986) ----------------------------------------------------------------


@pytest.mark.parametrize("gain", [0.7, 2.0])
def test_untied_n_1_has_the_moments_and_distribution_of_sums_of_log_chi(gain):
    steps, count = 50, 4000
    spectral, rms, _ = measured(linear(1, gain, (1, steps), weights="untied"), count)
    np.testing.assert_allclose(spectral, rms, rtol=0, atol=1e-12)
    assert stats.kstest(np.exp(2 * spectral[:, 0]) / gain**2, stats.chi2(1).cdf).pvalue > ALPHA
    mean = steps * (np.log(gain) + (np.log(2) + psi(0.5)) / 2)
    deviation = np.sqrt(steps * polygamma(1, 0.5) / 4)  # of log chi2_1 / 2
    assert_mean(spectral[:, 1], mean, deviation)
    assert_mean((spectral[:, 1] - mean) ** 2, deviation**2)
    simulated = np.random.default_rng(1).chisquare(1, (count, steps))
    wanted = steps * np.log(gain) + np.log(simulated).sum(axis=1) / 2
    assert stats.ks_2samp(spectral[:, 1], wanted).pvalue > ALPHA


@pytest.mark.parametrize("width", [2, 5, 12])
def test_untied_a_fixed_vector_grows_by_log_chi_n_a_step(width):
    gain, steps, count = 1.3, 8, 1000
    point = linear(width, gain, (1, steps), weights="untied")
    one, many = (first_direction(moment) for moment in chain_of(point, count))
    assert stats.kstest(width * np.exp(2 * one) / gain**2, stats.chi2(width).cdf).pvalue > ALPHA
    mean = steps * (np.log(gain) + (np.log(2 / width) + psi(width / 2)) / 2)
    deviation = np.sqrt(steps * polygamma(1, width / 2) / 4)
    assert_mean(many, mean, deviation)
    assert_mean((many - mean) ** 2, deviation**2)
    simulated = np.random.default_rng(2).chisquare(width, (count, steps)) / width
    assert stats.ks_2samp(many, steps * np.log(gain) + np.log(simulated).sum(axis=1) / 2).pvalue > ALPHA


def test_untied_a_fixed_vector_with_weights_that_stay_tied_is_told_apart():
    point = linear(5, 1.3, (8,))
    (many,) = (first_direction(moment) for moment in chain_of(point, 1000))
    simulated = np.random.default_rng(2).chisquare(5, (1000, 8)) / 5
    assert stats.ks_2samp(many, 8 * np.log(1.3) + np.log(simulated).sum(axis=1) / 2).pvalue < ALPHA


def test_untied_the_frobenius_norm_is_chi_n_squared_at_one_step_and_gain_to_the_2_t_on_average():
    width, gain, count = 6, 1.5, 6000
    _, rms, _ = measured(linear(width, gain, (1, 3), weights="untied"), count)
    squared = np.exp(2 * rms) * width  # ||P_T||_F^2
    assert stats.kstest(squared[:, 0] * width / gain**2, stats.chi2(width**2).cdf).pvalue > ALPHA
    assert_mean(squared[:, 1], width * gain**6)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_untied_the_top_exponent_is_newman_s(width):
    gain, count = 0.8, 1000
    spectral, rms, _ = measured(linear(width, gain, (100, 300), weights="untied"), count)
    wanted = np.log(gain) + (np.log(2 / width) + psi(width / 2)) / 2
    for log in (spectral, rms):  # between two horizons: how far the lower exponents matter is then forgotten
        assert_mean((log[:, 1] - log[:, 0]) / 200, wanted)


# --- tied -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
def test_tied_n_1_is_t_log_u_with_its_tails(dtype, tolerance):
    gain, steps, count = 1.0, 1000, 20000
    spectral, _, _ = measured(linear(1, gain, (1, 10, steps), dtype), count)
    one = spectral[:, :1]
    assert np.abs(spectral - one * [1, 10, steps]).max() < tolerance * np.abs(spectral).max()
    rate = spectral[:, 2] / steps
    absolute = stats.halfnorm(scale=gain)
    assert stats.kstest(np.exp(rate), absolute.cdf).pvalue > ALPHA
    for threshold in (1e-3, 1e3):
        edge = absolute.cdf(threshold ** (1 / steps))
        assert stats.binomtest(int((spectral[:, 2] < np.log(threshold)).sum()), count, edge).pvalue > ALPHA
    for share in (1e-3, 0.05, 0.95, 0.999):  # and far into both tails
        below = int((rate < np.log(absolute.ppf(share))).sum())
        assert stats.binomtest(below, count, share).pvalue > ALPHA


@pytest.mark.parametrize("width", [2, 5, 12])
def test_tied_the_norm_lies_between_the_spectral_radius_and_the_condition_of_the_eigenvectors(width):
    """rho^T <= ||U^T||_2 <= cond(V) rho^T, exactly, for U = V D V^-1; so l_T / T -> log rho."""
    steps, count = (3, 30, 1000), 50
    point = linear(width, 1.2, steps)
    spectral, _, _ = measured(point, count)
    u = next(inputs(point, count))[0]["hidden"].numpy()
    values, vectors = np.linalg.eig(u)
    rho = np.log(np.abs(values).max(axis=1))[:, None] * steps
    rounding = 1e-13 * np.array(steps) * np.linalg.cond(vectors)[:, None]
    assert (spectral - rho > -rounding).all()
    assert (spectral - rho < np.log(np.linalg.cond(vectors))[:, None] + rounding).all()
    assert np.median(np.abs(spectral - rho)[:, 2]) / 1000 < 0.005


# --- drift of the arithmetic ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "epsilon"), [("float64", 2.0**-53), ("float32", 2.0**-24)])
@pytest.mark.parametrize("width", [1, 3, 16])
def test_haar_orthogonal_chains_keep_norm_one_for_ten_thousand_steps(width, dtype, epsilon):
    """Every entry of U is rounded, so sigma(U) is within n epsilon of one, and n more for the sums of a product."""
    horizons = (1, 10, 100, 1000, 10000)
    norms = [log_norms(moment) for moment in chain_of(linear(width, {"orthogonal": 1.0}, horizons, dtype), 16)]
    for name in ("log_spectral", "log_rms"):
        log = np.stack([moment[name] for moment in norms], axis=1)
        assert (np.abs(log) <= 2 * width * epsilon * np.array(horizons) + 8 * epsilon).all()


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "epsilon"), [("float64", 2.0**-53), ("float32", 2.0**-24)])
def test_fresh_haar_matrices_at_every_step_keep_norm_one(dtype, epsilon):
    spectral, _, _ = measured(linear(6, {"orthogonal": 1.0}, (10, 300), dtype, weights="untied"), 16)
    assert np.abs(spectral).max() <= 2 * 6 * epsilon * 300


# --- LRU ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 12])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lru_vanishes_as_often_as_its_formula_says(width, dtype):
    inner, outer, steps, count = 0.85, 1.0, 200, 4000
    init = {"recurrent": {"ring": {"outer": outer, "inner": inner}}}
    point = DesignPoint(cell="lru", width=width, init=init, horizons=(1, steps), dtype=dtype)
    spectral, _, _ = measured(point, count)
    assert np.abs(spectral[:, 1] - steps * spectral[:, 0]).max() < (1e-3 if dtype == "float32" else 1e-10)

    def law(squared):  # of the largest |lambda|^2
        return np.clip((squared - inner**2) / (outer**2 - inner**2), 0, 1) ** width

    assert stats.kstest(np.exp(2 * spectral[:, 1] / steps), law).pvalue > ALPHA
    for level in (1e-3, 0.1, 0.9):
        vanished = int((spectral[:, 1] < np.log(level)).sum())
        assert stats.binomtest(vanished, count, law(level ** (2 / steps))).pvalue > ALPHA


def test_lru_with_the_square_of_the_modulus_forgotten_is_told_apart():
    init = {"recurrent": {"ring": {"outer": 1.0, "inner": 0.85}}}
    spectral, _, _ = measured(DesignPoint(cell="lru", width=5, init=init, horizons=(200,)), 4000)
    wrong = ((1e-3 ** (1 / 200) - 0.85**2) / (1 - 0.85**2)) ** 5
    assert stats.binomtest(int((spectral < np.log(1e-3)).sum()), 4000, wrong).pvalue < ALPHA
