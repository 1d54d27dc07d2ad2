"""The split of variance against a nested analysis of variance in plain loops, SciPy, known truths and its coverage.

Each simulation alarms falsely with probability 1e-6: Gaussian or binomial bounds, as said at each.
"""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats
from synthetic import samples_of

from rnnmc.statistics.resampling import SEED
from rnnmc.statistics.variance_split import RESAMPLES, VARIANCE_SOURCES, variance_split

FALSE_ALARM = 1e-6
INF = math.inf


def nested(draws: int, drives: int, states: int, horizons: int, sigmas=(1.0, 0.7, 0.5), seed=0, weights="normal"):
    """(replicates, horizons) log-norms: sums of effects of weights, drive and state with these deviations."""
    random = np.random.default_rng(seed)
    effect = {
        "normal": lambda: random.normal(size=(draws, 1, 1, horizons)),
        "exponential": lambda: random.exponential(size=(draws, 1, 1, horizons)) - 1,
    }[weights]()
    drive = random.normal(size=(draws, drives, 1, horizons))
    state = random.normal(size=(draws, drives, states, horizons))
    return (sigmas[0] * effect + sigmas[1] * drive + sigmas[2] * state).reshape(-1, horizons)


def split(log_norm, drives: int, states: int, **wanted) -> pl.DataFrame:
    """The split of the spectral norm at horizons 1, 2, 3, ..."""
    samples = samples_of(log_norm, range(1, np.shape(log_norm)[1] + 1))
    return variance_split(samples, drives, states, **wanted).filter(pl.col("measure") == "log_spectral")


def of(rows: pl.DataFrame, source: str, column: str) -> np.ndarray:
    return rows.filter(pl.col("source") == source)[column].to_numpy()


def plain_components(values: np.ndarray) -> list[float]:
    """Components from the sums of squares of one horizon; values: (draws, drives, states)."""
    draws, drives, states = values.shape
    squares = [0.0, 0.0, 0.0]
    for one in values:
        for drive in one:
            squares[2] += sum((value - drive.mean()) ** 2 for value in drive)
            squares[1] += states * (drive.mean() - one.mean()) ** 2
        squares[0] += drives * states * (one.mean() - values.mean()) ** 2
    assert sum(squares) == pytest.approx(((values - values.mean()) ** 2).sum())
    state = squares[2] / (draws * drives * (states - 1))
    drive = squares[1] / (draws * (drives - 1))
    weights = squares[0] / (draws - 1)
    return [(weights - drive) / (drives * states), (drive - state) / states, state]


@pytest.mark.parametrize(("draws", "drives", "states"), [(2, 2, 2), (5, 3, 4), (40, 2, 3)])
def test_components_are_those_of_the_mean_squares(draws, drives, states):
    log_norm = nested(draws, drives, states, 4, seed=draws) + 1000
    rows = split(log_norm, drives, states)
    assert rows["source"].to_list() == list(VARIANCE_SOURCES) * 4
    for j in range(4):
        want = plain_components(log_norm[:, j].reshape(draws, drives, states))
        got = rows.filter(pl.col("horizon") == j + 1)
        assert got["component"].to_list() == pytest.approx(want, rel=1e-9, abs=1e-9)
        positive = [max(component, 0) for component in want]
        assert got["share"].to_list() == pytest.approx([p / sum(positive) for p in positive], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("drives", "states", "within"), [(4, 1, "drive"), (1, 4, "state")])
def test_with_one_level_it_is_scipys_one_way_analysis_and_what_varies_together_is_null(drives, states, within):
    log_norm = nested(30, drives, states, 3, seed=4)
    rows = split(log_norm, drives, states)
    for j in range(3):
        found = stats.f_oneway(*log_norm[:, j].reshape(30, 4)).statistic
        ratio = of(rows, "weights", "component")[j] / of(rows, within, "component")[j]
        assert ratio == pytest.approx((found - 1) / 4, rel=1e-9)
        assert of(rows, within, "component")[j] == pytest.approx(
            log_norm[:, j].reshape(30, 4).var(axis=1, ddof=1).mean()
        )
    together = rows.filter(~pl.col("source").is_in(["weights", within]))
    assert together.select("component", "share", "share_low", "share_high").null_count().row(0) == (3, 3, 3, 3)
    kept = rows.filter(pl.col("source").is_in(["weights", within]))
    assert kept.group_by("horizon").agg(pl.col("share").sum())["share"].to_list() == pytest.approx([1, 1, 1])


