"""What follows from several design points together, against numbers that are known."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from charts import data_of
from scipy.stats import binom, chi2, t
from synthetic import EXPLODE, VANISH, log_spaced, point_row, samples_of, walks

from rnnmc.drives import labels_of
from rnnmc.report.pictures import lifetime, phase, picture_of
from rnnmc.statistics.analyses import analysed, analyses
from rnnmc.statistics.analyses.analysis import groups
from rnnmc.statistics.analyses.finite_width import averaged, fit
from rnnmc.statistics.point import point_statistics

HORIZONS = [10, 100]


def study_with(rates: list[tuple[dict[str, Any], float]], error: float = 1e-3, theory: float | None = None):
    """Points with these growth rates, and the statistics that say so. Each: (factors and `said`, rate)."""
    rows, statistics = [], []
    for factors, rate in rates:
        factors = dict(factors)
        said = {
            "cell": "tanh",
            "width": factors.pop("width", 16),
            "init": {
                "recurrent": {"gaussian": factors.pop("gain", 1.0)},
                "input": {"gaussian": factors.pop("field", 1.0)},
            },
            "drive": factors.get("drive", "field"),
            "weights": factors.get("weights", "tied"),
            "state_std": 0.0,
            "horizons": HORIZONS,
            "seed": 1,
        }
        row = point_row(
            "tanh", said["width"], json.dumps(said["init"]), 100, 50, **{"json": json.dumps(said)} | factors
        )
        table = point_statistics(samples_of(np.zeros((50, 2)), HORIZONS, row["point"]), VANISH, EXPLODE)
        numbers = {
            "growth_rate": rate,
            "growth_rate_error": error,
            "theory_growth_rate": theory,
            "theory_onset_gain": theory,
        }
        statistics.append(table.with_columns(pl.lit(value, pl.Float64).alias(name) for name, value in numbers.items()))
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None), pl.concat(statistics)


def test_the_onset_is_where_the_curve_through_the_gains_crosses_zero_with_the_error_of_their_rates():
    rates = [({"gain": gain}, 0.1 * math.log(gain / 1.7)) for gain in (1.0, 1.5, 2.0, 3.0)]
    row = analyses()["onset"].table(*study_with(rates, error=1e-3, theory=1.6)).row(0, named=True)
    assert (row["below"], row["above"], row["gains"], row["theory"]) == (1.5, 2.0, 4, 1.6)
    assert row["onset"] == pytest.approx(1.7)
    assert row["interpolation"] == pytest.approx(0, abs=1e-9)  # a line in log gain is met by every curve
    # Lagrange's weights of the four rates at 1.7, by hand; a rate is worth 1.7 / 0.1 of gain
    x = [math.log(gain / 1.7) for gain in (1.0, 1.5, 2.0, 3.0)]
    weights = [math.prod(-x[j] / (x[i] - x[j]) for j in range(4) if j != i) for i in range(4)]
    assert row["error"] == pytest.approx(math.hypot(*weights) * 1e-3 * 17, rel=1e-6)
    # Satterthwaite by hand: each of the four errors has 49 degrees of freedom
    parts = np.array(weights) ** 2
    half = t.ppf(0.975, parts.sum() ** 2 / (parts**2 / 49).sum()) * row["error"]
    assert row["high"] - row["low"] == pytest.approx(2 * half, rel=0.05)  # the weights move with the place


def test_a_curve_that_bends_between_two_gains_has_its_onset_within_the_interval():
    def bent(gain: float) -> float:
        return 0.3 * math.log(gain / 1.7) + 0.4 * math.log(gain / 1.7) ** 2 + 0.2 * math.log(gain / 1.7) ** 3

    rates = [({"gain": gain}, bent(gain)) for gain in (1.0, 1.5, 2.0, 3.0)]
    row = analyses()["onset"].table(*study_with(rates, error=1e-6)).row(0, named=True)
    assert row["onset"] == pytest.approx(1.7, abs=1e-6)
    assert row["interpolation"] > 1e-3
    at_the_edge = analyses()["onset"].table(*study_with(rates[1:], error=1e-6)).row(0, named=True)
    assert abs(at_the_edge["onset"] - 1.7) > 10 * at_the_edge["error"]  # one curve is not the other
    assert at_the_edge["low"] < 1.7 < at_the_edge["high"]


def test_gains_that_cannot_be_told_from_zero_are_fitted_together_and_bracket_the_onset_from_outside():
    rates = [({"gain": gain}, 0.1 * math.log(gain / 1.7)) for gain in (1.0, 1.5, 1.6, 1.8, 2.0, 3.0)]
    row = analyses()["onset"].table(*study_with(rates, error=0.01)).row(0, named=True)
    assert (row["below"], row["above"]) == (1.0, 3.0)
    assert row["onset"] == pytest.approx(1.7)
    assert row["low"] < 1.6 < 1.8 < row["high"]


def test_an_end_of_the_interval_that_the_gains_do_not_bound_is_not_made_up():
    rates = [({"gain": gain}, rate) for gain, rate in ((1.0, -0.1), (1.5, -0.05), (2.0, 0.004))]
    row = analyses()["onset"].table(*study_with(rates, error=0.01)).row(0, named=True)
    assert 1.5 < row["onset"] < 2
    assert row["low"] is not None
    assert row["high"] is None


def test_a_mean_rate_that_turns_twice_is_said_and_the_onset_of_the_median_stands_beside_it():
    """A tenth of the networks fall into a superstable cycle at gains from 2 on; the others grow from gain 1.2 on."""
    rng = np.random.default_rng(6)
    rows, tables = [], []
    for gain in (1.0, 1.1, 1.35, 1.6, 2.0, 2.5, 3.0, 4.0):
        rate = 0.4 * math.log(gain / 1.2) + 0.02 * rng.standard_normal(600)
        rate[rng.random(600) < 0.1 * (2 <= gain < 3.5)] -= 5
        points, _ = study_with([({"gain": gain}, 0.0)])
        samples = samples_of(np.outer(rate, [1.0, 10, 100]), [1, 10, 100], points["point"][0])
        rows.append(points)
        tables.append(point_statistics(samples, VANISH, EXPLODE))
    table = analyses()["onset"].table(pl.concat(rows), pl.concat(tables))
    row = table.row(0, named=True)
    assert row["turns"] == 3
    assert row["median_low"] < 1.2 < row["median_high"]
    assert row["median_high"] - row["median_low"] < 0.1
    assert any("more than once" in sentence for sentence in analyses()["onset"].found(table))
    last = pl.concat(tables).filter(pl.col("horizon") == 100, pl.col("measure") == "log_spectral")
    dipped = last.filter(pl.col("growth_rate") < 0, pl.col("growth_median") > 0)
    assert dipped.height >= 2
    assert (dipped["p_growing_low"] > 0.8).all()


@pytest.mark.parametrize(("shift", "known"), [(9.0, ("below", 2.0)), (0.1, ("above", 1.0))])
def test_an_onset_beyond_all_gains_is_not_made_up(shift: float, known: tuple[str, float]):
    rates = [({"gain": gain}, gain - shift) for gain in (1.0, 1.5, 2.0)]
    row = analyses()["onset"].table(*study_with(rates)).row(0, named=True)
    assert row["onset"] is None
    assert row[known[0]] == known[1]


def test_points_that_differ_in_more_than_their_gain_do_not_share_an_onset():
    rates = [({"gain": g, "width": w}, math.log(g / (1.2 + 1 / w))) for w in (4, 16) for g in (1.0, 1.5, 2.0)]
    table = analyses()["onset"].table(*study_with(rates))
    assert table["width"].to_list() == [4, 16]
    assert table["onset"].to_list() == pytest.approx([1.45, 1.2625])


def test_the_limit_and_the_correction_in_1_over_n_are_found_with_their_errors():
    widths = (8, 16, 32, 64)
    rates = [({"width": n}, -0.3 + 1.5 / n) for n in widths]
    row = analyses()["finite-width"].table(*study_with(rates, theory=-0.31)).row(0, named=True)
    assert (row["limit"], row["slope"]) == pytest.approx((-0.3, 1.5))
    assert (row["from_width"], row["widths"], row["theory"]) == (8, list(widths), -0.31)
    assert row["rates"] == pytest.approx([rate for _, rate in rates])


def test_the_errors_of_a_fit_are_right_and_a_bad_fit_is_seen():
    rng = np.random.default_rng(8)
    width, error, freedom = np.array([4.0, 8, 16, 32]), np.array([0.01, 0.02, 0.01, 0.03]), np.full(4, 1e9)
    truth = np.array([-0.3, 1.5, 2.0])
    noise = error * rng.standard_normal((3000, 4))
    for degree in (1, 2):
        curve = np.vander(1 / width, degree + 1, increasing=True) @ truth[: degree + 1]
        fits = [fit(width, curve + one, error, freedom, 0, degree) for one in noise]
        scores = np.array([(one.coefficients - truth) / np.sqrt(one.variance + 1e-300) for one in fits])[
            :, : degree + 1
        ]
        assert np.abs(scores.mean(axis=0)).max() < 5 / math.sqrt(3000)
        assert np.abs(scores.var(axis=0) - 1).max() < 5 * math.sqrt(2 / 3000)
        tails = chi2.sf([one.squares for one in fits], fits[0].left)
        assert np.mean(tails < 0.1) == pytest.approx(0.1, abs=0.03)
    assert chi2.sf(fit(width, -0.3 + 20 / width**2, error, freedom).squares, 2) < 1e-6


def test_the_average_over_fits_takes_the_one_that_can_be_and_adds_what_they_differ_by():
    width, freedom = np.array([4.0, 8, 16, 32, 64]), np.full(5, 1e9)
    bent = averaged(width, -0.3 + 1.5 / width + 8 / width**2, np.full(5, 1e-4), freedom)
    assert (bent["limit"], bent["slope"], bent["curvature"]) == pytest.approx((-0.3, 1.5, 8), rel=0.02)
    assert bent["limit_low"] < -0.3 < bent["limit_high"]
    # where all fits are as likely and alike, nothing is added: the mean of variances, and none of it from differences
    straight = averaged(width, -0.3 + 1.5 / width, np.full(5, 1e-3), freedom)
    fits = [fit(width, -0.3 + 1.5 / width, np.full(5, 1e-3), freedom, start, d) for start in range(3) for d in (1, 2)]
    share = np.exp([-(one.start + (1 if d % 2 == 0 else 2) + 1) for d, one in enumerate(fits)])
    want = share @ [one.variance[0] for one in fits] / share.sum()
    assert straight["limit_error"] ** 2 == pytest.approx(want, rel=1e-9)


def test_widths_too_small_for_the_curve_are_left_out_of_it():
    rates = [({"width": n}, -0.3 + 1.5 / n + (0.5 if n == 1 else 0)) for n in (1, 8, 16, 32, 64)]
    row = analyses()["finite-width"].table(*study_with(rates, error=1e-4)).row(0, named=True)
    assert row["from_width"] == 8
    assert row["limit"] == pytest.approx(-0.3, abs=1e-6)
    assert row["limit_low"] < -0.3 < row["limit_high"]
    assert row["freedoms"] == [49.0] * 5


def test_rates_that_no_curve_fits_have_a_limit_without_an_interval():
    jumps = dict(zip((4, 8, 16, 32, 64), (0.3, -0.2, 0.4, -0.3, 0.2), strict=True))
    table = analyses()["finite-width"].table(*study_with([({"width": n}, by) for n, by in jumps.items()], error=1e-4))
    row = table.row(0, named=True)
    assert row["p_value"] < 1e-6
    assert (row["limit_low"], row["limit_high"]) == (None, None)
    assert "fits the growth rates of 0 of 1 networks" in analyses()["finite-width"].found(table)[0]


def test_an_unbiased_random_walk_is_still_stable_at_t_with_the_exponent_one_half():
    rng = np.random.default_rng(2)
    horizons = [100, 1000, 10000]
    steps = np.diff(horizons, prepend=0)
    log_norm = np.cumsum(rng.standard_normal((40000, 3)) * np.sqrt(steps), axis=1)
    row = point_row("tanh", 16, "x", 10000, 40000)
    statistics = point_statistics(samples_of(log_norm, horizons, row["point"]), VANISH, EXPLODE)
    table = analyses()["decay"].table(pl.DataFrame([row]), statistics).filter(mode="at")
    last = table.filter(horizon=10000).row(0, named=True)
    assert last["low"] < 0.5 < last["high"]
    assert last["exponent"] == pytest.approx(0.5, abs=0.05)
    before = table.filter(horizon=1000).row(0, named=True)
    # P(|N(0, T)| < 6.9) at 100 and 1,000, by the normal law
    truth = math.log10(math.erf(6.9078 / math.sqrt(200)) / math.erf(6.9078 / math.sqrt(2000)))
    assert before["low"] < truth < before["high"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["at", "by"])
def test_the_exponent_of_shared_weight_draws_holds_and_one_from_rows_does_not(mode):
    """An exponential death at a rate of the weight draw's own, whose mean share falls as (1 + 0.02 T)^-2."""
    rng, horizons, draws, group = np.random.default_rng(12), [10, 100], 60, 8
    truth = 2 * math.log10((1 + 0.02 * 100) / (1 + 0.02 * 10))
    row, hits = point_row("tanh", 16, "x", 100, draws * group), {group: 0, 1: 0}
    for _ in range(150):
        rate = rng.gamma(2, 0.02, (draws, 1)).repeat(group, axis=0)
        death = rng.exponential(1 / rate)
        log_norm = np.where(np.array(horizons) < death, 0.0, -20.0)
        for together in hits:
            statistics = point_statistics(samples_of(log_norm, horizons, row["point"]), VANISH, EXPLODE, group=together)
            found = analyses()["decay"].table(pl.DataFrame([row]), statistics).filter(mode=mode).row(0, named=True)
            hits[together] += found["low"] <= truth <= found["high"]
    least = binom.ppf(5e-7, 150, 0.95)
    assert hits[group] >= least
    if mode == "by":  # at T each share takes half of the risk, which leaves room
        assert hits[1] < least


