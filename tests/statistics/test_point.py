"""Every statistic against a second route, written plainly in Python, NumPy or SciPy."""

import math
import time

import numpy as np
import polars as pl
import polars.selectors as selectors
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from synthetic import EXPLODE, VANISH, log_spaced, samples_of, walks

from rnnmc.statistics.point import BANDED, EVENTS, MODES, PERCENTS, joined, point_statistics, rectangle
from rnnmc.statistics.resampling import share_bands, share_intervals, shares

HORIZONS = [1, 3, 10, 30, 100, 1000]
INF = math.inf


def statistics(log_norm, horizons=None, **settings) -> pl.DataFrame:
    """Statistics of the spectral norm, one row a horizon."""
    horizons = horizons or HORIZONS[: np.shape(log_norm)[1]]
    table = point_statistics(samples_of(log_norm, horizons), VANISH, EXPLODE, **settings)
    return table.filter(pl.col("measure") == "log_spectral")


@pytest.fixture(scope="module")
def mixed() -> np.ndarray:
    """300 walks over six horizons with every outcome among them, dead and overflow included."""
    return walks(HORIZONS, 300, drift=-0.004, spread=0.3, death=3e-4, overflow=2e-4, seed=5)


@pytest.fixture(scope="module")
def mortal() -> np.ndarray:
    """300 walks over six horizons, many of which die and none overflows."""
    return walks(HORIZONS, 300, drift=-0.004, spread=0.3, death=3e-4, seed=5)


def kind(value: float) -> str:
    return "vanish" if value < math.log(VANISH) else "explode" if value > math.log(EXPLODE) else "stable"


def plain_counts(log_norm: np.ndarray) -> list[dict[str, int]]:
    """Counts of every event at and by every horizon, one replicate and one horizon at a time."""
    counts = [{f"{event}_{mode}": 0 for event in EVENTS for mode in MODES} for _ in log_norm[0]]
    for path in log_norm:
        first, dead, overflow = "stable", False, False
        for count, value in zip(counts, path, strict=True):
            now = kind(value)
            first = now if first == "stable" else first
            dead, overflow = dead or value == -INF, overflow or value == INF
            count[f"{now}_at"] += 1
            count[f"{first}_by"] += 1
            count["dead_at"] += value == -INF
            count["overflow_at"] += value == INF
            count["dead_by"] += dead
            count["overflow_by"] += overflow
    return counts


def test_counts_at_and_by_agree_with_walking_along_each_replicate(mixed):
    rows = statistics(mixed)
    for row, want in zip(rows.iter_rows(named=True), plain_counts(mixed), strict=True):
        assert {name: row[f"{name}_count"] for name in want} == want
    assert all(rows.select(pl.col("^.*_count$")).sum().row(0)), "the data lack an event"