def test_components_and_shares_of_a_gaussian_model_are_the_known_ones():
    draws, drives, states, horizons, sigmas = 500, 3, 2, 60, (0.8, 0.5, 0.3)
    rows = split(nested(draws, drives, states, horizons, sigmas, seed=1), drives, states)
    state, drive, weights = (sigma**2 for sigma in reversed(sigmas))
    mean_squares = [state, state + 2 * drive, state + 2 * drive + 6 * weights]
    degrees = [draws * drives * (states - 1), draws * (drives - 1), draws - 1]
    variances = [2 * square**2 / degree for square, degree in zip(mean_squares, degrees, strict=True)]
    errors = [(variances[2] + variances[1]) / 36, (variances[1] + variances[0]) / 4, variances[0]]
    sigmas_away = stats.norm.isf(FALSE_ALARM / 2)
    for source, truth, error in zip(VARIANCE_SOURCES, (weights, drive, state), errors, strict=True):
        # The horizons are independent here: the mean over them is Gaussian, with the error of mean squares.
        assert of(rows, source, "component").mean() == pytest.approx(
            truth, abs=sigmas_away * math.sqrt(error / horizons)
        )


def test_a_component_that_is_not_there_is_negative_at_times_and_its_share_never():
    rows = split(nested(30, 2, 2, 60, (1.0, 0.0, 1.0), seed=2), 2, 2)
    component, share = of(rows, "drive", "component"), of(rows, "drive", "share")
    assert 10 < np.count_nonzero(component < 0) < 50
    assert (share[component < 0] == 0).all()
    assert rows["share"].min() == 0
    shares = rows.group_by("horizon").agg(pl.col("share").sum())["share"]
    np.testing.assert_allclose(shares, 1, rtol=1e-12)
    assert (rows["share_low"] <= rows["share"]).all()
    assert (rows["share"] <= rows["share_high"]).all()
    assert rows["share_low"].min() >= 0
    assert rows["share_high"].max() <= 1


