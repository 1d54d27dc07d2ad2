"""What the laws say, against published numbers and against other ways to compute the same thing.

No sampling but in the Monte Carlo tests, which state a normal score of 6.1: a false alarm below 1e-9 each.
"""

import math

import mpmath
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import chdtr, expit, log_expit, ndtr, polygamma, psi

from rnnmc.study.point import DesignPoint
from rnnmc.study.study import Thresholds
from rnnmc.theory import laws, predictions
from rnnmc.theory.exact import lru, min_gru, tanh_one_unit
from rnnmc.theory.exact.linear_untied import exponents
from rnnmc.theory.large_width import frozen_edge, tanh_field, untied_lstm
from rnnmc.theory.large_width.untied import UntiedSettings
from rnnmc.theory.quadrature import gate_moments, normal_mean, settled, tanh_moments
from rnnmc.theory.sums import ChiSteps, lattice

SIGMAS = 6.1


def point(cell, width=64, recurrent=None, **more):
    said = {"drive": "none"} | more
    if "init" not in said:
        said["init"] = {"recurrent": recurrent or {"gaussian": 1.3}}
    return DesignPoint(cell=cell, width=width, **said)


def predicted(law, at):
    (found,) = [prediction for name, prediction in predictions(at) if name.name == law]
    return found


def by_mpmath(function, deviation, mean=0.0):
    """E function(mean + deviation N) by tanh-sinh quadrature between the kinks of the scale."""
    mpmath.mp.dps = 25
    cuts = [-9, -3, -1, -3 / (1 + deviation), 0, 3 / (1 + deviation), 1, 3, 9]
    density = lambda z: mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)  # noqa: E731
    return float(mpmath.quad(lambda z: function(mean + deviation * z) * density(z), sorted(set(cuts))))


# --- published numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(("gain", "rate"), [(1.5, 0.0652), (2, 0.1547), (3, 0.3102), (5, 0.5324)])
def test_tanh_without_input_grows_as_molgedey_found(gain, rate):
    found = predicted("tanh_autonomous", point("tanh", recurrent={"gaussian": gain}, state_std=1.0))
    assert found.growth_rate == pytest.approx(rate, abs=6e-5)
    assert found.onset_gain == 1


@pytest.mark.parametrize(("gain", "rate"), [(1, -0.3054), (2, 0.1104)])
def test_tanh_with_a_white_field_of_variance_one_third(gain, rate):
    init = {"recurrent": {"gaussian": gain}, "input": {"gaussian": 3**-0.5}}
    found = predicted("tanh_driven", point("tanh", init=init, drive="field"))
    assert found.growth_rate == pytest.approx(rate, abs=6e-5)
    onset = found.onset_gain
    assert tanh_field.growth(onset, tanh_field.variance(onset, 1 / 3)) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(
    ("cell", "preset", "law", "rate"),
    [
        ("tanh", "pytorch", "framework_default", -0.549),
        ("lstm", "pytorch", "framework_default", -0.440),
        ("lstm", "torch.nn.LSTM", "framework_default", -0.440),  # drawn alike
        ("gru_reset_after", "paddle.nn.GRU", "framework_default", -0.440),
        ("gru", "pytorch", "framework_default", -0.440),
        ("gru_reset_after", "pytorch", "framework_default", -0.440),
        ("lstm", "keras", "zero_state", -0.155),
        ("gru", "keras", "zero_state", -0.440),
        ("tanh", "keras", "linear_orthogonal", 0.0),
    ],
)
def test_framework_defaults(cell, preset, law, rate):
    assert predicted(law, point(cell, init=preset)).growth_rate == pytest.approx(rate, abs=6e-4)


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_after", "gru_tied", "gru_output_gated"])
@pytest.mark.parametrize("gain", [0.5, 2.0, 4.0])
def test_gated_cells_with_gates_at_one_half_have_their_edge_at_half_plus_a_quarter_g(cell, gain):
    found = predicted("zero_state", point(cell, recurrent={"gaussian": gain}))
    assert math.exp(found.growth_rate) == pytest.approx(0.5 + gain / 4, rel=1e-13)
    assert found.onset_gain == pytest.approx(2.0)
    assert math.exp(found.growth_rate) != pytest.approx(gain / 4, rel=0.1)  # the h-block of the LSTM alone


