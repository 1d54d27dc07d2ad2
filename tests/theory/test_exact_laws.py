"""Laws of gated cells that are exact: against closed forms, quadrature, Monte Carlo, and the engine's own blocks.

No sampling but where a normal score of 6.1 or a level of 1e-9 is stated: about 120 such tests, seeds fixed, a false
alarm below 1e-6 for all together.
"""

import math

import numpy as np
import polars as pl
import pytest
import torch
from reference import chain_of, first_direction
from scipy import stats
from scipy.integrate import quad
from scipy.special import expit, log_expit, ndtr

from rnnmc.study.point import DesignPoint
from rnnmc.theory import predictions
from rnnmc.theory.assumptions import quantile
from rnnmc.theory.beside import beside
from rnnmc.theory.exact.independent_units import LAW as INDEPENDENT
from rnnmc.theory.exact.min_gru import LargestEntry, LogKept
from rnnmc.theory.exact.white_gates import MixedSum
from rnnmc.theory.large_width import untied_lstm
from rnnmc.theory.large_width.untied import UntiedSettings
from rnnmc.theory.sums import ChiSteps, FirstAndRest
from rnnmc.theory.units import Units

ALPHA, SIGMAS = 1e-9, 6.1


def assert_law(law, horizon, sample):
    """Shares below three levels, and moments, of a sample of l_T: of one of them a law must say something."""
    alive, said = sample[np.isfinite(sample)], 0
    for share in (0.02, 0.4, 0.95):
        level = float(np.quantile(alive, share)) + 1e-9
        if (below := law.below(level, horizon)) is not None:
            assert stats.binomtest(int((sample < level).sum()), len(sample), min(1.0, below)).pvalue > ALPHA
            assert law.above(level, horizon) == pytest.approx(1 - below, abs=2e-6)
            said += 1
    if (moments := law.moments(horizon)) is not None:
        assert abs(alive.mean() - moments[0]) < SIGMAS * math.sqrt(moments[1] / len(alive)) + 1e-9
        squares = (alive - moments[0]) ** 2
        assert abs(squares.mean() - moments[1]) < SIGMAS * squares.std() / math.sqrt(len(alive)) + 1e-9
        said += 1
    assert said


# --- sums -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "centre", "gain", "steps"), [(1, 0.7, 0.5, 1), (1, 0.5, 2.0, 6), (5, 0.8, 0.4, 9)])
def test_chi_that_is_not_central_is_a_sum_of_logs_of_shifted_normal_vectors(n, centre, gain, steps):
    rng, total = np.random.default_rng(1), np.zeros(40000)
    for _ in range(steps):
        vector = rng.standard_normal((len(total), n)) * gain / math.sqrt(n)
        vector[:, 0] += centre
        total += np.log(np.linalg.norm(vector, axis=1))
    assert_law(ChiSteps(n, gain, centre=centre), steps, total)


def test_chi_of_one_unit_and_one_step_has_the_normal_s_own_distribution_function():
    for gain in (0.6, 0.05, 0.01, 0.002):  # up to a Poisson law of mean 100,000, which is taken for a density
        law = ChiSteps(1, gain, centre=0.9)
        for size in (0.02, 0.9 - gain, 0.9 + gain / 2, 1.6):
            wanted = ndtr((size - 0.9) / gain) - ndtr((-size - 0.9) / gain)
            assert law.below(math.log(size), 1) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("gain", [1e-3, 1e-6, 1e-9])
def test_a_step_that_hardly_varies_has_its_moments_and_no_probability(gain):
    law = ChiSteps(4, gain, centre=0.9)
    mean, variance = law.step
    small = (gain / 0.9) ** 2 / 4  # log |a e + x| is log a + x_1/a + (|x|^2 / 2 - x_1^2)/a^2 + ...
    assert mean == pytest.approx(math.log(0.9) + small, abs=10 * small**2 + 1e-12)
    assert variance == pytest.approx(small, rel=10 * small + 1e-5)
    with pytest.raises(ArithmeticError, match="hardly varies"):
        law.below(math.log(0.9), 1)
    assert beside(*_seen(gain))["theory_p_vanish_at"].null_count() == 2


