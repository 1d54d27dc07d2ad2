# pyright: reportAttributeAccessIssue=false
"""Exact laws and large-width theory of the nonlinear cells (docs/physics.md sections 5 and 6).

ALPHA = 1e-9 a test (or a normal score of 6.1), about forty tests: a false alarm below 1e-7. Seeds are fixed.
Bounds and identities hold for every sample, up to rounding; tolerances of large-width theory are stated beside it.
"""

import math

import numpy as np
import pytest
import torch
from reference import chain_of, first_direction, inputs, jacobians, layout_of, measured
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit, polygamma, psi

from rnnmc.chain.norms import log_norms
from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Rows
from rnnmc.study.point import DesignPoint

ALPHA, SIGMAS = 1e-9, 6.1


def assert_mean(sample, mean, deviation=None):
    deviation = np.std(sample) if deviation is None else deviation
    assert abs(np.mean(sample) - mean) < SIGMAS * deviation / np.sqrt(len(sample))


def gaussian(cell, width, gain, horizons, **more):
    said = {"drive": "none", "dtype": "float64", "init": {"recurrent": {"gaussian": gain}}} | more
    return DesignPoint(cell=cell, width=width, horizons=horizons, **said)


def drawn(point, count):
    """(recurrent weights (R, in, out), initial state (R, n)) behind `chain_of`."""
    draws = Draws(point, [(0, 0)], count, Rows(), "cpu")
    stacked = next(draws.steps())[0].stacked
    assert stacked is not None
    return stacked.numpy(), draws.state()[0][:, 0].numpy()


# --- ReLU -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_irnn_with_a_positive_state_and_no_input_keeps_every_norm_exactly(dtype):
    point = DesignPoint(
        cell="relu", width=6, init={"recurrent": {"identity": 1.0}}, drive="none", dtype=dtype, horizons=(1, 10000)
    )
    positive = np.random.default_rng(0).uniform(0.1, 3, (8, 6))
    for moment in chain_of(point, 8, state=(positive,)):
        norms = log_norms(moment)
        assert not norms["log_rms"].any()
        assert not norms["log_spectral"].any()
        state = layout_of(point).matrices(moment.state[0])[:, 0].numpy()
        assert np.array_equal(state, positive.astype(dtype))


def test_irnn_with_a_random_state_keeps_its_positive_units_and_dies_with_probability_2_to_the_minus_n():
    n, count = 3, 20000
    point = DesignPoint(
        cell="relu", width=n, init={"recurrent": {"identity": 1.0}}, drive="none", state_std=1.0, horizons=(1, 50)
    )
    spectral, rms, status = measured(point, count)
    assert np.array_equal(spectral[:, 0], spectral[:, 1])
    assert (np.abs(spectral[status == "ok"]) < 1e-12).all()
    for live in range(n + 1):
        level = 0.5 * math.log(live / n) if live else -math.inf
        with np.errstate(invalid="ignore"):
            found = int(((rms[:, 1] == level) | (np.abs(rms[:, 1] - level) < 1e-6)).sum())
        assert stats.binomtest(found, count, stats.binom(n, 0.5).pmf(live)).pvalue > ALPHA


@pytest.mark.parametrize("n", [1, 3, 6])
def test_untied_he_relu_dies_with_probability_2_to_the_minus_n_a_step(n):
    horizons = (1, 4, 12)
    point = gaussian("relu", n, 2**0.5, horizons, weights="untied", state_std=1.0, dtype="float32")
    count = 8000
    spectral, _, status = measured(point, count)
    for i, steps in enumerate(horizons):
        dead = int((status[:, i] == "dead").sum())
        assert stats.binomtest(dead, count, 1 - (1 - 0.5**n) ** steps).pvalue > ALPHA
        assert dead == np.isneginf(spectral[:, i]).sum()