@pytest.mark.parametrize("mode", ["at", "by"])
def test_the_exponent_of_replicates_that_were_stopped_by_looking_is_as_uncertain_as_their_shares(mode):
    log_norm = np.where(np.array([10, 100]) < np.random.default_rng(3).exponential(90, (200, 1)), 0.0, -20.0)
    row, width = point_row("tanh", 16, "x", 100, 200), {}
    for kind in ("wilson", "confidence-sequence"):
        statistics = point_statistics(samples_of(log_norm, [10, 100], row["point"]), VANISH, EXPLODE, interval=kind)
        found = analyses()["decay"].table(pl.DataFrame([row]), statistics).filter(mode=mode).row(0, named=True)
        width[kind] = found["high"] - found["low"]
        assert found["low"] < found["exponent"] < found["high"]
    assert width["confidence-sequence"] > 1.1 * width["wilson"]


def test_an_exponential_has_an_exponent_that_grows_tenfold_in_a_decade_and_no_survivor_gives_infinity():
    rng = np.random.default_rng(4)
    horizons, total = [10, 100, 1000, 10000], 60000
    death = rng.exponential(400, total)
    log_norm = np.where(np.array(horizons) < death[:, None], 0.0, -20.0)
    row = point_row("tanh", 16, "x", 10000, total)
    statistics = point_statistics(samples_of(log_norm, horizons, row["point"]), VANISH, EXPLODE)
    table = analyses()["decay"].table(pl.DataFrame([row]), statistics).filter(mode="by")
    found = table.rows_by_key("horizon", named=True, unique=True)
    for horizon in (100, 1000):
        truth = 0.9 * horizon / 400 / math.log(10)
        assert found[horizon]["low"] < truth < found[horizon]["high"]
    assert found[10000]["exponent"] == found[10000]["high"] == math.inf
    assert math.isfinite(found[10000]["low"])