def _seen(gain):
    """A design point of a GRU with fresh weights of this gain, and statistics of two horizons."""
    point = DesignPoint(cell="gru", width=16, weights="untied", drive="none", init={"recurrent": {"gaussian": gain}})
    rows = {"horizon": [1, 10], "measure": ["log_vector"] * 2, "threshold_vanish": [0.4] * 2}
    return point, pl.DataFrame(rows | {"threshold_explode": [2.0] * 2})


def test_a_first_step_of_another_kind_is_added():
    first, rest, rng = ChiSteps(3, 0.8), ChiSteps(3, 0.5, centre=0.7), np.random.default_rng(2)
    vectors = rng.standard_normal((30000, 5, 3)) / math.sqrt(3)
    vectors[:, 1:] *= 0.5
    vectors[:, 0] *= 0.8
    vectors[:, 1:, 0] += 0.7
    total = np.log(np.linalg.norm(vectors, axis=2)).cumsum(axis=1) + 0.2
    for horizon in (1, 2, 5):
        assert_law(FirstAndRest(first, rest, 0.2), horizon, total[:, horizon - 1])


def test_units_know_closed_forms_on_both_sides_of_their_breaks():
    plain = Units(lambda z, horizon: horizon * z, 4)
    assert plain.below(3.0, 2) == pytest.approx(ndtr(1.5) ** 4, rel=1e-12)
    assert plain.above(14.0, 2) == pytest.approx(4 * ndtr(-7.0), rel=1e-9)
    folded = Units(lambda z, horizon: horizon * np.log(np.abs(z - 0.3) + 1e-300), 1, (0.3,))
    for level in (-40.0, -1.0, 0.4):
        half = math.exp(level / 5)
        assert folded.below(level, 5) == pytest.approx(ndtr(0.3 + half) - ndtr(0.3 - half), rel=1e-6, abs=1e-15)
    assert folded.moments(5) is None
    mean, variance = Units(lambda z, horizon: horizon * z, 2).moments(3)
    assert mean == pytest.approx(3 / math.sqrt(math.pi), rel=1e-5)  # of the larger of two normals
    assert variance == pytest.approx(9 * (1 - 1 / math.pi), rel=1e-4)
    assert Units(lambda z, horizon: 0 * z + horizon, 2).values(3) == (3.0,)
    assert plain.values(3) == ()


@pytest.mark.slow
def test_a_memory_of_white_input_is_a_mean_over_the_length_of_its_weights():
    def mean_of(c):
        return quad(lambda z: log_expit(-0.4 - 1.5 * c * z) * stats.norm.pdf(z), -10, 10)[0]

    one = quad(lambda c: mean_of(c) * stats.chi(1).pdf(c), 0, 9)[0]
    assert MixedSum(0.4, 1.5, 1).moments(7)[0] == pytest.approx(7 * one, rel=1e-8)
    rng, steps = np.random.default_rng(3), 6
    weights = rng.standard_normal((20000, 3)) * 1.5 / math.sqrt(3)
    inputs = rng.standard_normal((20000, steps, 3))
    total = log_expit(-0.4 - (inputs @ weights[:, :, None])[..., 0]).sum(axis=1)
    assert_law(MixedSum(0.4, 1.5, 3), steps, total)
    assert MixedSum(0.4, 1.5, 3).below(-3.0, steps) is None


def test_a_memory_shown_through_the_last_gate_has_that_gate_s_law_on_top():
    rng, steps = np.random.default_rng(4), 5
    kept = log_expit(-(0.3 + 1.2 * rng.standard_normal((30000, steps)))).sum(axis=1)
    shown = np.log1p(expit(0.5 + 0.8 * rng.standard_normal(30000)) ** 2) / 2
    assert_law(LargestEntry(LogKept(0.3, 1.2), 1, (0.5, 0.8)), steps, kept + shown)
    assert_law(
        LargestEntry(LogKept(0.3, 1.2), 1, (0.5, 0.0), -0.1), steps, kept + math.log1p(expit(0.5) ** 2) / 2 - 0.1
    )