@pytest.mark.parametrize(
    ("cell", "bias", "edge"),
    [
        ("lstm", {"forget": 1.0, "input": -1.0, "output": 2.0}, expit(1) + expit(-1) * expit(2) * 1.3),
        ("gru", {"update": -2.0, "reset": 1.0}, expit(2) + expit(-2) * expit(1) * 1.3),
        ("gru_reset_after", {"update": -2.0, "reset": 1.0}, expit(2) + expit(-2) * expit(1) * 1.3),
        ("gru_output_gated", {"update": -2.0, "output": 1.0}, expit(2) + expit(-2) * expit(1) * 1.3),
        ("gru_tied", {"update": -2.0}, expit(2) + expit(-2) ** 2 * 1.3),
        ("minimal_rnn", {"update": 1.0}, expit(1)),
    ],
)
def test_the_zero_state_has_the_openings_of_its_own_biases(cell, bias, edge):
    at = point(cell, init={"recurrent": {"gaussian": 1.3}, "bias": {"constant": 0.0} | bias})
    assert math.exp(predicted("zero_state", at).growth_rate) == pytest.approx(edge, rel=1e-13)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 1000])
def test_newman_s_mean_and_variance_at_every_n(n):
    gain, steps = 1.4, 30
    found = predicted("linear_untied", point("linear", n, {"gaussian": gain}, weights="untied", dtype="float64"))
    mean, variance = found.moments(steps, "log_vector")
    assert mean == pytest.approx(steps * (math.log(gain) + (math.log(2 / n) + psi(n / 2)) / 2), rel=1e-12)
    assert variance == pytest.approx(steps * polygamma(1, n / 2) / 4, rel=1e-12)
    assert found.growth_rate == found.spectrum.exponents[0] == pytest.approx(mean / steps, rel=1e-12)
    assert (np.diff(found.spectrum.exponents) < 0).all()  # may be empty: one unit has one exponent
    numeric = quad(lambda x: math.log(x) * stats.chi(n).pdf(x), 0, np.inf, points=[n**0.5] if n < 1 else None)[0]
    assert mean / steps == pytest.approx(math.log(gain) - math.log(n) / 2 + numeric, abs=1e-7) or n > 64
    assert (found.moments(steps, "log_spectral") is None) == (n > 1)


def test_all_exponents_add_up_to_the_mean_log_determinant():
    n, gain, count = 4, 0.7, 20000
    u = np.random.default_rng(1).standard_normal((count, n, n)) * gain / n**0.5
    logs = np.linalg.slogdet(u)[1]
    assert abs(logs.mean() - exponents(n, gain).sum()) < SIGMAS * logs.std() / count**0.5


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_he_relu_has_mean_minus_5_over_4n_and_variance_5_over_4n_up_to_the_next_order(n):
    """The next order is within 5/n of the first."""
    mean, variance = ChiSteps(n, 2**0.5, halved=True).step
    assert mean == pytest.approx(-5 / (4 * n), rel=5 / n)
    assert variance == pytest.approx(5 / (4 * n), rel=5 / n)


def test_units_that_are_saturated_beyond_float64_add_nothing_to_a_spectrum(monkeypatch):
    q = tanh_field.variance(200.0, 0.0)
    found = tanh_field.spectrum(200.0, q)
    monkeypatch.setattr(tanh_field, "FAINT", -1.0)
    whole = tanh_field.spectrum(200.0, q)
    np.testing.assert_allclose(found.share, whole.share, rtol=1e-12)
    np.testing.assert_allclose(found.exponents, whole.exponents, rtol=1e-12)


# --- quadrature -----------------------------------------------------------------------------------


@pytest.mark.parametrize("deviation", [1e-4, 0.3, 1.0, 3.0, 10.0, 40.0])
def test_means_agree_with_mpmath_even_where_tanh_is_a_step(deviation):
    found = tanh_moments(deviation**2)
    wanted = by_mpmath(lambda a: mpmath.tanh(a) ** 2, deviation), by_mpmath(lambda a: mpmath.sech(a) ** 4, deviation)
    assert found == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(("deviation", "bias"), [(0.2, 1.0), (2.0, -1.0), (10.0, 3.0)])
