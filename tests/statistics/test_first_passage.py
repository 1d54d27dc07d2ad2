"""First passage against Aalen and Johansen's estimator, written plainly, and how often its interval holds the truth."""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats
from synthetic import EXPLODE, VANISH, log_spaced, samples_of, walks

from rnnmc.statistics.first_passage import first_passage, guaranteed
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.point import PERCENTS, first_excursions, point_statistics
from rnnmc.statistics.resampling import share_intervals, shares

HORIZONS = log_spaced(1000)
EVENTS = ("vanish", "explode")


def passages(log_norm: np.ndarray, horizons: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Horizon of each replicate's first passage, or the last one, and its event: 0 vanish, 1 explode, -1 none."""
    when, what = [], []
    for path in log_norm:
        now, event = horizons[-1], -1
        for horizon, value in zip(horizons, path, strict=True):
            if value < math.log(VANISH) or value > math.log(EXPLODE):
                now, event = horizon, int(value > 0)
                break
        when.append(now)
        what.append(event)
    return np.array(when), np.array(what)


def aalen_johansen(when: np.ndarray, what: np.ndarray, horizons: list[int]) -> np.ndarray:
    """(2, horizons) cumulative incidence: the chance of having none so far, times the hazard of each risk, summed."""
    free, incidence, curve = 1.0, np.zeros(2), []
    for horizon in horizons:
        at_risk = np.sum(when >= horizon)
        hazard = np.array([np.sum((when == horizon) & (what == event)) for event in (0, 1)]) / max(at_risk, 1)
        incidence = incidence + free * hazard
        free *= 1 - hazard.sum()
        curve.append(incidence)
    return np.array(curve).T


def reached(curve: np.ndarray, horizons: list[int], percent: float) -> tuple[int | None, int | None]:
    """(after, by) of a curve, one horizon at a time."""
    for j, horizon in enumerate(horizons):
        if curve[j] >= percent / 100 - 1e-9:  # the curve is a sum of rounded numbers
            return (horizons[j - 1] if j else 0), horizon
    return None, None


@pytest.fixture(scope="module")
def diverse() -> np.ndarray:
    """300 walks that vanish and explode in comparable numbers, some dead or overflown."""
    return walks(HORIZONS, 300, drift=-0.002, spread=0.4, death=2e-4, overflow=2e-4, seed=8)


def rows_of(log_norm: np.ndarray, horizons=HORIZONS, percents=PERCENTS, **wanted) -> pl.DataFrame:
    table = first_passage(point_statistics(samples_of(log_norm, horizons), VANISH, EXPLODE, **wanted), percents)
    return table.filter(pl.col("measure") == "log_spectral")


def test_the_incidence_is_aalen_and_johansens_and_its_quantiles_are_the_first_passages(diverse):
    curves = aalen_johansen(*passages(diverse, HORIZONS), HORIZONS)
    shares = point_statistics(samples_of(diverse, HORIZONS), VANISH, EXPLODE).filter(
        pl.col("measure") == "log_spectral"
    )
    percents = (0.5, 1, *PERCENTS, 99, 100)
    rows = rows_of(diverse, percents=percents)
    for event, curve in zip(EVENTS, curves, strict=True):
        np.testing.assert_allclose(shares[f"p_{event}_by"], curve, rtol=1e-12, atol=1e-15)
        mine = rows.filter(pl.col("event") == event)
        assert mine["percent"].to_list() == list(percents)
        assert mine.select("after", "by").rows() == [reached(curve, HORIZONS, percent) for percent in percents]
        assert mine["by"].null_count() not in (0, len(percents)), "the data reach all percentages, or none"


def test_one_minus_kaplan_meier_of_each_risk_alone_is_too_high(diverse):
    when, what = passages(diverse, HORIZONS)
    rows = rows_of(diverse, percents=(25, 40))
    for event, curve in enumerate(aalen_johansen(when, what, HORIZONS)):
        alone = stats.ecdf(stats.CensoredData(when[what == event], right=when[what != event])).cdf.evaluate(HORIZONS)
        assert (alone >= curve - 1e-12).all()
        assert alone[-1] > curve[-1] + 0.1
        mine = rows.filter(pl.col("event") == EVENTS[event])
        wrong = [reached(alone, HORIZONS, percent) for percent in (25, 40)]
        assert mine.select("after", "by").rows() != wrong  # the planted mistake would show


def test_with_one_risk_it_is_kaplan_meiers():
    falling = walks(HORIZONS, 200, drift=-0.06, spread=0.1, seed=2)
    when, what = passages(falling, HORIZONS)
    assert set(what) == {0}
    curve = stats.ecdf(when).cdf.evaluate(HORIZONS)
    vanish = rows_of(falling).filter(pl.col("event") == "vanish")
    assert vanish.select("after", "by").rows() == [reached(curve, HORIZONS, percent) for percent in PERCENTS]


@pytest.mark.slow
def test_where_every_step_is_stored_it_is_the_quantile_of_first_passage_itself():
    steps = list(range(1, 401))
    falling = walks(steps, 101, drift=-0.2, spread=0.3, seed=3)
    when, what = passages(falling, steps)
    assert set(what) == {0}
    rows = rows_of(falling, steps).filter(pl.col("event") == "vanish")
    want = np.quantile(when, np.array(PERCENTS) / 100, method="inverted_cdf")
    assert rows["by"].to_list() == want.tolist()
    assert (rows["by"] - rows["after"] == 1).all()


@pytest.mark.parametrize("group", [1, 5])
@pytest.mark.parametrize("interval", ["wilson", "clopper-pearson"])
def test_earliest_and_latest_come_from_the_bounds_of_the_incidence(diverse, group, interval):
    statistics = point_statistics(samples_of(diverse, HORIZONS), VANISH, EXPLODE, interval, 0.9, group)
    shown = statistics.filter(pl.col("measure") == "log_spectral")
    rows = rows_of(diverse, level=0.9, interval=interval, group=group)
    assert 0 < rows["by"].null_count() < rows.height  # some are reached, some are not
    for row in rows.iter_rows(named=True):
        low, high = (shown[f"p_{row['event']}_by_{end}"].to_numpy() for end in ("low", "high"))
        least, most = binomial_interval(shown[f"{row['event']}_by_count"].to_numpy(), 300, 0.9, "clopper-pearson")
        low, high = np.minimum(low, least), np.maximum(high, most)
        earliest = [t for t, bound in zip(HORIZONS, high, strict=True) if bound >= row["percent"] / 100]
        short = [t for t, bound in zip(HORIZONS, low, strict=True) if bound < row["percent"] / 100]
        later = [t for t in HORIZONS if not short or t > short[-1]]
        assert row["earliest"] == (earliest[0] if earliest else None)
        assert row["latest"] == (later[0] if later else None)
        if row["by"] is not None:
            assert row["earliest"] <= row["by"] <= (row["latest"] or math.inf)


def test_what_is_not_reached_is_null_each_on_its_own():
    # 2 of 20 vanish at the first horizon, and no more: 10 % exactly.
    log_norm = np.zeros((20, 3))
    log_norm[:2, 0] = -9
    rows = rows_of(log_norm, [5, 10, 20], percents=(10, 11, 60)).filter(pl.col("event") == "vanish")
    assert rows.select("after", "by", "latest").rows() == [(0, 5, None), (None, None, None), (None, None, None)]
    assert rows["earliest"].to_list() == [5, 5, None]
    assert rows["replicates"].to_list() == [20] * 3


def test_a_passage_belongs_to_the_side_that_came_first():
    rows = rows_of(np.array([[-9.0, 9.0], [0.0, 9.0]]), [1, 2], percents=(50,))
    assert rows.select("event", "after", "by").rows() == [("vanish", 0, 1), ("explode", 1, 2)]


def test_both_measures_come_out_with_their_columns():
    samples = samples_of([[-6.8, 0.0]], [1, 10], rms_offset=-0.5)
    table = first_passage(point_statistics(samples, VANISH, EXPLODE), percents=(50,))
    assert table.columns == [
        "point", "measure", "event", "percent", "after", "by", "earliest", "latest", "replicates"
    ]  # fmt: skip
    assert table.select("measure", "event", "by").rows() == [
        ("log_spectral", "vanish", None),
        ("log_spectral", "explode", None),
        ("log_rms", "vanish", 1),
        ("log_rms", "explode", None),
    ]


def curves_of(log_norm: np.ndarray, horizons: np.ndarray, group: int) -> pl.DataFrame:
    """The columns of `point_statistics` that first passage is made of, without all that takes longer."""
    found = shares(first_excursions(log_norm, VANISH, EXPLODE), group)
    low, high = share_intervals(found, 0.025, "wilson")
    columns = {
        name: values
        for i, event in enumerate(EVENTS)
        for name, values in {
            f"{event}_by_count": found.count[i],
            f"p_{event}_by_low": low[i],
            f"p_{event}_by_high": high[i],
        }.items()
    }
    keys = {"point": "", "measure": "log_spectral", "horizon": horizons, "replicates": len(log_norm)}
    return pl.DataFrame(keys | columns)


@pytest.mark.slow
def test_the_interval_holds_the_true_horizon_as_often_as_it_says_and_from_rows_of_weight_draws_it_does_not():
    studies, draws, group = 400, 40, 6
    steps = np.arange(10, 130, 3)

    def nested(number: int, together: int, seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        own = random.normal(size=(number // together, 1)).repeat(together, axis=0)
        return (-0.1 + 0.03 * own) * steps + 0.1 * np.cumsum(random.normal(size=(number, len(steps))), axis=1)

    below = np.logical_or.accumulate(nested(400_000, 1, 0) < math.log(VANISH), axis=1).mean(axis=0)
    truth = int(steps[np.argmax(below >= 0.3)])
    # The curve crosses 30 % by more than five errors of the large sample away from any horizon.
    assert np.abs(below - 0.3).min() > 0.004
    hits = dict.fromkeys((group, 1), 0)
    for study in range(1, studies + 1):
        log_norm = nested(draws * group, group, study)
        for together in hits:
            row = first_passage(curves_of(log_norm, steps, together), percents=(30,)).row(0, named=True)
            hits[together] += (row["earliest"] or math.inf) <= truth <= (row["latest"] or math.inf)
    least = stats.binom.ppf(1e-6, studies, 0.95)
    assert hits[group] >= least, hits
    assert hits[1] < least, hits


def test_several_points_at_once_give_what_each_gives_alone(diverse):
    others = {"0" * 12: diverse, "1" * 12: diverse[:100] * 2, "2" * 12: diverse[100:]}
    alone = [
        point_statistics(samples_of(log_norm, HORIZONS, name), VANISH, EXPLODE) for name, log_norm in others.items()
    ]
    assert first_passage(pl.concat(alone)).equals(pl.concat([first_passage(one) for one in alone]))


def test_rare_shares_have_the_bounds_that_hold_for_every_probability_and_wilsons_are_too_narrow():
    """Of 300 replicates, 99 % or more have left by the horizon at which 99.3 % truly have."""
    total, truth = 300, 0.993
    count = np.arange(total + 1)
    table = pl.DataFrame({"left_by_count": count, "replicates": total, "level": 0.95}).with_columns(
        pl.Series("p_left_by_low", binomial_interval(count, total)[0]),
        pl.Series("p_left_by_high", binomial_interval(count, total)[1]),
    )
    chances = stats.binom.pmf(count, total, truth)
    missed = {}
    for name, bounds in {"wilson": table, "ours": guaranteed(table, ["left"])}.items():
        missed[name] = max(
            chances[bounds["p_left_by_high"].to_numpy() < truth].sum(),
            chances[bounds["p_left_by_low"].to_numpy() > truth].sum(),
        )
    assert missed["ours"] <= 0.025
    assert missed["wilson"] > 0.03


@pytest.mark.parametrize("percents", [(0,), (50, 101), (math.nan,)])
def test_percentages_that_cannot_be_are_refused(percents):
    with pytest.raises(ValueError, match="percents"):
        rows_of(np.zeros((3, 1)), [1], percents)