def test_quantiles_are_those_of_what_is_drawn():
    biases = [{"uniform": {"limit": 2.0}}, {"uniform": {"limit": 1.0, "terms": 2}}, {"gaussian": 1.3}, {"chrono": 9.0}]
    for bias in biases:
        point = DesignPoint(cell="gru", width=2, init={"recurrent": {"gaussian": 1.0}, "bias": bias})
        law = point.init.laws(point.cell_object, 2, 1)["bias"]["update"]
        drawn = law.draw(np.random.default_rng(5), (4000, 1, 3)).ravel()
        for share in (0.05, 0.4, 0.9):
            count = int((drawn < quantile(law, np.array([share]))[0]).sum())
            assert stats.binomtest(count, len(drawn), share).pvalue > ALPHA


# --- laws against the engine's blocks -------------------------------------------------------------


def bare(**bias):
    return {"init": {"recurrent": {"constant": 0.0}, "input": {"gaussian": 1.0}, "bias": bias}}


def coupled(**bias):
    return {"init": {"recurrent": {"gaussian": 1.0, "candidate": {"identity": 1.4}}, "bias": {"constant": 0.0} | bias}}


FRESH = {"weights": "untied", "init": {"recurrent": {"gaussian": 1.6}, "bias": {"constant": 0.0, "forget": 1.0}}}
FRESH_GRU = FRESH | {"init": {"recurrent": {"gaussian": 1.6}, "bias": {"constant": 0.0, "update": 0.5}}}
POINTS = {
    "lstm chrono": {"cell": "lstm", "width": 3} | bare(chrono=12.0, output=1.0, candidate=1.5),
    "lstm state": {"cell": "lstm", "width": 2, "state_std": 2.0} | bare(output=1.5),
    "lstm output": {"cell": "lstm", "width": 2} | bare(output={"uniform": 2.0}),
    "lstm coupled": {"cell": "lstm", "width": 2} | coupled(forget={"uniform": 1.0}),
    "lstm one unit": {"cell": "lstm", "width": 1, "init": {"recurrent": {"gaussian": 2.5}}},
    "lstm fresh": {"cell": "lstm", "width": 4} | FRESH,
    "lstm field": {"cell": "lstm", "width": 3, "drive": "field"} | bare(forget=1.0),
    "lstm white": {"cell": "lstm", "width": 1, "drive": {"white": 2}} | bare(forget=1.0),
    "lstm constant": {"cell": "lstm", "width": 3, "drive": {"constant": -1.5}} | bare(forget=1.0),
    "output-gated": {"cell": "gru_output_gated", "width": 3} | bare(update={"gaussian": 1.5}, output=1.0),
    "output-gated coupled": {"cell": "gru_output_gated", "width": 2} | coupled(update={"gaussian": 1.0}, output=0.5),
    "output-gated fresh": {"cell": "gru_output_gated", "width": 4} | FRESH_GRU,
    "output-gated field": {"cell": "gru_output_gated", "width": 3, "drive": "field"} | bare(output=0.4),
    "gru biases": {"cell": "gru", "width": 3, "state_std": 1.0} | bare(update={"uniform": {"limit": 1.0, "terms": 2}}),
    "gru coupled": {"cell": "gru_reset_after", "width": 3} | coupled(update={"gaussian": 1.0}, reset=0.5),
    "gru one unit": {"cell": "gru_tied", "width": 1, "init": {"recurrent": {"uniform": 3.0}}},
    "gru fresh": {"cell": "gru", "width": 5} | FRESH_GRU,
    "gru white": {"cell": "gru_tied", "width": 3, "drive": {"white": 2}} | bare(update=0.5),
    "minimal": {"cell": "minimal_rnn", "width": 3, "drive": {"constant": 2.0}} | bare(update=0.5),
    "minimal field": {"cell": "minimal_rnn", "width": 3, "drive": "field"} | bare(update=0.5),
    "min_gru chrono": {"cell": "min_gru", "width": 3, "init": {"bias": {"update": {"chrono": 30.0}}}},
    "lru": {"cell": "lru", "width": 3, "init": {"recurrent": {"ring": {"outer": 1.0, "inner": 0.7}}}},
}


