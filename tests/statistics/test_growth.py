"""The growth rate against exact ones: which estimator a design point calls for, and that the other would miss them."""

import math

import numpy as np
import polars as pl
import pytest
from scipy.integrate import quad
from scipy.special import digamma
from scipy.stats import ncx2, norm, t

from rnnmc.chain.product import follow
from rnnmc.engine.block import run_block
from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Columns
from rnnmc.statistics.growth import BY_NORM, NORM, TANGENT_VECTOR, Estimator, estimator_of, growth_columns
from rnnmc.statistics.point import point_statistics
from rnnmc.study.point import DesignPoint

FALSE_ALARM = 1e-6


def fresh(cell, width, gain, horizons=(10, 100), **more):
    init = {"recurrent": {"gaussian": gain}, "bias": 0}
    return DesignPoint(cell=cell, width=width, init=init, weights="untied", drive="none", horizons=horizons, **more)


def at_the_end(point, replicates, estimator=None):
    samples = pl.DataFrame(pl.from_arrow(run_block(point, 0, replicates)))
    rows = point_statistics(samples, 1e-3, 1e3, estimator=estimator or estimator_of(point))
    return rows.filter(pl.col("measure").cast(pl.String) == "log_spectral").row(-1, named=True)


def score(row, truth, replicates):
    """Distance from the truth in units of what happens by chance with probability FALSE_ALARM."""
    return abs(row["growth_rate"] - truth) / row["growth_rate_error"] / t.isf(FALSE_ALARM / 2, replicates - 1)


def at_rest(width, gain):
    """E log |(1/2 + g/4 U/sqrt n) v|, of gates at one half: |J v|^2 is noncentral chi-square, whatever unit v."""
    scale = (gain / 4) ** 2 / width
    law = ncx2(width, 0.25 / scale)
    low, high = law.ppf([1e-14, 1 - 1e-14])
    return quad(lambda x: 0.5 * math.log(scale * x) * law.pdf(x), low, high, epsabs=1e-13)[0]


@pytest.mark.parametrize(("width", "replicates"), [(2, 2000), (4, 2000), (16, 400), (64, 200)])
def test_the_growth_of_fresh_linear_weights_is_newmans_and_that_of_the_norm_misses_it_in_wide_networks(
    width, replicates
):
    point = fresh("linear", width, 1.0)
    truth = 0.5 * (math.log(2 / width) + digamma(width / 2))
    row = at_the_end(point, replicates)
    assert (row["growth_by"], row["growth_systematic"]) == (TANGENT_VECTOR, 0)
    assert score(row, truth, replicates) < 1
    missed = at_the_end(point, replicates, BY_NORM)
    assert (score(missed, truth, replicates) > 1) == (width >= 16), "a planted mistake"
    assert score(missed | {"growth_rate": missed["growth_rate"] + missed["growth_systematic"]}, truth, replicates) < 1


@pytest.mark.parametrize(("width", "onset"), [(16, 3.6053), (64, 3.4983), (256, 3.4726)])
def test_fresh_gates_at_rest_turn_where_the_noncentral_chi_square_says(width, onset):
    assert at_rest(width, onset - 5e-5) < 0 < at_rest(width, onset + 5e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "width", "gain", "replicates"),
    [("gru", 16, 3.6053, 500), ("gru_output_gated", 8, 3.0, 500), ("lstm", 64, 3.25, 100)],
)
def test_the_growth_of_fresh_gates_at_rest_is_exact(cell, width, gain, replicates):
    point = fresh(cell, width, gain)
    assert score(at_the_end(point, replicates), at_rest(width, gain), replicates) < 1
    if width > 16:
        assert score(at_the_end(point, replicates, BY_NORM), at_rest(width, gain), replicates) > 1, "a planted mistake"


@pytest.mark.slow
def test_where_units_forget_at_rates_of_their_own_the_interval_reaches_for_the_norm_as_the_vector_lags_behind():
    width, replicates = 16, 4000
    init = {"recurrent": {"gaussian": 1e-3}, "bias": {"forget": {"gaussian": 2}}}
    point = DesignPoint(cell="lstm", width=width, init=init, weights="untied", drive="none", horizons=(10, 100))

    def of_slowest(z):  # log f of the unit that forgets last, times the density of its score
        return -math.log1p(math.exp(-2 * z)) * width * norm.cdf(z) ** (width - 1) * norm.pdf(z)

    truth = quad(of_slowest, -9, 9)[0]
    row = at_the_end(point, replicates)
    assert score(row, truth, replicates) > 1, "a planted mistake: to call it unbiased"
    assert score(row | {"growth_rate": row["growth_rate"] + row["growth_systematic"]}, truth, replicates) < 1
    assert row["growth_rate_low"] < truth < row["growth_rate_high"]


@pytest.mark.slow
def test_without_whole_matrices_too_the_growth_is_exact():
    width, gain, replicates = 2048, 1.5, 12
    point = fresh("linear", width, gain, (2, 20))
    truth = math.log(gain) + 0.5 * (math.log(2 / width) + digamma(width / 2))
    assert score(at_the_end(point, replicates), truth, replicates) < 1