@pytest.mark.parametrize("n", [1, 3, 8])
def test_untied_he_relu_along_a_fixed_vector_is_a_sum_of_log_chi_k(n):
    """l_T = sum (1/2) log((2/n) chi2_K), K ~ Bin(n, 1/2): compared among those that live, all K above zero."""
    steps, count = 6, 4000
    point = gaussian("relu", n, 2**0.5, (steps,), weights="untied", state_std=1.0)
    (moment,) = chain_of(point, count)
    log = first_direction(moment)
    alive = log[np.isfinite(log)]
    assert stats.binomtest(len(alive), count, (1 - 0.5**n) ** steps).pvalue > ALPHA
    rng = np.random.default_rng(4)
    live = rng.binomial(n, 0.5, (40000, steps))
    simulated = 0.5 * np.log(2 / n * rng.chisquare(np.maximum(live[live.min(axis=1) > 0], 1))).sum(axis=1)
    assert stats.ks_2samp(alive, simulated).pvalue > ALPHA
    k = np.arange(1, n + 1)
    weight = stats.binom(n, 0.5).pmf(k) / (1 - 0.5**n)
    first = weight @ (np.log(4 / n) + psi(k / 2)) / 2
    second = weight @ (((np.log(4 / n) + psi(k / 2)) / 2) ** 2 + polygamma(1, k / 2) / 4)
    assert_mean(alive, steps * first, math.sqrt(steps * (second - first**2)))


@pytest.mark.slow
def test_untied_he_relu_of_large_width_drifts_as_hanin_and_nica_say():
    """Mean -5/(4n) and variance 5/(4n) a step, up to the next order in 1/n (allowed: 5/n of it) and sampling."""
    n, steps, count = 40, 20, 1500
    (moment,) = chain_of(gaussian("relu", n, 2**0.5, (steps,), weights="untied", state_std=1.0), count)
    log, wanted = first_direction(moment), steps * 5 / (4 * n)
    assert abs(log.mean() + wanted) < wanted * 5 / n + SIGMAS * math.sqrt(wanted / count)
    assert abs(log.var() - wanted) < wanted * 5 / n + SIGMAS * wanted * math.sqrt(3 / count)


# --- tanh of one unit -----------------------------------------------------------------------------


def fixed_point(u):
    """h* = tanh(|u| h*) above zero."""
    return brentq(lambda h: math.tanh(abs(u) * h) - h, 1e-6, 1.0) if abs(u) > 1 else 0.0


@pytest.mark.parametrize("gain", [0.3, 1.0, 2.0, 6.0])
def test_tanh_of_one_unit_never_explodes_and_decays_at_the_rate_of_its_fixed_point(gain):
    """f = tanh(u h) is odd and concave above zero, and so are its iterates: |P_T| <= |h_T| / |h_0| <= 1 / |h_0|."""
    horizons = (1, 2, 3, 5, 10, 30, 100, 300, 1000, 2000)
    point = gaussian("tanh", 1, gain, horizons, state_std=1.0)
    count = 500
    moments = list(chain_of(point, count))
    spectral = np.stack([log_norms(moment)["log_spectral"] for moment in moments], axis=1)
    states = np.stack([moment.state[0].flatten().numpy() for moment in moments], axis=1)
    u, starts = (array.flatten() for array in drawn(point, count))
    seen = np.abs(states) > 1e-300  # a state that has died away bounds nothing more
    bound = np.log(np.where(seen, np.abs(states), np.inf) / np.abs(starts)[:, None])
    assert (spectral <= bound + 1e-9 * np.array(horizons)).all()
    assert (spectral[:, -1] < math.log(1e3)).all()
    rate = (spectral[:, -1] - spectral[:, -2]) / 1000
    for found, weight in zip(rate, u, strict=True):
        if abs(abs(weight) - 1) > 0.02:  # elsewhere a thousand steps are no long run
            # log(|u| (1 - h*^2)), with the digits that 1 - h*^2 loses
            wanted = math.log(abs(weight)) - 2 * math.log(math.cosh(weight * fixed_point(weight)))
            assert found == pytest.approx(wanted, abs=1e-6, rel=1e-6)


@pytest.mark.parametrize("gain", [0.5, 1.5, 5.0])
def test_tanh_of_one_unit_with_white_input_does_not_explode_either(gain):
    point = DesignPoint(cell="tanh", width=1, init={"recurrent": {"gaussian": gain}}, horizons=(2000,), dtype="float64")
    spectral, _, _ = measured(point, 4000)
    assert spectral.max() < math.log(1e3)