def test_gates_agree_with_mpmath(deviation, bias):
    s = lambda a: 1 / (1 + mpmath.exp(-a))  # noqa: E731
    functions = (lambda a: s(a) ** 2, lambda a: s(-a) ** 2, lambda a: (s(a) * s(-a)) ** 2)
    wanted = [by_mpmath(f, deviation, bias) for f in functions]
    assert gate_moments(deviation**2, bias) == pytest.approx(wanted, rel=1e-8)


def test_a_plain_gauss_hermite_rule_would_be_caught_at_gain_ten():
    x, w = np.polynomial.hermite_e.hermegauss(40)
    rough = float(w @ (1 / np.cosh(10 * x)) ** 4 / w.sum())
    assert tanh_moments(100.0)[1] != pytest.approx(rough, rel=0.05)


@pytest.mark.parametrize("start", [0.0, 0.01, 5.0])
def test_the_settled_variance_is_where_iterating_leads(start):
    def step(q):
        return 4 * tanh_moments(q)[0] + 0.1

    q = start
    for _ in range(200):
        q = step(q)
    assert settled(step, start) == pytest.approx(q, rel=1e-10)
    assert settled(lambda q: 0.9 * q, start) == 0


@pytest.mark.parametrize(("gain", "noise"), [(1.05, 0.0), (3.0, 0.0), (10.0, 0.0), (0.7, 0.3), (2.0, 1 / 3)])
def test_tanh_s_variance_solves_its_own_equation_and_is_where_iterating_leads(gain, noise):
    q = tanh_field.variance(gain, noise)
    assert q > 0
    assert gain**2 * tanh_moments(q)[0] + noise == pytest.approx(q, rel=1e-11)
    iterated = 10.0
    for _ in range(2000):
        iterated = gain**2 * tanh_moments(iterated)[0] + noise
    assert q == pytest.approx(iterated, rel=1e-9)


# --- the spectrum ---------------------------------------------------------------------------------


def test_below_onset_the_spectrum_is_that_of_the_circular_law():
    found = predicted("tanh_autonomous", point("tanh", recurrent={"gaussian": 0.8}, state_std=1.0)).spectrum
    inner = found.share < 1 - 1e-6
    wanted = math.log(0.8) + np.log1p(-found.share[inner]) / 2
    assert found.exponents[inner] == pytest.approx(wanted, abs=1e-9)
    assert found.share_positive == found.entropy == found.kaplan_yorke == 0


@pytest.mark.parametrize(("gain", "noise"), [(1.5, 0.0), (3.0, 0.0), (10.0, 0.0), (2.0, 1 / 3)])
def test_the_spectrum_adds_up_to_the_volume_and_starts_at_the_growth_rate(gain, noise):
    """Integral of lambda(x): (1/n) log|det U| = log g - 1/2, plus E log sech^2."""
    q = tanh_field.variance(gain, noise)
    spectrum = tanh_field.spectrum(gain, q)
    assert spectrum.exponents[0] == pytest.approx(tanh_field.growth(gain, q), rel=1e-12)
    area = np.trapezoid(spectrum.exponents, spectrum.share)
    volume = math.log(gain) - 0.5 + normal_mean(lambda a: -2 * np.log(np.cosh(a)), q**0.5)
    assert area == pytest.approx(volume, abs=2e-3)


def test_share_entropy_and_dimension_agree_with_sums_over_a_fine_grid():
    spectrum = tanh_field.spectrum(3.0, tanh_field.variance(3.0, 0.0))
    x = (np.arange(200000) + 0.5) / 200000
    curve = np.interp(x, spectrum.share, spectrum.exponents)
    assert spectrum.share_positive == pytest.approx(np.mean(curve > 0), abs=1e-4)
    assert spectrum.entropy == pytest.approx(np.maximum(curve, 0).mean(), rel=1e-4)
    assert spectrum.kaplan_yorke == pytest.approx(np.argmax(np.cumsum(curve) < 0) / 200000, abs=1e-4)


def test_a_list_of_exponents_has_the_textbook_dimension():
    """Three exponents 1, 0, -4: dimension 2 + 1/4, a third of it per unit."""
    found = predicted("linear_untied", point("linear", 3, {"gaussian": 1.0}, weights="untied")).spectrum
    listed = type(found)(found.share, np.array([1.0, 0.0, -4.0]), listed=True)
    assert listed.kaplan_yorke == pytest.approx(2.25 / 3)
    assert listed.entropy == pytest.approx(1 / 3)
    assert listed.share_positive == pytest.approx(1 / 3)