def seen(point, count):
    """horizon -> measure -> (R,) as the engine's own product has them, whatever its observables are."""
    found = {}
    with np.errstate(divide="ignore"):
        for moment in chain_of(point, count):
            product, scale = moment.product, moment.exponent.double().numpy() * math.log(2)
            block = product[:, -point.width :, -point.width :]
            norms = {
                "log_spectral": torch.linalg.matrix_norm(product, 2),
                "log_memory": torch.linalg.matrix_norm(block, 2),
            }
            norms["log_rms"] = torch.linalg.matrix_norm(product) / math.sqrt(product.shape[1])
            logs = {measure: np.log(norm.numpy()) + scale for measure, norm in norms.items()}
            found[moment.horizon] = logs | {"log_vector": first_direction(moment)}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", POINTS)
def test_every_measure_of_an_exact_law_is_the_engine_s(name):
    point = DesignPoint(**{"drive": "none", "dtype": "float64", "horizons": (1, 4, 30)} | POINTS[name])
    sample, compared = seen(point, 3000), 0
    for law, prediction in predictions(point):
        for measure, norm in prediction.log_norm.items() if law.exact else ():
            for horizon in point.horizons if measure != "log_entry" else ():
                if values := norm.values(horizon):
                    assert np.abs(sample[horizon][measure] - values[0]).max() < 1e-10
                else:
                    assert_law(norm, horizon, sample[horizon][measure])
                compared += 1
    assert compared >= 3


def test_the_lstm_s_joint_law_would_not_forgive_the_first_cell_state_for_the_last():
    """log(1 + k^2)/2 of c_1 in place of c_T lies far outside: what a product in the wrong order of time gives."""
    point = DesignPoint(drive="none", **POINTS["lstm chrono"])
    joint = INDEPENDENT.predict(point).log_norm["log_spectral"]
    u = np.random.default_rng(6).uniform(1, 11, (4000, 3))
    kept, opening, ahead = u / (1 + u), expit(1.0), math.tanh(1.5)

    def with_state(c):
        return (30 * np.log(kept) + np.log1p((opening / np.cosh(c) ** 2) ** 2) / 2).max(axis=1)

    assert_law(joint, 30, with_state(ahead * (1 - kept**30)))  # 1 - f = i under chrono
    level = float(np.quantile(with_state(ahead * (1 - kept)), 0.5))
    assert stats.binomtest(2000, 4000, joint.below(level, 30)).pvalue < ALPHA


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["lstm chrono", "lstm coupled", "gru coupled", "gru fresh", "lstm fresh", "lstm one unit"]
)
def test_growth_is_what_a_long_chain_has(name):
    """Between steps 200 and 400 of float64 chains; shown and first steps are the same at both."""
    said = {"drive": "none", "dtype": "float64", "horizons": (200, 400)} | POINTS[name]
    point = DesignPoint(**said)
    (found,) = [
        prediction for law, prediction in predictions(point) if law.name in ("independent_units", "zero_state_vector")
    ]
    sample = seen(point, 2000)
    rates = (sample[400]["log_spectral"] - sample[200]["log_spectral"]) / 200
    assert abs(rates.mean() - found.growth_rate) < SIGMAS * rates.std() / math.sqrt(2000) + 2e-3


@pytest.mark.slow
def test_the_lstm_s_onset_is_where_its_growth_is_zero_and_knows_its_error():
    gates = ("forget", "input", "output", "candidate")
    driven = UntiedSettings(dict.fromkeys(gates, 2.0), dict.fromkeys(gates, 1 / 3), dict.fromkeys(gates, 0.0), 0.0)
    onset, error = untied_lstm.LAW.onset(driven)
    assert 0 < error < 0.01
    rate, of_rate = untied_lstm.growth(driven.scaled(onset), sites=8192, steps=1000, seed=5)
    slope = (untied_lstm.growth(driven.scaled(1.05 * onset))[0] - rate) / (0.05 * onset)
    assert abs(rate) < SIGMAS * (of_rate + slope * error) + 5 / 4096
    still = UntiedSettings(driven.gain, dict.fromkeys(gates, 0.0), driven.bias, 0.0)
    assert untied_lstm.LAW.onset(still)[0] == pytest.approx(math.sqrt(12), rel=1e-6)