def test_tanh_of_many_units_does_explode():
    spectral, _, _ = measured(gaussian("tanh", 16, 4.0, (300,), state_std=1.0), 50)
    assert (spectral > math.log(1e3)).mean() > 0.5


# --- gates ----------------------------------------------------------------------------------------

BIAS = 1.7
KEPT = {  # cell -> (gate, sign) of what its memory is multiplied with
    "lstm": ("forget", 1),
    "gru": ("update", -1),
    "gru_tied": ("update", -1),
    "gru_reset_after": ("update", -1),
    "gru_output_gated": ("update", -1),
    "minimal_rnn": ("update", 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("cell", KEPT)
@pytest.mark.parametrize("width", [3, 12])
def test_without_recurrent_weights_the_memory_is_its_gate_to_the_power_t(cell, width):
    gate, sign = KEPT[cell]
    init = {"recurrent": {"constant": 0.0}, "bias": {gate: BIAS}}
    point = DesignPoint(
        cell=cell, width=width, init=init, drive="none", dtype="float64", state_std=1.0, horizons=(1, 7, 2000)
    )
    for moment in chain_of(point, 4):
        block = moment.product[:, -width:, -width:]  # the last part is the memory
        wanted = moment.horizon * math.log(expit(sign * BIAS))
        diagonal = block.diagonal(dim1=1, dim2=2)
        assert torch.equal(block, torch.diag_embed(diagonal))
        log = diagonal.log() + moment.exponent[:, None].double() * math.log(2)
        assert log.numpy() == pytest.approx(np.full(log.shape, wanted), rel=1e-12)
        if len(point.cell_object.parts) == 1:
            norms = log_norms(moment)
            assert norms["log_spectral"] == pytest.approx([wanted] * 4, rel=1e-12)
            assert norms["log_rms"] == pytest.approx([wanted] * 4, rel=1e-12)


@pytest.mark.parametrize("n", [1, 5])
def test_min_gru_s_log_norms_are_sums_of_log_1_minus_z(n):
    """With a field of deviation s every log(1 - z) is log sg(-s N) by itself: P_T is diagonal, its norm the largest."""
    s, steps, count = 1.5, 60, 4000
    init = {"input": {"gaussian": s}}
    point = DesignPoint(cell="min_gru", width=n, init=init, drive="field", horizons=(steps,), dtype="float64")
    spectral, rms, _ = measured(point, count)
    simulated = np.log(expit(s * np.random.default_rng(6).standard_normal((count, n, steps)))).sum(axis=2)
    assert stats.ks_2samp(spectral[:, 0], simulated.max(axis=1)).pvalue > ALPHA
    assert stats.ks_2samp(rms[:, 0], np.log(np.exp(2 * simulated).mean(axis=1)) / 2).pvalue > ALPHA
    if n == 1:
        first, second = (quad(lambda x, k=k: np.log(expit(s * x)) ** k * stats.norm.pdf(x), -12, 12)[0] for k in (1, 2))
        assert_mean(spectral[:, 0], steps * first, math.sqrt(steps * (second - first**2)))


# --- bounds and volume ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.8, 2.5])
@pytest.mark.parametrize("cell", ["tanh", "relu"])
def test_no_sample_breaks_the_bounds_of_pascanu(cell, gain):
    """||P_T||_2 <= prod sigma_max(J_t) <= sigma_max(U)^T."""
    horizon, count = 40, 30
    point = gaussian(cell, 6, gain, tuple(range(1, horizon + 1)), state_std=1.0, drive="white")
    spectral, _, _ = measured(point, count)
    with np.errstate(divide="ignore"):
        largest = [np.log(np.linalg.norm(factor, 2, axis=(1, 2))) for factor in jacobians(point, count, horizon)]
    steps = np.cumsum(np.stack(largest, axis=1), axis=1)
    u = next(inputs(point, count))[0]["hidden"].numpy()
    ceiling = np.log(np.linalg.norm(u, 2, axis=(1, 2)))[:, None] * np.arange(1, horizon + 1)
    assert (spectral <= steps + 1e-8).all()
    assert (steps <= ceiling + 1e-8).all()


@pytest.mark.parametrize("init", [{"orthogonal": 1.3}, {"gaussian": 1.0}])
def test_the_volume_of_a_tanh_chain_is_its_mean_log_slope_and_the_determinant_of_u(init):
    """log|det P_T| = T log|det U| + sum_t sum_i log(1 - h_t^2), while P_T is well conditioned.

    Rounding at any step is stretched by at most the condition of every factor after it: the tolerance is n epsilon
    times the product of all conditions.
    """
    n, count = 3, 40
    init = {"recurrent": init, "input": {"gaussian": 0.5}}
    point = DesignPoint(cell="tanh", width=n, init=init, dtype="float64", horizons=tuple(range(1, 13)))
    u = drawn(point, count)[0]
    volume, stretch, compared = 0.0, 1.0, 0
    for moment in chain_of(point, count):
        slopes = 1 - moment.state[0].squeeze(0).mT.square().numpy()
        volume = volume + np.linalg.slogdet(u)[1] + np.log(slopes).sum(axis=1)
        stretch = stretch * np.linalg.cond(u * slopes[:, None])
        found = np.linalg.slogdet(moment.product.numpy())[1] + n * moment.exponent.numpy() * math.log(2)
        well = stretch < 1e9
        assert (np.abs(found - volume)[well] < 20 * n * 2.0**-53 * stretch[well]).all()
        compared += well.sum()
    assert compared > 150


@pytest.mark.parametrize("n", [4, 10])
def test_all_exponents_by_qr_add_up_to_the_log_determinants(n):
    """The reference's own Jacobians, by repeated QR over a horizon at which P_T itself is singular to rounding."""
    point = gaussian("tanh", n, 1.5, (300,), state_std=1.0)
    factors = list(jacobians(point, 3, 300))
    basis, exponents = np.broadcast_to(np.eye(n), (3, n, n)), np.zeros((3, n))
    for factor in factors:
        basis, r = np.linalg.qr(factor @ basis)
        exponents += np.log(np.abs(np.diagonal(r, axis1=1, axis2=2)))
    volume = sum(np.linalg.slogdet(factor)[1] for factor in factors)
    assert exponents.sum(axis=1) == pytest.approx(volume, rel=1e-10)
    spectral, _, _ = measured(point, 3)  # and the largest is the engine's, up to the angle to the first direction
    assert (exponents[:, 0] <= spectral[:, 0] + 1e-9).all()
    assert np.abs(exponents.max(axis=1) - spectral[:, 0]).max() < 10


# --- large width ----------------------------------------------------------------------------------


def growth(point, replicates):
    """Mean growth rate between the two horizons, in nats a step, by the RMS norm."""
    early, late = (log_norms(moment)["log_rms"] for moment in chain_of(point, replicates))
    return float((late - early).mean() / (point.horizons[1] - point.horizons[0]))


@pytest.mark.parametrize(
    ("cell", "init", "rate"),
    [
        ("tanh", "pytorch", -0.549),
        ("lstm", "pytorch", -0.440),
        ("gru", "pytorch", -0.440),
        ("gru_reset_after", "pytorch", -0.440),
        ("lstm", "keras", -0.155),
        ("gru", "keras", -0.440),
    ],
)
def test_framework_defaults_without_input_shrink_at_the_rate_of_large_width_theory(cell, init, rate):
    """At n = 256 the edge of the spectrum scatters by about 1/sqrt n of its radius, and PyTorch's biases by 1/16
    about the zero state: 0.05 nats a step is allowed, where the rates themselves differ by 0.1 and more."""
    point = DesignPoint(cell=cell, width=256, init=init, drive="none", horizons=(40, 100))
    assert abs(growth(point, 8 if cell == "tanh" else 2) - rate) < 0.05


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_after", "gru_tied", "gru_output_gated"])
@pytest.mark.parametrize("gain", [0.8, 3.0])
def test_the_zero_state_grows_by_log_half_plus_a_quarter_g(cell, gain):
    """Every gate at 1/2. Large-width theory, at n = 100 to 0.06 nats: the spectrum's edge scatters by 1/sqrt n."""
    assert abs(growth(gaussian(cell, 100, gain, (60, 200)), 4) - math.log(0.5 + gain / 4)) < 0.06


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_the_zero_state_of_tanh_grows_by_log_g(gain):
    assert abs(growth(gaussian("tanh", 150, gain, (60, 200)), 6) - math.log(gain)) < 0.06
