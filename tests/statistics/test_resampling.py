"""Errors from weight draws against plain loops and SciPy, and by how often intervals and whole bands cover the truth.

Each simulation passes wrongly or alarms falsely with probability 1e-6, by the binomial law of its number of studies.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats
from synthetic import VANISH, log_spaced, walks

from rnnmc.statistics.intervals import binomial_interval, effective_interval
from rnnmc.statistics.resampling import (
    DRAWS,
    SEED,
    effective_number,
    share_bands,
    share_intervals,
    shares,
    simultaneous_tail,
    sums_by_draw,
)

KINDS = ("wilson", "jeffreys", "clopper-pearson", "confidence-sequence")
FALSE_ALARM = 1e-6
HORIZONS = log_spaced(1000)


def nested_flags(draws: int, group: int, seed: int, cut: int = 0) -> np.ndarray:
    """(replicates, 5) events that are likelier in some weight draws than in others and stay once they are there."""
    random = np.random.default_rng(seed)
    level = random.normal(size=(draws, 1)).repeat(group, axis=0) + random.normal(size=(draws * group, 1))
    return (level > np.array([2.0, 1.0, 0.0, -0.5, -2.5]))[: draws * group - cut]


def plain_number(flags: np.ndarray, group: int, tail: float) -> list[float]:
    """Effective number of replicates at each horizon, weight draw by weight draw."""
    replicates = len(flags)
    parts = [flags[start : start + group] for start in range(0, replicates, group)]
    numbers = []
    for j in range(flags.shape[1]):
        share = flags[:, j].mean()
        deviation = np.array([part[:, j].sum() - share * len(part) for part in parts])
        variance = len(parts) / (len(parts) - 1) * np.sum(deviation**2) / replicates**2
        if variance < 1e-20:
            numbers.append(len(parts))
            continue
        deff = variance / (share * (1 - share) / (replicates - 1))
        kurtosis = stats.kurtosis(deviation, fisher=False) if group * len(parts) == replicates else None
        if kurtosis is None:  # about zero, which here is not quite the mean
            kurtosis = np.mean(deviation**4) / np.mean(deviation**2) ** 2
        freedom = min(len(parts) - 1, 2 * len(parts) / max(kurtosis - 1, 1e-9))
        student = stats.t.ppf(tail, replicates - 1) / stats.t.ppf(tail, freedom)
        numbers.append(min(max(replicates / deff * student**2, len(parts)), replicates))
    return numbers


@pytest.mark.parametrize(("draws", "group", "cut"), [(40, 5, 0), (40, 5, 3), (300, 2, 1), (7, 30, 0), (2, 4, 0)])
def test_the_effective_number_of_replicates_agrees_with_a_walk_over_weight_draws(draws, group, cut):
    flags = nested_flags(draws, group, seed=draws, cut=cut)
    found = shares([flags, ~flags], group)
    assert found.weight_draws == draws
    for tail in (0.025, 0.005):
        want = plain_number(flags, group, tail)
        np.testing.assert_allclose(effective_number(found, tail, "wilson"), [want, want], rtol=1e-9)


def test_the_covariance_is_that_of_the_means_of_weight_draws():
    flags = nested_flags(60, 4, seed=2)
    means = flags.reshape(60, 4, -1).mean(axis=1)
    found = shares([flags], 4)
    np.testing.assert_allclose(found.covariance[0], np.cov(means, rowvar=False) / 60, rtol=1e-10, atol=1e-15)
    alone = shares([flags])
    np.testing.assert_allclose(alone.covariance[0], np.cov(flags, rowvar=False) / 240, rtol=1e-10, atol=1e-15)


def test_sums_by_draw_take_a_cut_off_weight_draw_as_it_is():
    values = np.arange(14.0).reshape(7, 2)
    assert sums_by_draw(values, 3).tolist() == [[6.0, 9.0], [24.0, 27.0], [12.0, 13.0]]
    np.testing.assert_array_equal(sums_by_draw(values, 1), values)


@pytest.mark.parametrize("kind", KINDS)
def test_with_one_replicate_a_weight_draw_an_interval_is_the_binomial_one_to_the_last_bit(kind):
    flags = nested_flags(150, 1, seed=4)
    low, high = share_intervals(shares([flags]), (1 - 0.9) / 2, kind)
    want_low, want_high = binomial_interval(flags.sum(axis=0), 150, 0.9, kind)
    np.testing.assert_array_equal(low[0], want_low)
    np.testing.assert_array_equal(high[0], want_high)


@pytest.mark.parametrize("kind", KINDS)
def test_replicates_that_copy_each_other_say_no_more_than_one_of_them(kind):
    flags = nested_flags(150, 1, seed=4)
    once, copied = shares([flags]), shares([flags.repeat(6, axis=0)], 6)
    np.testing.assert_allclose(
        share_intervals(copied, 0.025, kind), share_intervals(once, 0.025, kind), rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(share_bands(copied, 0.95, kind), share_bands(once, 0.95, kind), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_where_all_or_none_have_the_event_a_weight_draw_counts_once(kind):
    flags = np.repeat([[False, True]], 120, axis=0)
    low, high = share_intervals(shares([flags], 6), 0.025, kind)
    want_low, want_high = binomial_interval([0, 20], 20, 0.95, kind)
    np.testing.assert_allclose(low[0], want_low, rtol=1e-13)
    np.testing.assert_allclose(high[0], want_high, rtol=1e-13)


def test_weight_draws_that_happen_to_be_alike_multiply_nothing():
    opposite = np.tile([[True], [False], [True], [True]], (30, 1))  # each weight draw 1 of 2 or both
    assert effective_number(shares([opposite], 4), 0.025, "wilson") == 30
    assert effective_number(shares([opposite], 2), 0.025, "wilson") <= 120


@pytest.mark.slow
@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=24), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_a_band_holds_the_interval_and_that_the_share_whatever_the_data(rows, group):
    flags = np.array(rows)
    found = shares([flags, ~flags], group)
    share = found.count / found.replicates
    for kind in KINDS:
        low, high = share_intervals(found, 0.025, kind)
        band_low, band_high = share_bands(found, 0.95, kind)
        assert ((band_low >= 0) & (band_high <= 1)).all()
        assert ((low <= share + 1e-15) & (share <= high + 1e-15)).all()
        assert ((band_low <= low + 1e-15) & (high <= band_high + 1e-15)).all()


def critical(covariance: np.ndarray, level: float = 0.95) -> float:
    return -stats.norm.ppf(simultaneous_tail(covariance, (1 - level) / 2))


def rounding_of_draws(level: float, others: float = math.inf) -> float:
    """How far the chance behind a quantile of `DRAWS` draws, or from `others` more, may be off."""
    return -stats.norm.ppf(FALSE_ALARM / 2) * math.sqrt(level * (1 - level) * (1 / DRAWS + 1 / others))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_the_critical_value_of_independent_horizons_is_sidaks_and_of_equal_ones_the_pointwise_one(level):
    chance = (1 - 2 * stats.norm.sf(critical(np.eye(12), level))) ** 12
    assert chance == pytest.approx(level, abs=rounding_of_draws(level))
    assert critical(np.ones((12, 12)), level) >= stats.norm.isf((1 - level) / 2) - 1e-12
    alike = 1 - 2 * stats.norm.sf(critical(np.ones((12, 12)), level))
    assert alike == pytest.approx(level, abs=rounding_of_draws(level))


def test_the_critical_value_keeps_the_level_of_a_correlated_gaussian():
    covariance = np.minimum.outer([1.0, 3.0, 10.0], [1.0, 3.0, 10.0]) * np.outer([1, -2, 5], [1, -2, 5])
    limit = critical(covariance) * np.sqrt(covariance.diagonal())
    chance = stats.multivariate_normal(np.zeros(3), covariance).cdf(limit, lower_limit=-limit)
    assert chance == pytest.approx(0.95, abs=rounding_of_draws(0.95) + 1e-4)  # SciPy's integral errs by up to 1e-4


def test_the_critical_value_is_that_of_the_multiplier_bootstrap_over_weight_draws():
    flags = nested_flags(80, 4, seed=9)
    sums = flags.reshape(80, 4, -1).sum(axis=1) - 4 * flags.mean(axis=0)
    multipliers = np.random.default_rng(1).normal(size=(40_000, 80))
    largest = (np.abs(multipliers @ sums) / np.sqrt((sums**2).sum(axis=0))).max(axis=1)
    beyond = np.mean(largest <= critical(shares([flags], 4).covariance[0]))
    assert beyond == pytest.approx(0.95, abs=rounding_of_draws(0.95, 40_000))


def test_a_band_agrees_with_scipys_matrix_root_and_binomial_intervals_at_the_critical_value():
    flags = nested_flags(200, 1, seed=6)
    normals = np.random.default_rng(SEED).standard_normal((5, DRAWS), dtype=np.float32)
    largest = np.abs(np.real(linalg.sqrtm(np.corrcoef(flags, rowvar=False))) @ normals).max(axis=0)
    level = 1 - 2 * stats.norm.sf(np.quantile(largest, 0.95, method="inverted_cdf"))
    low, high = share_bands(shares([flags]), 0.95, "wilson")
    for j, count in enumerate(flags.sum(axis=0)):
        both = [stats.binomtest(int(count), 200).proportion_ci(level, method) for method in ("wilson", "exact")]
        # The draws are in single precision.
        assert low[0, j] == pytest.approx(min(ci.low for ci in both), abs=1e-6)
        assert high[0, j] == pytest.approx(max(ci.high for ci in both), abs=1e-6)


def test_constant_horizons_are_left_out_and_with_nothing_else_the_band_is_bonferronis():
    covariance = np.zeros((5, 5))
    assert simultaneous_tail(covariance, 0.025) == 0.025 / 5
    covariance[2, 2] = 0.1
    assert simultaneous_tail(covariance, 0.025) == 0.025
    covariance[4, 4] = 0.3
    assert critical(covariance) == critical(np.eye(2))


def test_a_level_that_the_draws_cannot_resolve_is_bonferronis_and_a_stop_by_looking_always():
    assert simultaneous_tail(np.eye(5), 1e-5) == 1e-5 / 5
    found = shares([nested_flags(50, 1, seed=1)])
    np.testing.assert_array_equal(
        share_bands(found, 0.95, "confidence-sequence"), share_intervals(found, 0.005, "confidence-sequence")
    )


def least(studies: int, level: float = 0.95) -> int:
    """Studies that must be covered, at this rate of false alarms."""
    return int(stats.binom.ppf(FALSE_ALARM, studies, level))


def vanished(log_norm: np.ndarray) -> list[np.ndarray]:
    below = log_norm < math.log(VANISH)
    return [below, np.logical_or.accumulate(below, axis=1)]


def covers(bounds: tuple[np.ndarray, np.ndarray], truth: np.ndarray) -> np.ndarray:
    """(at, by): whether a whole curve lies within its bounds."""
    return ((bounds[0] <= truth) & (truth <= bounds[1])).all(axis=1)


STUDIES = 1200


@pytest.mark.slow
def test_a_band_holds_whole_curves_as_often_as_it_says_and_pointwise_intervals_do_not():
    spread, drift = 0.2, -0.01
    steps = np.array(HORIZONS, dtype=float)
    at = stats.norm.cdf((math.log(VANISH) - drift * steps) / (spread * np.sqrt(steps + (0.1 * steps) ** 2)))
    # A million walks know the curve 30 times better than the 1,000 of one study.
    by = np.mean([vanished(walks(HORIZONS, 50_000, drift, spread, seed=s))[1].mean(axis=0) for s in range(20)], axis=0)
    truth = np.array([at, by])
    hits = dict.fromkeys(("wilson", "jeffreys", "pointwise", "wilson without hull"), 0)
    for study in range(STUDIES):
        found = shares(vanished(walks(HORIZONS, 1000, drift, spread, seed=1000 + study)))
        for kind in KINDS[:2]:
            hits[kind] += covers(share_bands(found, 0.95, kind), truth)
        tails = np.array([[simultaneous_tail(covariance, 0.025)] for covariance in found.covariance])
        hits["wilson without hull"] += covers(share_intervals(found, tails, "wilson"), truth)
        hits["pointwise"] += covers(share_intervals(found, 0.025, "clopper-pearson"), truth)
    measured = {name: hit / STUDIES for name, hit in hits.items()}
    for kind in KINDS[:2]:
        assert (hits[kind] >= least(STUDIES)).all(), measured
    # Planted mistakes: a curve is not covered because each of its points is, nor where rare events are not.
    assert (hits["pointwise"] < least(STUDIES)).all(), measured
    assert (hits["wilson without hull"] < least(STUDIES)).all(), measured


@pytest.mark.slow
def test_a_band_of_a_nested_study_holds_whole_curves_and_one_from_rows_does_not():
    draws, group, studies = 200, 5, 500
    steps = np.array(HORIZONS, dtype=float)
    noise, own = 0.2, 0.02
    at = stats.norm.cdf((math.log(VANISH) + 0.01 * steps) / np.sqrt(noise**2 * steps + (own * steps) ** 2))

    def nested(number: int, together: int, seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        walk = np.cumsum(random.normal(size=(number, len(steps))) * np.sqrt(np.diff(steps, prepend=0)), axis=1) * noise
        return -0.01 * steps + walk + own * random.normal(size=(number // together, 1)).repeat(together, axis=0) * steps

    by = np.mean([vanished(nested(50_000, 1, seed))[1].mean(axis=0) for seed in range(20)], axis=0)
    truth = np.array([at, by])
    hits, from_rows = 0, 0
    for study in range(studies):
        flags = vanished(nested(draws * group, group, 1000 + study))
        hits += covers(share_bands(shares(flags, group), 0.95, "wilson"), truth)
        from_rows += covers(share_bands(shares(flags), 0.95, "wilson"), truth)
    assert (hits >= least(studies)).all(), hits / studies
    assert (from_rows < least(studies)).all(), from_rows / studies


@pytest.mark.parametrize("alike", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("p", [0.05, 0.3])
def test_an_interval_of_a_nested_study_covers_as_often_as_it_says_and_one_from_rows_does_not(alike, p):
    draws, group, studies = 200, 8, 2000
    random = np.random.default_rng(17)
    chance = random.beta(p * (1 / alike - 1), (1 - p) * (1 / alike - 1), size=(draws, 1, studies))
    flags = (random.random((draws, group, studies)) < chance).reshape(draws * group, studies)
    hits = {}
    for name, together in (("weight draws", group), ("rows", 1)):
        # One study a column: a pointwise interval knows nothing of the others.
        low, high = np.concatenate(
            [share_intervals(shares([part], together), 0.025, "wilson") for part in np.split(flags, 20, axis=1)], axis=2
        )
        hits[name] = np.count_nonzero((low <= p) & (p <= high))
    # Wilson's interval itself covers a few tenths of a per cent less than it says where p is small.
    assert hits["weight draws"] >= least(studies, 0.945)
    assert hits["rows"] < least(studies, 0.945)


@pytest.mark.slow
@pytest.mark.parametrize("alike", [0.1, 0.9])
def test_a_confidence_sequence_of_weight_draws_survives_a_stop_by_looking_and_an_estimated_number_does_not(alike):
    group, most, studies, p = 16, 400, 2000, 0.02
    random = np.random.default_rng(3)
    chance = random.beta(p * (1 / alike - 1), (1 - p) * (1 / alike - 1), size=(most, studies))
    count = random.binomial(group, chance)
    missed, missed_by_deff = np.zeros(studies, dtype=bool), np.zeros(studies, dtype=bool)
    for draws in range(5, most + 1, 5):
        share = count[:draws].mean(axis=0) / group
        low, high = binomial_sequence(share * draws, draws)
        missed |= (p < low) | (high < p)
        variance = count[:draws].var(axis=0, ddof=1) / group**2 / draws
        number = np.where(variance > 0, share * (1 - share) / np.maximum(variance, 1e-300), draws)
        low, high = binomial_sequence(
            share * np.clip(number, draws, draws * group), np.clip(number, draws, draws * group)
        )
        missed_by_deff |= (p < low) | (high < p)
    assert missed.sum() <= stats.binom.isf(FALSE_ALARM, studies, 0.05)
    if alike == 0.9:  # the planted mistake
        assert missed_by_deff.sum() > stats.binom.isf(FALSE_ALARM, studies, 0.05)


def binomial_sequence(count: np.ndarray, total: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    return effective_interval(count, np.broadcast_to(np.asarray(total, dtype=float), count.shape), 0.025, KINDS[3])