def test_the_lifetime_is_the_quantile_of_the_first_excursion_whichever_way():
    horizons = log_spaced(1000, 16)
    log_norm = walks(horizons, 400, -0.01, 0.5)
    row = point_row("tanh", 16, "x", 1000, 400)
    statistics = point_statistics(samples_of(log_norm, horizons, row["point"]), VANISH, EXPLODE)
    table = analyses()["lifetime"].table(pl.DataFrame([row]), statistics)
    outside = (log_norm < math.log(VANISH)) | (log_norm > math.log(EXPLODE))
    first = np.where(outside.any(axis=1), np.array(horizons)[outside.argmax(axis=1)], 10**9)
    for percent in (50, 99):
        found = table.filter(percent=percent).row(0, named=True)
        quantile = int(np.quantile(first, percent / 100, method="inverted_cdf"))
        assert found["by"] == (quantile if quantile < 10**9 else None)
        if found["by"] is not None and found["earliest"] is not None:
            assert found["earliest"] <= found["by"]
    down = log_norm[np.arange(400), outside.argmax(axis=1)] < 0
    assert table["vanished"][0] == pytest.approx(down[outside.any(axis=1)].mean())


def test_by_when_half_are_gone_is_said_by_a_step_that_was_looked_at():
    table = pl.DataFrame({"percent": [50.0, 50.0, 99.0], "by": [20, 200, 7]})
    (said,) = analyses()["lifetime"].found(table)
    assert said.startswith("At 2 of 2 design points")
    assert said.endswith("at half of these within 20 steps.")