def test_log_tangent_is_what_the_product_does_to_the_vector_of_the_draws():
    point = DesignPoint(cell="lstm", width=4, horizons=(1, 3, 10), dtype="float64")
    found = run_block(point, 0, 5)["log_tangent"].to_numpy().reshape(5, 3)
    draws = Draws(point, [(0, 0)], 5, Columns(), "cpu")
    tile = Draws(point, [(0, 0)], 4096, Columns(), "cpu").tangent()[:5]
    assert tile.shape == (5, 8)
    np.testing.assert_allclose(tile.norm(dim=1), 1, rtol=1e-12)
    assert draws.tangent().shape == (5, 8)
    full = Draws(point, [(0, 0)], 4096, Columns(), "cpu")
    for i, moment in enumerate(follow(full.cell, full.layout, full.steps(), full.state(), point.horizons)):
        image = np.einsum("rij,ri->rj", moment.product[:5].numpy(), tile.numpy())
        wanted = np.log(np.linalg.norm(image, axis=1)) + moment.exponent[:5].numpy() * math.log(2)
        np.testing.assert_allclose(found[:, i], wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"weights": "untied"}, Estimator(TANGENT_VECTOR, False)),
        ({"weights": "untied", "init": {"recurrent": {"gaussian": 2}}}, Estimator(TANGENT_VECTOR, False)),
        ({"weights": "untied", "init": {"recurrent": {"gaussian": 2, "clip": 1}}}, Estimator(TANGENT_VECTOR, False)),
        *(
            ({"weights": "untied", "cell": cell, "init": {"recurrent": {"gaussian": 2}} | more, "drive": drive}, wanted)
            for cell, more, drive, wanted in [
                ("lstm", {"input": {"gaussian": 1}}, "white", (TANGENT_VECTOR, False)),
                ("lstm", {"input": {"gaussian": 1}, "bias": {"forget": 3}}, "field", (TANGENT_VECTOR, True)),
                ("lstm", {"bias": {"forget": {"gaussian": 2}}}, "none", (TANGENT_VECTOR, False)),
                ("lstm", {"bias": {"chrono": {"t_max": 100}}}, "none", (TANGENT_VECTOR, False)),
                ("lstm", {"input": 0, "bias": {"forget": 3}}, "white", (TANGENT_VECTOR, True)),
                (
                    "gru_reset_after",
                    {"bias": {"candidate_recurrent": {"gaussian": 1}}},
                    "none",
                    (TANGENT_VECTOR, False),
                ),
                ("minimal_rnn", {"input": {"gaussian": 1}}, {"constant": 1}, (TANGENT_VECTOR, False)),
                ("minimal_rnn", {"input": {"gaussian": 1}}, {"white": 4}, (TANGENT_VECTOR, False)),
                ("tanh", {"input": {"gaussian": 1}, "bias": {"gaussian": 1}}, "white", (TANGENT_VECTOR, True)),
                ("relu", {"input": {"gaussian": 1}, "bias": {"gaussian": 1}}, "white", (TANGENT_VECTOR, True)),
                ("linear", {"input": {"gaussian": 1}}, {"ar1": {"correlation": 0.5}}, (TANGENT_VECTOR, True)),
            ]
        ),
        ({"drive": "white"}, BY_NORM),
        ({"drive": "field", "init": {"recurrent": {"gaussian": 2}, "input": {"gaussian": 1}}}, (TANGENT_VECTOR, False)),
        ({"drive": {"ar1": {"correlation": 0.5}}}, BY_NORM),
        ({"drive": "none"}, BY_NORM),
        ({"drive": {"constant": 2}, "state_std": 1}, BY_NORM),
    ],
)
def test_a_design_point_calls_for_the_vector_where_something_of_every_unit_is_fresh_at_every_step(said, wanted):
    assert estimator_of(DesignPoint(**{"cell": "lstm", "width": 2, "horizons": (10,)} | said)) == wanted


def test_the_record_says_which_estimator_and_how_far_the_other_lies_away():
    rates = {
        NORM: (np.array([0.5, 0.25]), np.full(2, 0.1)),
        TANGENT_VECTOR: (np.array([0.375, np.nan]), np.full(2, 0.2)),
    }
    found = growth_columns(rates, TANGENT_VECTOR, is_unbiased=False)
    np.testing.assert_array_equal(found["growth_rate"], [0.375, np.nan])
    np.testing.assert_array_equal(found["growth_systematic"], [0.125, np.nan])
    assert found["growth_by"].tolist() == [TANGENT_VECTOR] * 2
    np.testing.assert_array_equal(growth_columns(rates, NORM, True)["growth_systematic"], [-0.125, np.nan])
    np.testing.assert_array_equal(growth_columns(rates, TANGENT_VECTOR, True)["growth_systematic"], [0, np.nan])


def test_the_interval_of_a_rate_reaches_as_far_as_the_other_estimator_is_off():
    point = DesignPoint(cell="gru", width=8, horizons=(2, 20), drive="none", init={"recurrent": {"gaussian": 1}})
    row = at_the_end(point, 50)
    gap = row["tangent_growth_rate"] - row["norm_growth_rate"]
    assert row["growth_by"] == NORM
    assert gap < 0
    assert row["growth_systematic"] == pytest.approx(gap)
    half = t.ppf(0.975, 49) * row["growth_rate_error"]
    assert row["growth_rate_low"] == pytest.approx(row["growth_rate"] - half + gap)
    assert row["growth_rate_high"] == pytest.approx(row["growth_rate"] + half)


def test_where_some_shards_are_of_before_the_vector_it_does_not_stand_for_the_others():
    point = DesignPoint(cell="gru", width=4, horizons=(2, 20), init={"recurrent": {"gaussian": 2}})
    samples = pl.DataFrame(pl.from_arrow(run_block(point, 0, 8)))
    some = samples.with_columns(pl.when(pl.col("replicate") < 4).then("log_tangent").alias("log_tangent"))
    known = point_statistics(samples, 1e-3, 1e3).drop("tangent_growth_rate", "tangent_growth_rate_error")
    without = point_statistics(samples.drop("log_tangent"), 1e-3, 1e3)
    assert point_statistics(some, 1e-3, 1e3).equals(without)
    assert without["growth_systematic"].null_count() == without.height
    assert known["growth_systematic"].drop_nulls().abs().min() > 0
    assert without["growth_rate"].equals(known["growth_rate"])