# --- sums of steps --------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [-30.0, -3.0, 0.0, 1.0, 2.5])
def test_the_product_of_one_or_two_normals(level):
    law = ChiSteps(1, 0.8)
    assert law.below(level, 1) == pytest.approx(2 * ndtr(math.exp(level) / 0.8) - 1, abs=1e-10)
    two = quad(lambda z: 2 * stats.norm.pdf(z) * (2 * ndtr(math.exp(level) / 0.64 / z) - 1), 0, 40, limit=500, points=[
        min(1.0, math.exp(level)), 5.0], epsabs=1e-12)[0]  # fmt: skip
    assert law.below(level, 2) == pytest.approx(two, abs=1e-9)
    assert law.above(level, 2) == pytest.approx(1 - two, abs=1e-9)


@pytest.mark.parametrize(("n", "steps"), [(1, 3), (1, 100), (1, 1000), (5, 3), (64, 50), (2, 20000)])
def test_inversion_and_convolution_give_the_same_probabilities(n, steps):
    law = ChiSteps(n, 1.0)

    def cumulative(x):
        return chdtr(n, n * np.exp(2 * np.minimum(x, 50.0)))

    mean, variance = law.step
    edges, below = lattice(cumulative, mean, variance**0.5, 40.0, steps)
    for score in (-5, -2, -0.5, 0, 1, 3):
        level = steps * mean + score * (steps * variance) ** 0.5
        assert law.below(level, steps) == pytest.approx(np.interp(level, edges, below), abs=1e-7)


@pytest.mark.parametrize(("n", "steps"), [(1, 3), (3, 5), (8, 40)])
def test_he_relu_s_probabilities_against_monte_carlo(n, steps):
    law, count, rng = ChiSteps(n, 2**0.5, halved=True), 100_000, np.random.default_rng(3)
    total = np.zeros(count)
    for _ in range(steps):
        live = rng.binomial(n, 0.5, count)
        total += np.where(live > 0, np.log(2 / n * rng.chisquare(np.maximum(live, 1))) / 2, -np.inf)
    for level in (-2.0, -0.5, 0.3):
        for found, share in ((law.below(level, steps), total < level), (law.above(level, steps), total > level)):
            assert stats.binomtest(int(share.sum()), count, found).pvalue > 1e-9
    alive = total[np.isfinite(total)]
    assert law.dead(steps) == pytest.approx(1 - (1 - 0.5**n) ** steps, rel=1e-12)
    mean, variance = law.moments(steps)
    assert abs(alive.mean() - mean) < SIGMAS * (variance / len(alive)) ** 0.5
    assert abs(alive.var() - variance) < SIGMAS * ((alive - mean) ** 2).std() / len(alive) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("bias", "deviation"), [(0.0, 1.0), (-1.0, 0.4), (1.0, 3.0), (0.0, 10.0)])
def test_min_gru_by_quadrature_over_one_of_two_steps_and_by_inversion(bias, deviation):
    step = min_gru.LogKept(bias, deviation)
    law = min_gru.LargestEntry(step, 1)
    first = quad(lambda z: log_expit(-bias - deviation * z) * stats.norm.pdf(z), -10, 10)[0]
    assert step.moments()[0] == pytest.approx(first, rel=1e-8)
    for level in 2 * first + np.array([-1.0, 0.0, 0.5]) * min(1.0, -first):
        z = np.linspace(-10, 10, 2_000_001)
        two = float(step(level - log_expit(-bias - deviation * z)) @ stats.norm.pdf(z)) * (z[1] - z[0])
        assert law.below(level, 2) == pytest.approx(two, abs=1e-7 if deviation <= 3 else 1e-6)
    z = np.linspace(-9, 9, 2001)
    weight, kept = stats.norm.pdf(z) * (z[1] - z[0]), log_expit(-bias - deviation * z)
    s = (np.arange(2000) + 0.5) * 0.02
    power = (np.exp(1j * np.outer(s, kept - first)) @ weight) ** 20
    for level in (20 * first - 2.0, 20 * first + 1.0):
        wanted = 0.5 - np.sum(np.imag(power * np.exp(-1j * s * (level - 20 * first))) / s) * 0.02 / np.pi
        assert law.below(level, 20) == pytest.approx(wanted, abs=1e-7 if deviation <= 3 else 1e-6)
    assert law.above(0.0, 20) == 0
    assert min_gru.LargestEntry(step, 7).below(20 * first, 20) == pytest.approx(law.below(20 * first, 20) ** 7)