def plain_ratio(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unclipped shares of one horizon, and their errors from the influence of each weight draw on them."""
    draws, drives, states = values.shape
    means = values.mean(axis=(1, 2))
    mean_squares = np.array(
        [
            drives * states * (means - means.mean()) ** 2 * draws / (draws - 1),
            states * values.mean(axis=2).var(axis=1, ddof=1),
            values.var(axis=2, ddof=1).mean(axis=1),
        ]
    )
    parts = np.array([[1, -1, 0], [0, drives, -drives], [0, 0, drives * states]]) @ mean_squares / (drives * states)
    components = parts.mean(axis=1)
    ratio = components / components.sum()
    influence = (parts - components[:, np.newaxis]) - ratio[:, np.newaxis] * (parts - components[:, np.newaxis]).sum(
        axis=0
    )
    return ratio, np.sqrt((influence**2).sum(axis=1)) / components.sum() / draws


def test_the_interval_is_a_bootstrap_t_over_weight_draws_as_plainly_written():
    draws, drives, states, level = 12, 2, 3, 0.9
    log_norm = nested(draws, drives, states, 1, seed=5)
    values = log_norm.reshape(draws, drives, states)
    ratio, error = plain_ratio(values)
    picks = np.random.default_rng(SEED).integers(draws, size=(RESAMPLES, draws))
    again = [plain_ratio(values[picked]) for picked in picks]
    studentised = np.sort([(other - ratio) / spread for other, spread in again], axis=0)
    rows = split(log_norm, drives, states, level=level)
    assert rows["share"].to_list() == pytest.approx(ratio.tolist(), rel=1e-9)
    # 5 % of 2,000 are 100, or 99 in floating point; the 100 to leave at each end are 0 ... 99 and 1900 ... 1999.
    low = np.clip(ratio - studentised[-1 - int(RESAMPLES * (1 - level) / 2)] * error, 0, 1)
    high = np.clip(ratio - studentised[int(RESAMPLES * (1 - level) / 2)] * error, 0, 1)
    assert rows["share_low"].to_list() == pytest.approx(low.tolist(), abs=1e-7)
    assert rows["share_high"].to_list() == pytest.approx(high.tolist(), abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["normal", "exponential"])
@pytest.mark.parametrize("sigmas", [(1.0, 0.7, 0.5), (0.3, 0.5, 1.0)])
@pytest.mark.parametrize(("drives", "states"), [(2, 2), (4, 1)])
def test_the_interval_covers_the_true_share(weights, sigmas, drives, states):
    # Each horizon is a study of its own. They share the picks, which moves the coverage by less than its error.
    draws, studies = 200, 400
    rows = split(nested(draws, drives, states, studies, sigmas, seed=6, weights=weights), drives, states)
    truth = dict(zip(VARIANCE_SOURCES, np.array(sigmas) ** 2 / np.sum(np.array(sigmas) ** 2), strict=True))
    if states == 1:
        truth = {"weights": truth["weights"], "drive": truth["drive"] + truth["state"]}
    # A skewed effect of the weights costs about one per cent with 200 weight draws.
    least = stats.binom.ppf(FALSE_ALARM, studies, 0.95 if weights == "normal" else 0.94)
    for source, share in truth.items():
        low, high = of(rows, source, "share_low"), of(rows, source, "share_high")
        covered = np.count_nonzero((low <= share) & (share <= high))
        assert covered >= least, (source, covered / studies)


def test_a_dead_or_overflown_replicate_leaves_its_horizons_without_a_split_and_is_counted():
    log_norm = nested(20, 2, 2, 4, seed=8)
    log_norm[5, 1:] = -INF
    log_norm[17, 2:3] = INF
    rows, whole = split(log_norm, 2, 2), split(np.delete(log_norm, [1, 2, 3], axis=1), 2, 2)
    assert rows["finite"].to_list() == [80] * 3 + [79] * 3 + [78] * 3 + [79] * 3
    assert rows.head(3).drop("finite").equals(whole.drop("finite"))
    lost = rows.tail(9)
    assert lost.select("component", "share", "share_low", "share_high").null_count().row(0) == (9, 9, 9, 9)
    nothing = split(np.full((8, 2), -INF), 2, 2)
    assert nothing["component"].null_count() == 6
    assert nothing["finite"].to_list() == [0] * 6


def test_a_cut_off_weight_draw_is_left_out():
    log_norm = nested(20, 2, 3, 3, seed=9)
    rows = split(np.concatenate([log_norm, log_norm[:5] + 50]), 2, 3)
    assert rows.equals(split(log_norm, 2, 3))
    assert set(rows.select("weight_draws", "replicates", "finite").rows()) == {(20, 120, 120)}


def test_what_nothing_is_known_of_is_null_and_never_nan():
    lone = split(nested(1, 2, 2, 2, seed=10), 2, 2)
    assert of(lone, "weights", "component").tolist() == pytest.approx([math.nan] * 2, nan_ok=True)
    assert lone.filter(pl.col("source") != "weights")["component"].null_count() == 0
    assert lone["share"].null_count() == lone["share_low"].null_count() == lone["share_high"].null_count() == 6
    constant = split(np.ones((12, 2)), 2, 2)
    assert constant["component"].to_list() == [0.0] * 6
    assert constant["share"].null_count() == constant["share_low"].null_count() == 6
    for rows in (lone, constant, split(nested(2, 2, 1, 2, seed=11), 2, 1), split(nested(2, 2, 2, 2, seed=1), 2, 2)):
        assert not rows.select(pl.col(pl.Float64).is_nan().any()).transpose().to_series().any()


def test_what_comes_from_the_weights_alone_is_theirs_for_certain():
    rows = split(nested(20, 2, 2, 2, (1.0, 0.0, 0.0), seed=12), 2, 2)
    for source, share in (("weights", 1), ("drive", 0), ("state", 0)):
        for column in ("share", "share_low", "share_high"):
            assert of(rows, source, column) == pytest.approx([share] * 2, abs=1e-12)


def test_both_measures_come_out_with_their_columns():
    table = variance_split(samples_of(nested(3, 2, 2, 2), [1, 10]), 2, 2)
    assert table.columns == [
        "point", "horizon", "measure", "source", "component", "share", "share_low", "share_high",
        "weight_draws", "replicates", "finite",
    ]  # fmt: skip
    assert table.select("horizon", "measure", "source").rows() == [
        (horizon, measure, source)
        for horizon in (1, 10)
        for measure in ("log_spectral", "log_rms")
        for source in VARIANCE_SOURCES
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 1), "2 drives"),
        ((0, 4), "2 drives"),
        ((2, -1), "2 drives"),
        ((8, 2), "at least 16 replicates"),
        ((2, 2, 1.5), "level"),
    ],
)
def test_what_cannot_be_split_is_refused_with_what_would_be_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        variance_split(samples_of(np.zeros((12, 1)), [1]), *arguments)