def test_a_network_that_lasts_is_drawn_at_its_own_last_horizon():
    points = pl.DataFrame([point_row("tanh", 16, "x", 1000, 50), point_row("tanh", 64, "x", 10000, 50)])
    rows = [
        {"point": point, "percent": float(q), "after": None, "by": None, "earliest": 700 + q, "latest": None}
        for point in points["point"]
        for q in (50, 99)
    ]
    steps = dict.fromkeys(("after", "by", "earliest", "latest"), pl.Int64)
    summary = pl.DataFrame(rows, schema={"point": pl.String, "percent": pl.Float64} | steps)
    chart = lifetime.PICTURE.charts(summary.with_columns(vanished=pl.lit(None, pl.Float64)), points)["lifetime-tanh"]
    assert data_of(chart).select("width", "from", "to").rows() == [(16, 1000, 1000), (64, 10000, 10000)]
    bounds = data_of(chart).select("half_from", "half_to", "most_from", "half_text").rows()
    assert bounds == [
        (750, 1000, 799, "beyond 1,000 [750, beyond]"),
        (750, 10000, 799, "beyond 10,000 [750, beyond]"),
    ]


def test_a_map_takes_three_gains_and_three_fields():
    square = [({"gain": g, "field": f}, g - f) for g in (1.0, 2.0, 3.0) for f in (0.1, 0.5, 1.0)]
    table = analyses()["phase"].table(*study_with(square))
    assert table.select("gain", "field", "growth_rate").rows() == [
        (g, f, g - f) for g in (1, 2, 3) for f in (0.1, 0.5, 1)
    ]
    assert analyses()["phase"].table(*study_with(square[:6])).is_empty()