# --- one unit, rings, frozen states ---------------------------------------------------------------


def test_one_linear_unit_vanishes_when_its_weight_is_small():
    found = predicted("linear_one_unit", point("linear", 1, {"gaussian": 1.2}))
    thresholds = Thresholds(vanish=1e-3, explode=1e3)
    below = 2 * ndtr(1e-3 ** (1 / 50) / 1.2) - 1
    assert found.probability("vanish", 50, thresholds) == pytest.approx(below, rel=1e-12)
    above = 2 * ndtr(-(1e3 ** (1 / 50)) / 1.2)
    assert found.probability("explode", 50, thresholds) == pytest.approx(above, rel=1e-12)
    assert found.probability("stable", 50, thresholds) == pytest.approx(1 - below - above, rel=1e-12)
    uniform = predicted("linear_one_unit", point("linear", 1, {"uniform": {"limit": 2.0}}))
    assert uniform.probability("explode", 50, thresholds) == pytest.approx(1 - 1e3 ** (1 / 50) / 2, rel=1e-12)
    assert uniform.moments(10) == pytest.approx((10 * (math.log(2) - 1), 100.0))


@pytest.mark.parametrize("gain", [0.5, 1.5, 6.0])
def test_one_tanh_unit_s_mean_rate_is_that_of_its_fixed_points(gain):
    grid = gain * stats.norm.ppf((np.arange(20000) + 0.5) / 40000 + 0.5)

    def rate(u):
        if u <= 1 + 1e-9:
            return math.log(u)
        h = brentq(lambda a: math.tanh(u * a) - a, 1e-9, 1.0) if u > 1.001 else math.sqrt(3 * (u - 1))
        return math.log(u) - 2 * math.log(math.cosh(u * h))

    assert tanh_one_unit.mean_rate(gain) == pytest.approx(np.mean([rate(u) for u in grid]), abs=2e-3)
    assert tanh_one_unit.mean_rate(gain) < 0


def test_the_bound_in_u_is_the_maximum_of_y_sech_squared():
    y = np.linspace(0, 5, 2_000_001)
    pull = y / np.cosh(y) ** 2
    assert pull.max() == pytest.approx(0.44774, abs=5e-6)
    assert y[pull.argmax()] == pytest.approx(0.7717, abs=5e-5)
    assert ((1 - np.tanh(y) ** 2) * y).max() == pytest.approx(0.44774, abs=5e-6)
    u = np.linspace(-40, 40, 400001)
    assert np.abs(u / np.cosh(u * 0.3) ** 2).max() == pytest.approx(0.44774 / 0.3, rel=1e-4)


@pytest.mark.parametrize("n", [1, 7])
def test_the_largest_eigenvalue_on_a_full_disk_has_mean_log_minus_1_over_2n(n):
    law = lru.largest_on_ring(n, 0.9, 0.0)
    assert law.moments(3) == pytest.approx((3 * (math.log(0.9) - 1 / (2 * n)), 9 / (2 * n) ** 2), rel=1e-9)
    ring = lru.largest_on_ring(n, 1.0, 0.9)
    assert ring.below(math.log(1e-3), 100) == pytest.approx(((1e-3 ** (2 / 100) - 0.81) / 0.19) ** n, rel=1e-12)
    assert ring.below(math.log(1e-3), 100) + ring.above(math.log(1e-3), 100) == pytest.approx(1)
    modulus = np.sqrt(np.random.default_rng(5).uniform(0.81, 1.0, (50000, n)).max(axis=1))
    mean, variance = ring.moments(1)
    assert abs(np.log(modulus).mean() - mean) < SIGMAS * (variance / 50000) ** 0.5
    assert np.log(modulus).var() == pytest.approx(variance, rel=0.1)