@pytest.mark.slow
@given(
    st.lists(
        st.lists(st.sampled_from([-INF, -9.0, -6.9, 0.0, 6.9, 9.0, INF]), min_size=4, max_size=4),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=60, deadline=None)
def test_vanished_stable_and_exploded_always_sum_to_one(paths):
    rows = statistics(np.array(paths))
    for row, want in zip(rows.iter_rows(named=True), plain_counts(np.array(paths)), strict=True):
        assert {name: row[f"{name}_count"] for name in want} == want
        for mode in MODES:
            assert sum(row[f"p_{event}_{mode}"] for event in EVENTS[:3]) == pytest.approx(1, abs=1e-12)


def test_every_share_and_interval_comes_from_its_own_count(mixed):
    for interval, method in (("wilson", "wilson"), ("clopper-pearson", "exact")):
        for row in statistics(mixed, interval=interval, level=0.9).iter_rows(named=True):
            assert (row["interval"], row["level"]) == (interval, 0.9)
            for name in (f"{event}_{mode}" for event in EVENTS for mode in MODES):
                count = row[f"{name}_count"]
                ci = stats.binomtest(count, len(mixed)).proportion_ci(0.9, method=method)
                assert row[f"p_{name}"] == count / len(mixed)
                bounds = (row[f"p_{name}_low"], row[f"p_{name}_high"])
                assert bounds == pytest.approx((ci.low, ci.high), abs=1e-10)


def plain_flags(log_norm: np.ndarray) -> dict[str, np.ndarray]:
    """(replicates, horizons) of every event at and by every horizon, one replicate and one horizon at a time."""
    flags = {f"{event}_{mode}": np.zeros(log_norm.shape, dtype=bool) for event in EVENTS for mode in MODES}
    for r in range(len(log_norm)):
        for t in range(log_norm.shape[1]):
            until = [plain_counts(log_norm[r : r + 1, : t + 1])[-1]]
            for name, flag in flags.items():
                flag[r, t] = until[0][name]
    return flags


@pytest.mark.parametrize("group", [1, 4, 7])  # of 300 replicates: each its own, whole weight draws, the last cut off
@pytest.mark.parametrize("interval", ["wilson", "confidence-sequence"])
def test_intervals_and_bands_are_those_of_weight_draws_each_from_its_own_event(mixed, group, interval):
    rows = statistics(mixed, interval=interval, level=0.9, group=group)
    assert rows["weight_draws"].to_list() == [math.ceil(300 / group)] * len(HORIZONS)
    assert rows["weight_draws"].dtype == pl.Int64
    for name, flag in plain_flags(mixed).items():
        found = shares([flag], group)
        (low,), (high,) = share_intervals(found, (1 - 0.9) / 2, interval)
        np.testing.assert_array_equal(rows[f"p_{name}_low"], low)
        np.testing.assert_array_equal(rows[f"p_{name}_high"], high)
        assert (f"p_{name}_band_low" in rows.columns) == (name.split("_")[0] in BANDED)
        if name.split("_")[0] in BANDED:
            (low,), (high,) = share_bands(found, 0.9, interval)
            np.testing.assert_allclose(rows[f"p_{name}_band_low"], low, rtol=1e-6)
            np.testing.assert_allclose(rows[f"p_{name}_band_high"], high, rtol=1e-6)


def test_sharing_weight_draws_changes_errors_and_nothing_else(mixed):
    alone, shared = statistics(mixed), statistics(mixed, group=4)
    differ = {name for name in alone.columns if not alone[name].equals(shared[name])}
    assert differ <= {name for name in alone.columns if name.endswith(("_low", "_high", "_error"))} | {
        "weight_draws",
        "growth_rate_freedom",
    }
    assert {"p_vanish_by_low", "p_vanish_by_band_high", "weight_draws"} <= differ


def test_replicates_that_copy_their_weight_draw_have_the_errors_of_one(mortal):
    once, copied = statistics(mortal), statistics(mortal.repeat(5, axis=0), group=5)
    for name in once.select(selectors.starts_with("p_", "growth", "norm_growth") & selectors.numeric()).columns:
        np.testing.assert_allclose(copied[name].to_numpy(), once[name].to_numpy(), rtol=1e-5, atol=1e-12, err_msg=name)


def test_moments_agree_with_numpy_over_replicates_that_are_ok(mortal):
    rows = statistics(mortal)
    for column, row in zip(mortal.T, rows.iter_rows(named=True), strict=True):
        ok = column[np.isfinite(column)]
        assert row["ok_count"] == len(ok)
        assert row["mean"] == pytest.approx(np.mean(ok), rel=1e-12)
        assert row["deviation"] == pytest.approx(np.std(ok, ddof=1), rel=1e-12)


@pytest.mark.parametrize("replicates", [1, 2, 19, 20, 21, 140, 300])
def test_quantiles_are_numpys_inverted_cdf_infinities_included(mixed, replicates):
    rows = statistics(mixed[:replicates])
    for percent in PERCENTS:
        want = np.quantile(mixed[:replicates], percent / 100, axis=0, method="inverted_cdf")
        np.testing.assert_array_equal(rows[f"q{percent:02d}"].to_numpy(), want)


def test_growth_rate_is_the_mean_slope_over_the_last_decade_of_survivors(mortal):
    rows = statistics(mortal).rows_by_key("horizon", named=True, unique=True)
    for horizon, start in {10: 1, 30: 3, 100: 10, 1000: 100}.items():
        ends = mortal[:, HORIZONS.index(horizon)], mortal[:, HORIZONS.index(start)]
        with np.errstate(invalid="ignore"):  # inf - inf of those that are dropped on the next line
            slopes = (ends[0] - ends[1]) / (horizon - start)
        slopes = slopes[np.isfinite(ends[0])]
        assert rows[horizon]["growth_rate"] == pytest.approx(slopes.mean(), rel=1e-12)
        assert rows[horizon]["growth_rate_error"] == pytest.approx(stats.sem(slopes), rel=1e-12)
    assert rows[1]["growth_rate"] is None
    assert rows[3]["growth_rate_error"] is None


def test_growth_rate_of_a_nested_study_has_the_error_of_its_weight_draws():
    random = np.random.default_rng(2)
    steps = np.array(HORIZONS, dtype=float)
    own = random.normal(size=(50, 1)).repeat(6, axis=0)
    log_norm = (own + random.normal(size=(300, 1))) * steps
    last = statistics(log_norm, group=6).row(-1, named=True)
    slopes = (log_norm[:, -1] - log_norm[:, -2]) / 900
    assert last["growth_rate"] == pytest.approx(slopes.mean(), rel=1e-12)
    assert last["growth_rate_error"] == pytest.approx(stats.sem(slopes.reshape(50, 6).mean(axis=1)), rel=1e-12)
    assert last["growth_rate_error"] > 1.5 * stats.sem(slopes)  # what rows would say


def test_growth_rate_error_counts_the_survivors_of_each_weight_draw(mortal):
    row = statistics(mortal, group=7).row(-1, named=True)
    alive = np.isfinite(mortal[:, -1])
    slopes = np.where(alive, mortal[:, -1], 0) - np.where(alive, mortal[:, -2], 0)
    mean = slopes[alive].mean() / 900
    parts = [range(start, min(start + 7, 300)) for start in range(0, 300, 7)]
    sums = [sum(slopes[r] / 900 - mean for r in part if alive[r]) for part in parts if alive[list(part)].any()]
    error = math.sqrt(len(sums) / (len(sums) - 1) * sum(total**2 for total in sums)) / alive.sum()
    assert 0 < alive.sum() < 300
    assert row["growth_rate_error"] == pytest.approx(error, rel=1e-12)
    assert statistics(mortal, group=300)["growth_rate_error"].to_list() == [None] * len(HORIZONS)


def test_growth_rate_of_a_straight_line_forgets_its_transient():
    line = np.array([[5.0 - 0.25 * t if t >= 10 else 99.0 for t in HORIZONS]] * 3)
    last = statistics(line).row(-1, named=True)
    assert (last["growth_rate"], last["growth_rate_error"]) == pytest.approx((-0.25, 0), abs=1e-12)


def test_a_dead_relu_unit_counts_as_vanished_and_stays_out_of_means():
    row = statistics([[-INF], [-1.0], [-3.0], [2.0]]).row(0, named=True)
    assert (row["vanish_at_count"], row["dead_at_count"], row["dead_by_count"]) == (1, 1, 1)
    assert row["mean"] == pytest.approx(-2 / 3)
    assert row["q05"] == -INF


def test_an_overflow_counts_as_exploded_and_leaves_no_mean_to_report():
    row = statistics([[INF], [1.0], [3.0]]).row(0, named=True)
    assert (row["explode_at_count"], row["overflow_at_count"], row["dead_at_count"]) == (1, 1, 0)
    assert (row["mean"], row["deviation"], row["ok_count"]) == (None, None, 2)
    assert (row["q05"], row["q50"], row["q95"]) == (1.0, 3.0, INF)


def test_a_rate_of_the_slow_ones_is_never_passed_off_as_that_of_all():
    # A growing ReLU in float32: its state leaves the range at e^88, the faster a replicate the sooner.
    steps = np.array(HORIZONS)
    true = np.random.default_rng(1).normal(0.32, 0.2, size=(400, 1)) * steps
    seen = np.where(true > 88.7, INF, true)
    assert np.isfinite(seen[:, -1]).any()
    for row, column in zip(statistics(seen).iter_rows(named=True), seen.T, strict=True):
        overflowed = np.isinf(column).any()
        assert row["ok_count"] == np.isfinite(column).sum()
        assert (row["mean"] is None) == (row["deviation"] is None) == overflowed
        if overflowed or row["horizon"] < 10:
            assert (row["growth_rate"], row["growth_rate_error"]) == (None, None)
        else:
            assert row["growth_rate"] == pytest.approx(0.32, abs=4 * row["growth_rate_error"])


def test_what_an_overflow_hides_stays_hidden_at_later_horizons():
    rows = statistics([[0.0, 0.0, INF, 5.0], [0.0, 1.0, 2.0, 3.0]])
    assert rows["mean"].to_list() == [0.0, 0.5, None, None]
    assert rows["growth_rate"].to_list() == [None] * 4


def test_a_norm_that_comes_back_is_stable_at_the_end_but_has_vanished_by_then():
    last = statistics([[0.0, -8.0, 8.0, 0.0]]).row(-1, named=True)
    assert (last["stable_at_count"], last["stable_by_count"]) == (1, 0)
    assert (last["vanish_by_count"], last["explode_by_count"]) == (1, 0)


def test_a_norm_exactly_on_a_threshold_is_stable():
    row = statistics([[math.log(VANISH)], [math.log(EXPLODE)]]).row(0, named=True)
    assert row["stable_at_count"] == 2


@pytest.mark.parametrize("log_norm", [[[0.5]], [[-INF]], [[INF, INF]], [[-INF, INF, 0.0], [1.0, INF, -INF]]])
def test_nothing_is_ever_nan_and_what_is_undefined_is_null(log_norm):
    rows = point_statistics(samples_of(log_norm, HORIZONS[: len(log_norm[0])]), VANISH, EXPLODE)
    assert not rows.select(pl.col(pl.Float64).is_nan().any()).transpose().to_series().any()
    if len(log_norm) == 1:
        assert rows["deviation"].is_null().all()
        assert rows["growth_rate_error"].is_null().all()
    if log_norm == [[-INF]]:
        assert rows["mean"].is_null().all()


def test_both_measures_come_out_and_are_not_mixed_up():
    rows = point_statistics(samples_of([[-6.8, 0.0]], [1, 10], rms_offset=-0.5), VANISH, EXPLODE)
    assert rows.select("horizon", "measure").rows() == [
        (1, "log_spectral"),
        (1, "log_rms"),
        (10, "log_spectral"),
        (10, "log_rms"),
    ]
    assert rows["mean"].to_list() == pytest.approx([-6.8, -7.3, 0.0, -0.5])
    assert rows["vanish_at_count"].to_list() == [0, 1, 0, 0]
    assert rows["vanish_by_count"].to_list() == [0, 1, 0, 1]


def test_the_order_of_the_rows_changes_nothing(mixed):
    samples = samples_of(mixed, HORIZONS)
    shuffled = samples.sample(fraction=1, shuffle=True, seed=3)
    # Two rows of the last horizon swapped: every row still stands where its horizon should.
    order = list(range(samples.height))
    order[len(HORIZONS) - 1], order[2 * len(HORIZONS) - 1] = order[2 * len(HORIZONS) - 1], order[len(HORIZONS) - 1]
    for other in (shuffled, samples.sort("horizon"), samples[order]):
        assert point_statistics(other, VANISH, EXPLODE).equals(point_statistics(samples, VANISH, EXPLODE))


def test_blocks_joined_are_the_samples_as_a_whole(mixed):
    samples = samples_of(mixed, HORIZONS)
    blocks = samples.partition_by("block", maintain_order=True)
    assert len(blocks) > 3
    whole = joined((rectangle(block) for block in blocks), len(mixed))
    for group in (1, 4):
        wanted = point_statistics(samples, VANISH, EXPLODE, group=group)
        assert point_statistics(whole, VANISH, EXPLODE, group=group).equals(wanted)
    with pytest.raises(ValueError, match="0123456789ab: its blocks are of other points or horizons"):
        joined([rectangle(blocks[0]), rectangle(samples_of(mixed[:, :3], HORIZONS[:3]))], 400)
    with pytest.raises(ValueError, match="64 of 65 replicates are there"):
        joined([rectangle(blocks[0])], 65)


def test_float32_log_norms_and_text_columns_are_as_good(mixed):
    samples = samples_of(mixed.astype(np.float32), HORIZONS)
    plain = samples.with_columns(
        pl.col("log_spectral", "log_rms").cast(pl.Float32), pl.col("point", "status").cast(pl.String)
    )
    exact = point_statistics(samples, VANISH, EXPLODE).filter(pl.col("measure") == "log_spectral")
    assert point_statistics(plain, VANISH, EXPLODE).filter(pl.col("measure") == "log_spectral").equals(exact)


def damage(samples: pl.DataFrame, fault: str) -> pl.DataFrame:
    """The samples with one planted mistake."""
    second = pl.col("block") == 1
    return {
        "a row missing": lambda: samples.slice(1),
        "a block cut off at a horizon": lambda: samples.filter(~(second & (pl.col("horizon") == 1000))),
        "a replicate at other horizons": lambda: samples.with_columns(
            pl.when(second & (pl.col("replicate") == 0) & (pl.col("horizon") == 1000))
            .then(999)
            .otherwise(pl.col("horizon"))
            .alias("horizon")
        ),
        "a block there twice": lambda: pl.concat([samples, samples.filter(second)]),
        "a NaN": lambda: samples.with_columns(log_rms=pl.when(second).then(math.nan).otherwise("log_rms")),
        "a null": lambda: samples.with_columns(log_rms=pl.when(second).then(None).otherwise("log_rms")),
        "ok with -inf": lambda: samples.with_columns(log_spectral=pl.when(second).then(-INF).otherwise("log_spectral")),
        "dead with a number": lambda: samples.with_columns(status=pl.lit("dead")),
        "no status": lambda: samples.with_columns(status=pl.lit(None, dtype=pl.String)),
        "two points": lambda: pl.concat([samples, samples.with_columns(point=pl.lit("ba9876543210"))]),
    }[fault]()


@pytest.mark.parametrize(
    "fault",
    [
        "a row missing",
        "a block cut off at a horizon",
        "a replicate at other horizons",
        "a block there twice",
        "a NaN",
        "a null",
        "ok with -inf",
        "dead with a number",
        "no status",
        "two points",
    ],
)
def test_damaged_samples_are_refused_by_the_name_of_their_point(fault):
    samples = samples_of(np.zeros((200, len(HORIZONS))), HORIZONS).with_columns(pl.col("point").cast(pl.String))
    assert point_statistics(samples, VANISH, EXPLODE).height == 2 * len(HORIZONS)
    with pytest.raises(ValueError, match="0123456789ab"):
        point_statistics(damage(samples, fault), VANISH, EXPLODE)


def test_no_samples_and_thresholds_that_exclude_each_other_are_refused():
    samples = samples_of([[0.0]], [1])
    with pytest.raises(ValueError, match="no samples"):
        point_statistics(samples.clear(), VANISH, EXPLODE)
    for vanish, explode in ((1.0, 1.0), (0.0, 1.0), (2.0, 1.0), (1e-3, INF), (math.nan, 1.0)):
        with pytest.raises(ValueError, match="thresholds"):
            point_statistics(samples, vanish, explode)


def test_an_unknown_interval_or_level_is_refused_before_any_look_at_the_samples():
    nothing = samples_of([[0.0]], [1]).clear()
    with pytest.raises(ValueError, match="wald"):
        point_statistics(nothing, VANISH, EXPLODE, interval="wald")
    with pytest.raises(ValueError, match="level"):
        point_statistics(nothing, VANISH, EXPLODE, level=95)
    with pytest.raises(ValueError, match="group: 0"):
        point_statistics(nothing, VANISH, EXPLODE, group=0)


def test_ten_thousand_replicates_take_a_fraction_of_a_second():
    horizons = log_spaced(1000)
    samples = samples_of(walks(horizons, 10_000, -0.01, 0.2, death=1e-4), horizons)
    point_statistics(samples, VANISH, EXPLODE)
    best = math.inf  # of processor time, for others may be at work on this machine
    for _ in range(3):
        start = time.process_time()
        point_statistics(samples, VANISH, EXPLODE)
        best = min(best, time.process_time() - start)
    assert best < 0.3, f"{best:.2f} s"


@pytest.mark.parametrize("group", [1, 5])
def test_the_error_of_a_deviation_is_that_of_leaving_out_one_weight_draw_at_a_time(group):
    draws = 400
    own = np.random.default_rng(6).gamma(2.0, size=(draws, 1))
    log_norm = (own + 0.5 * np.random.default_rng(7).standard_normal((draws, group))).reshape(-1, 1)
    row = point_statistics(samples_of(log_norm, [10]), VANISH, EXPLODE, group=group).row(0, named=True)
    values = log_norm.reshape(draws, group)
    left = np.array([np.delete(values, i, axis=0).std(ddof=1) for i in range(draws)])
    jackknife = math.sqrt((draws - 1) / draws * ((left - left.mean()) ** 2).sum())
    assert row["deviation_error"] == pytest.approx(jackknife, rel=0.03)


def test_a_deviation_of_equal_norms_or_of_fewer_than_three_replicates_has_no_error():
    for log_norm in (np.zeros((5, 1)), np.ones((1, 1)), np.array([[1.0], [4.0]])):
        assert point_statistics(samples_of(log_norm, [10]), VANISH, EXPLODE)["deviation_error"].to_list() == [
            None,
            None,
        ]
