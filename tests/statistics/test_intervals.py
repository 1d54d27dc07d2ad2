"""Binomial intervals against SciPy's own, at their ends, and by how often they cover the truth."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from rnnmc.statistics.intervals import binomial_interval, effective_interval

KINDS = ("wilson", "jeffreys", "clopper-pearson", "confidence-sequence")


def cases() -> list[tuple[int, int]]:
    return [(k, n) for n in (1, 2, 3, 7, 20, 101, 4000) for k in sorted({0, 1, n // 3, n // 2, n - 1, n})]


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("kind", "method"), [("wilson", "wilson"), ("clopper-pearson", "exact")])
def test_wilson_and_clopper_pearson_agree_with_scipy(kind, method, level):
    count, total = (np.array(column) for column in zip(*cases(), strict=True))
    low, high = binomial_interval(count, total, level, kind)
    for k, n, got_low, got_high in zip(count, total, low, high, strict=True):
        want = stats.binomtest(int(k), int(n)).proportion_ci(level, method=method)
        # SciPy finds its exact bounds with a root finder, to about 1e-12.
        assert (got_low, got_high) == pytest.approx((want.low, want.high), abs=1e-11)


def test_jeffreys_is_the_beta_posterior_cut_off_at_the_ends():
    low, high = binomial_interval([0, 3, 10], [10, 10, 10], 0.9, "jeffreys")
    np.testing.assert_allclose(high[:2], stats.beta.ppf(0.95, [0.5, 3.5], [10.5, 7.5]), rtol=1e-10)
    np.testing.assert_allclose(low[1:], stats.beta.ppf(0.05, [3.5, 10.5], [7.5, 0.5]), rtol=1e-10)
    assert (low[0], high[2]) == (0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_touch_zero_and_one_exactly_and_hold_the_share_between_them(kind):
    count, total = (np.array(column) for column in zip(*cases(), strict=True))
    low, high = binomial_interval(count, total, 0.95, kind)
    assert (low[count == 0] == 0).all()
    assert (high[count == total] == 1).all()
    assert (low[count > 0] > 0).all()
    assert (high[count < total] < 1).all()
    assert ((low <= count / total) & (count / total <= high)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_of_no_replicates_nothing_is_known(kind):
    assert binomial_interval(0, 0, 0.95, kind) == (0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_success_and_failure_are_mirror_images(kind):
    low, high = binomial_interval(np.arange(41), 40, 0.95, kind)
    np.testing.assert_allclose(low, 1 - high[::-1], atol=1e-13)


def test_without_an_event_the_two_sided_bound_pays_for_both_tails():
    n = np.array([1, 10, 4000])
    assert binomial_interval(0, n, 0.95, "clopper-pearson")[1] == pytest.approx(1 - 0.025 ** (1 / n), rel=1e-10)
    assert binomial_interval(0, n, 0.90, "clopper-pearson")[1] == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-10)


def test_effective_numbers_need_not_be_whole_and_agree_with_scipy_where_it_takes_them():
    count, total, tail = np.array([0.3, 0.3, 7.5, 99.9]), np.array([0.9, 40.2, 30.1, 100.3]), 0.005
    total = np.maximum(total, 1)
    low, high = effective_interval(count, total, tail, "clopper-pearson")
    np.testing.assert_allclose(low, stats.beta.ppf(tail, count, total - count + 1), rtol=1e-9)
    np.testing.assert_allclose(high, stats.beta.ppf(1 - tail, count + 1, total - count), rtol=1e-9)
    for p in effective_interval(count, total, tail, "wilson"):
        score = (count / total - p) / np.sqrt(p * (1 - p) / total)
        np.testing.assert_allclose(np.abs(score), stats.norm.isf(tail), rtol=1e-9)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "jeffreys"])  # whose prior draws in few replicates
def test_with_fewer_effective_replicates_or_a_higher_level_an_interval_of_the_same_share_is_wider(kind):
    share = np.array([0.0, 1e-3, 0.04, 0.5, 0.97, 1.0])[:, np.newaxis]
    total = np.geomspace(1, 1e4, 41)
    low, high = effective_interval(share * total, total, 0.025, kind)
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) <= 0).all()
    wider_low, wider_high = effective_interval(share * total, total, 0.01, kind)
    assert ((wider_low <= low) & (high <= wider_high)).all()


def coverage(kind: str, p: np.ndarray, n: int, level: float) -> np.ndarray:
    """Probability that the interval of a Binomial(n, p) count holds p, summed over all counts: no sampling."""
    k = np.arange(n + 1)
    low, high = binomial_interval(k, n, level, kind)
    holds = (low <= p[:, np.newaxis]) & (p[:, np.newaxis] <= high)
    return (stats.binom.pmf(k, n, p[:, np.newaxis]) * holds).sum(axis=1)


@pytest.mark.parametrize("n", [5, 50, 400])
def test_clopper_pearson_covers_at_least_as_often_as_it_says_for_every_probability(n):
    assert coverage("clopper-pearson", np.linspace(0.0005, 0.9995, 999), n, 0.95).min() >= 0.95 - 1e-9


@pytest.mark.parametrize("kind", ["wilson", "jeffreys"])
def test_wilson_and_jeffreys_cover_as_often_as_they_say_on_average(kind):
    # On average over p both err by a few tenths of a per cent at n = 100 (Brown, Cai and DasGupta 2001, figure 5).
    assert coverage(kind, np.linspace(0.0005, 0.9995, 999), 100, 0.95).mean() == pytest.approx(0.95, abs=0.005)


def log_martingale(count: int, total: int, p: float) -> float:
    """Logarithm of the mixture over all q of q^k (1-q)^(n-k), over p^k (1-p)^(n-k), from whole-number factorials."""
    mixture = -math.log((total + 1) * math.comb(total, count))
    return mixture - (count * math.log(p) if count else 0) - ((total - count) * math.log1p(-p) if count < total else 0)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_a_confidence_sequence_ends_where_the_mixture_martingale_reaches_the_inverse_of_what_may_be_missed(level):
    for k, n in cases():
        low, high = (float(bound) for bound in binomial_interval(k, n, level, "confidence-sequence"))

        def excess(p: float, k: int = k, n: int = n) -> float:
            return log_martingale(k, n, p) + math.log(1 - level)

        # brentq stops within 1e-15 of a root, and rounding moves the root itself by about 1e-14.
        if k:
            assert low == pytest.approx(optimize.brentq(excess, 1e-300, k / n * (1 - 1e-12), xtol=1e-15), abs=1e-12)
        if k < n:
            start = max(k / n * (1 + 1e-12), 1e-300)
            assert high == pytest.approx(optimize.brentq(excess, start, 1 - 1e-16, xtol=1e-15), abs=1e-12)


def test_the_mixture_martingale_is_one():
    # Its mean over Binomial(n, p) is 1 for every p, which is what Ville's inequality needs.
    for n, p in ((1, 0.3), (7, 0.02), (40, 0.9)):
        mean = sum(stats.binom.pmf(k, n, p) * math.exp(log_martingale(k, n, p)) for k in range(n + 1))
        assert mean == pytest.approx(1, rel=1e-10)


def test_a_confidence_sequence_is_wider_than_wilson_and_rises_with_the_count():
    for n in (1, 2, 20, 400, 10_000):
        k = np.unique(np.linspace(0, n, 41).round())
        low, high = binomial_interval(k, n, 0.95, "confidence-sequence")
        narrow = binomial_interval(k, n, 0.95, "wilson")
        assert (high - low > narrow[1] - narrow[0]).all()
        assert (np.diff(low) > 0).all()
        assert (np.diff(high) > 0).all()


def test_a_confidence_sequence_without_an_event_and_with_nothing_but_events_has_a_closed_form():
    n = np.array([1, 10, 4000])
    want = 1 - (0.05 / (n + 1)) ** (1 / n)  # (1-p)^n = 0.05 B(1, n+1)
    assert binomial_interval(0, n, 0.95, "confidence-sequence")[1] == pytest.approx(want, rel=1e-12)
    assert binomial_interval(n, n, 0.95, "confidence-sequence")[0] == pytest.approx(1 - want, rel=1e-10)


RUNS, MOST, LOOK = 20_000, 1000, 10  # runs; replicates at most; replicates between two looks


def looks(p: float, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """(runs, looks): the half-width at each look at a run of Bernoulli draws, and whether the interval misses p."""
    totals = np.arange(LOOK, MOST + 1, LOOK)
    counts = np.random.default_rng(8).binomial(LOOK, p, size=(RUNS, len(totals))).cumsum(axis=1)
    half, missed = np.empty(counts.shape), np.empty(counts.shape, dtype=bool)
    for j, total in enumerate(totals):
        low, high = binomial_interval(np.arange(total + 1), total, 0.95, kind)
        half[:, j] = ((high - low) / 2)[counts[:, j]]
        missed[:, j] = ((p < low) | (high < p))[counts[:, j]]
    return half, missed


@pytest.mark.slow
@pytest.mark.parametrize("p", [0.02, 0.3, 0.5])
def test_stopping_by_looking_breaks_wilson_and_not_a_confidence_sequence(p):
    margin = 4 * math.sqrt(0.05 * 0.95 / RUNS)  # four binomial deviations at 5 %: 0.6 %
    half, missed = looks(p, "confidence-sequence")
    for enough in (0.03, 0.05, 0.1):
        narrow = half <= enough
        stop = np.where(narrow.any(axis=1), narrow.argmax(axis=1), -1)  # the first narrow one, or the last
        assert missed[np.arange(RUNS), stop].mean() <= 0.05 + margin
    # Whoever stops as soon as p is excluded does worst of all; a run misses if it ever does.
    assert missed.any(axis=1).mean() <= 0.05 + margin
    assert looks(p, "wilson")[1].any(axis=1).mean() > 0.15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 10), "count"),
        ((11, 10), "more events"),
        ((0.5, 10), "count"),
        ((1, 10.5), "total"),
        ((np.nan, 10), "count"),
        ((1, np.inf), "total"),
        (("3", 10), "count"),
        ((1, 10, 0), "level"),
        ((1, 10, 1.0), "level"),
        ((1, 10, 95), "level"),
        ((1, 10, 0.95, "wald"), "wald"),
    ],
)
def test_what_is_no_count_level_or_kind_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        binomial_interval(*arguments)