def test_the_frozen_edge_with_equal_gates_is_the_zero_state_s_and_agrees_with_eigenvalues_otherwise():
    one = np.ones(1)
    assert frozen_edge.edge(0.3 * one, 0.2 * one, one, 1.7) == pytest.approx(0.3 + 0.2 * 1.7, rel=1e-12)
    rng, n, gain = np.random.default_rng(2), 300, 2.0
    chrono = rng.uniform(1, 11, (4, n))
    wide = expit(rng.uniform(-4, 4, (4, n)))
    cases = [
        ({"chrono": 12.0}, chrono / (1 + chrono), 1 / (1 + chrono)),
        ({"constant": 0.0, "forget": {"uniform": {"limit": 4.0}}}, wide, 0.5 + 0 * wide),
    ]
    for bias, forget, admit in cases:
        init = {"recurrent": {"gaussian": gain}, "bias": bias}
        found = math.exp(predicted("frozen_edge", point("lstm", init=init)).growth_rate)
        u = rng.standard_normal((4, n, n)) * gain / n**0.5
        radius = np.abs(np.linalg.eigvals(np.eye(n) * forget[:, None] + admit[:, :, None] * 0.5 * u)).max(axis=1).mean()
        assert found == pytest.approx(radius, abs=0.03)  # the edge scatters by the disk's radius over sqrt n
    mean_gates = frozen_edge.edge(0.5 * one, 0.25 * one, one, gain)
    assert abs(mean_gates - radius) > 0.06  # a mean gate in place of the gates would be caught


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0, 3.0])
def test_the_edge_of_an_lstm_with_normal_forget_biases_turns_where_the_mean_of_a_lognormal_says(gain):
    """E (1 + e^b)^2 = 1 + 2 e^(s^2/2) + e^(2 s^2), the other gates being at a half."""
    exact = 4 / math.sqrt(1 + 2 * math.exp(gain**2 / 2) + math.exp(2 * gain**2))
    for recurrent, low, high in ((exact / 2, -0.01, 0.0), (2 * exact, 0.0, math.inf)):
        init = {"recurrent": {"gaussian": recurrent}, "bias": {"forget": {"gaussian": gain}}}
        found = predicted("frozen_edge", point("lstm", init=init))
        assert found.onset_gain == pytest.approx(exact, rel=1e-7)
        assert low <= found.growth_rate <= high  # below the onset some gates are as near 1 as one likes


# --- untied ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["gru", "gru_output_gated", "lstm"])
def test_untied_gated_cells_at_the_zero_state_turn_at_the_root_of_twelve(cell):
    at = point(cell, recurrent={"gaussian": 12**0.5}, weights="untied")
    assert predicted(f"untied_{cell}", at).growth_rate == pytest.approx(0, abs=1e-12)
    assert predicted("zero_state", at).onset_gain == pytest.approx(12**0.5)


@pytest.mark.slow
def test_the_lstm_s_population_knows_its_own_error():
    gates = ("forget", "input", "output", "candidate")
    settings = UntiedSettings(dict.fromkeys(gates, 3.0), dict.fromkeys(gates, 1 / 3), dict.fromkeys(gates, 0.0), 0.0)
    runs = [untied_lstm.growth(settings, sites=2048, steps=400, seed=seed) for seed in range(8)]
    rates, errors = np.array(runs).T
    assert 0.3 < rates.std(ddof=1) / errors.mean() < 3
    large, error = untied_lstm.growth(settings, seed=99)
    assert abs(large - rates.mean()) < SIGMAS * (error + rates.std() / 8**0.5) + 5 / 2048


def test_untied_tanh_with_a_field_is_the_same_as_tied():
    init = {"recurrent": {"gaussian": 1.7}, "input": {"gaussian": 0.5}}
    tied, fresh = (point("tanh", init=init, drive="field", weights=mode) for mode in ("tied", "untied"))
    assert predicted("untied_tanh", fresh).growth_rate == pytest.approx(predicted("tanh_driven", tied).growth_rate)


def test_every_law_says_what_it_is():
    assert len(laws()) >= 27  # what there is today: a law that is not offered any more is missed
    for name, law in laws().items():
        assert law.name == name
        assert law.formula
        assert law.source
        assert law.validity in repr(law)