def test_gradients_grow_where_the_interval_says_so_and_where_it_holds_zero_that_is_open():
    square = [
        ({"gain": g, "field": f}, {1.0: -0.1, 2.0: 0.001, 3.0: 0.1}[g]) for g in (1.0, 2.0, 3.0) for f in (0.1, 1, 2)
    ]
    points, statistics = study_with(square)
    half = pl.lit(2e-3)
    statistics = statistics.with_columns(
        growth_rate_low=pl.col("growth_rate") - half, growth_rate_high=pl.col("growth_rate") + half
    )
    table = analyses()["phase"].table(points, statistics)
    assert analyses()["phase"].found(table) == [
        "Gradients surely grow at so many points of the maps: tanh 3 of 9 (3 open)."
    ]


def test_the_rectangles_of_a_map_reach_halfway_to_the_next_gain_of_the_same_field():
    gains = {0.1: (1.0, 2.0, 4.0), 0.5: (1.0, 2.0, 3.0), 1.0: (1.0, 2.0, 3.0)}
    summary = analyses()["phase"].table(
        *study_with([({"gain": g, "field": f}, g - f) for f in gains for g in gains[f]])
    )
    drawn = data_of(phase.PICTURE.charts(summary, summary)["phase-tanh"]).filter(field=0.1)
    assert drawn.select("gain", "from", "to").rows() == [(1, 0.5, 1.5), (2, 1.5, 3), (4, 3, 5)]


def test_tables_of_an_earlier_release_are_still_drawn():
    gains = [({"gain": gain}, 0.1 * math.log(gain / 1.7)) for gain in (1.0, 1.5, 2.0, 3.0)]
    widths = [({"width": n}, -0.3 + 1.5 / n) for n in (8, 16, 32, 64)]
    later = {
        "onset": ("turns", "median_onset", "median_low", "median_high"),
        "finite-width": ("freedoms", "limit_low", "limit_high", "curvature"),
    }
    for (name, columns), rates in zip(later.items(), (gains, widths), strict=True):
        points, statistics = study_with(rates)
        table = analyses()[name].table(points, statistics)
        for own in (table, table.drop(columns)):
            (chart,) = picture_of(name).charts(own, points).values()
            chart.to_dict(validate=True)
            assert data_of(chart).height == (1 if name == "onset" else 4)
            if name == "onset":
                assert analyses()[name].found(own) == analyses()[name].found(table)


def test_a_study_has_only_the_analyses_that_its_points_allow():
    points, statistics = study_with([({"gain": 1.0}, 0.1)])
    assert set(analysed(points, statistics)) == {"decay", "lifetime"}


def test_networks_with_as_many_inputs_as_units_are_one_set_over_their_widths_and_those_with_one_another():
    init = {"recurrent": {"gaussian": 1.0}, "input": {"gaussian": 1.0}}
    drives = [(4, {"white": 4}), (4, {"white": 1}), (8, {"white": 8}), (8, {"white": 1}), (8, {"white": 4})]
    said = [{"cell": "tanh", "width": width, "init": init, "drive": drive} for width, drive in drives]
    texts = [json.dumps(one) for one in said]
    rows = pl.DataFrame({"width": [one["width"] for one in said], "drive": labels_of(texts), "json": texts})
    found = [[(row["width"], row["drive"]) for row in group] for group in groups(rows, "width")]
    as_wide = [(4, "white, m = n"), (8, "white, m = n")]
    assert found == [as_wide, [(4, "white, m = 1"), (8, "white, m = 1")], [(8, "white, m = 4")]]
