"""Figures of theory beside the curves, bands, variance and self-validation: what they show is what the tables say."""

import math
import re

import numpy as np
import polars as pl
import pytest
import synthetic
from charts import data_of
from scipy.stats import norm, t
from synthetic import EXPLODE, VANISH, of_an_earlier_release, point_row, samples_of, self_validation, walks

from rnnmc.report.charts import overview as figures
from rnnmc.report.charts.curves import QUESTIONS, SOURCE_COLOURS
from rnnmc.report.charts.parts import config
from rnnmc.report.findings import findings, verdict
from rnnmc.report.pictures.lifetime import PICTURE
from rnnmc.report.rendering import rendered
from rnnmc.report.text import lifetime_text, main_rows, passage_text, rate_deviation, study_points, theory_text
from rnnmc.statistics.oracles import coverage
from rnnmc.statistics.point import point_statistics
from rnnmc.statistics.variance_split import variance_split

Study = tuple[pl.DataFrame, dict[str, pl.DataFrame]]


@pytest.fixture(scope="module")
def study() -> Study:
    """(points, tables): cells with an exact law, one of large width, nested, stopped early; and oracles."""
    return synthetic.study(cells=("tanh", "lstm", "gru", "gru_tied"), widths=(4, 16), replicates=200)[1:]


@pytest.fixture(scope="module")
def drawn(study) -> dict:
    points, tables = study
    return figures.charts(tables["statistics"], points, tables["variance"])


def subtitle(chart) -> str:
    said = chart.to_dict(validate=False)["title"]["subtitle"]
    return said if isinstance(said, str) else " ".join(said)


def of_point(study: Study, cell: str, width: int, series: str) -> pl.DataFrame:
    """The statistics of the spectral norm of one design point."""
    points, tables = study
    point = points.filter(pl.col("cell") == cell, pl.col("width") == width, pl.col("init") == series)["point"][0]
    return tables["statistics"].filter(pl.col("point") == point, pl.col("measure") == "log_spectral").sort("horizon")


def shown(chart, width: int, series: str) -> pl.DataFrame:
    return data_of(chart).filter(pl.col("panel") == f"width {width}", pl.col("series") == series).sort("horizon")


@pytest.mark.slow
@pytest.mark.process
def test_every_chart_is_valid_vega_lite_and_is_rendered(drawn):
    for chart in drawn.values():
        chart.to_dict(validate=True)
    files = rendered({name: drawn[name] for name in ("probability-tanh", "log-norm-lstm", "variance-gru")})
    assert all(len(content) > 3000 and b"NaN" not in content[:200_000] for content in files.values())


@pytest.mark.slow
def test_an_exact_law_lies_beside_the_probabilities_at_a_horizon_and_says_nothing_of_first_passages(study, drawn):
    want = of_point(study, "tanh", 16, "keras")
    curves = shown(drawn["probability-tanh"], 16, "keras")
    for event in ("vanish", "explode"):
        at = curves.filter(pl.col("question") == QUESTIONS[event, "at"])
        np.testing.assert_allclose(at["theory"], want[f"theory_p_{event}_at"], rtol=1e-3, atol=1e-12)
        assert curves.filter(pl.col("question") == QUESTIONS[event, "by"])["theory"].is_null().all()
    assert "dashed: exact law" in subtitle(drawn["probability-tanh"])
    assert "exact" not in subtitle(drawn["probability-gru"])


@pytest.mark.slow
def test_a_bound_on_exploding_is_dotted_and_never_taken_for_a_prediction(drawn):
    curves = shown(drawn["probability-lstm"], 4, "keras")
    bounded = curves.drop_nulls("bound")
    assert set(bounded["question"]) == {QUESTIONS["explode", "at"]}
    assert set(bounded["bound"]) == {0.5}
    assert curves["theory"].is_null().all()
    assert "dotted: upper bound by theory" in subtitle(drawn["probability-lstm"])


@pytest.mark.slow
def test_the_band_over_all_horizons_holds_the_pointwise_interval_and_the_subtitle_tells_them_apart(drawn):
    curves = data_of(drawn["probability-gru"])
    assert (curves["lowest"] <= curves["low"] + 1e-3).all()
    assert (curves["highest"] >= curves["high"] - 1e-3).all()
    said = subtitle(drawn["probability-gru"])
    assert said.startswith(
        "Darker bands: pointwise 95 % Wilson intervals; lighter: bands that hold over all horizons at once"
    )
    assert "95 % confidence-sequence intervals" in subtitle(drawn["probability-gru_tied"])
    assert "95 % Wilson or confidence-sequence intervals" in subtitle(drawn["overview"])


@pytest.mark.slow
def test_the_exact_mean_has_the_measured_mean_beside_it_for_a_median_is_no_mean(study, drawn):
    want = of_point(study, "tanh", 4, "pytorch")
    norms = shown(drawn["log-norm-tanh"], 4, "pytorch")
    np.testing.assert_allclose(norms["theory"], want["theory_mean"], rtol=1e-4)
    np.testing.assert_allclose(norms["mean"], want["mean"], rtol=1e-4)
    assert set(norms["law"]) == {"exact mean: gaussian_walk"}
    assert "dashed: exact mean, and as dots the measured one" in subtitle(drawn["log-norm-tanh"])


@pytest.mark.slow
def test_where_only_a_growth_rate_is_known_it_is_drawn_as_a_slope(study, drawn):
    rate = of_point(study, "lstm", 16, "keras")["theory_growth_rate"][0]
    norms = shown(drawn["log-norm-lstm"], 16, "keras")
    np.testing.assert_allclose(norms["theory"], rate * norms["horizon"], rtol=1e-4)
    assert norms["mean"].is_null().all()
    assert set(norms["law"]) == {"slope, large width: wide_walk"}
    assert "the growth rate that theory predicts, times T" in subtitle(drawn["log-norm-lstm"])


@pytest.mark.slow
def test_a_diamond_is_what_theory_predicts_filled_where_exact(study, drawn):
    rates = data_of(drawn["growth-rate"])
    exact = rates.filter(pl.col("cell") == "tanh")
    wide = rates.filter(pl.col("cell") == "lstm")
    assert set(exact["validity"]) == {"exact"}
    assert set(wide["validity"]) == {"large width"}
    assert rates.filter(pl.col("cell") == "gru")["theory"].is_null().all()
    assert exact.filter(pl.col("width") == 4, pl.col("series") == "keras")["theory"].item() == pytest.approx(
        of_point(study, "tanh", 4, "keras")["theory_growth_rate"][0], rel=1e-4
    )
    marks = [layer["mark"] for layer in drawn["growth-rate"].to_dict(validate=False)["spec"]["layer"]]
    assert [mark["filled"] for mark in marks if mark.get("style") == "theory-point"] == [True, False]


def test_theory_looks_the_same_wherever_it_is_drawn():
    styles = config("#123456")["style"]
    assert {style["color"] for style in styles.values()} == {"#123456"}


@pytest.mark.slow
def test_shares_of_the_variance_are_stacked_to_one_with_the_intervals_of_the_table(study, drawn):
    points, tables = study
    pieces = data_of(drawn["variance-gru"]).drop_nulls("source")
    assert set(pieces["source"]) == set(SOURCE_COLOURS)
    sums = pieces.group_by("panel", "series", "horizon").agg((pl.col("to") - pl.col("from")).sum())
    np.testing.assert_allclose(sums["to"], 1, atol=1e-4)
    point = points.filter(pl.col("cell") == "gru", pl.col("width") == 4, pl.col("init") == "keras")["point"][0]
    table = tables["variance"].filter(
        pl.col("point") == point, pl.col("measure") == "log_spectral", pl.col("horizon") == 1000
    )
    want = {row["source"]: row for row in table.to_dicts()}
    mine = shown(drawn["variance-gru"], 4, "keras").filter(pl.col("horizon") == 1000)
    mine = {row["source"]: row for row in mine.to_dicts()}
    for source, row in mine.items():
        assert row["to"] - row["from"] == pytest.approx(want[source]["share"], abs=1e-4)
    # From below at the bottom, from above at the top.
    assert mine["weights"]["low"] == pytest.approx(want["weights"]["share_low"], abs=1e-4)
    assert mine["state"]["high"] == pytest.approx(1 - want["state"]["share_low"], abs=1e-4)
    assert mine["drive"]["low"] is None
    assert mine["drive"]["from"] == pytest.approx(mine["weights"]["to"])


@pytest.mark.slow
def test_only_nested_designs_whose_norms_are_finite_have_a_figure_of_the_variance():
    horizons = [1, 10, 100]
    rows = [point_row("relu", 4, init, 100, 40, nested=2) for init in ("a", "b")]
    paths = [walks(horizons, 40, 0.0, 0.1, drives=2), np.full((40, 3), -np.inf)]
    parts = [samples_of(path, horizons, row["point"]) for path, row in zip(paths, rows, strict=True)]
    statistics = pl.concat(point_statistics(part, VANISH, EXPLODE, group=2) for part in parts)
    splits = [variance_split(part, drives=2, states=1) for part in parts]
    both = figures.charts(statistics, pl.DataFrame(rows), pl.concat(splits))["variance-relu"]
    pieces = data_of(both)
    assert set(pieces.drop_nulls("source")["source"]) == {"weights", "drive"}
    # the panel of the dead one is there, and empty, lest Vega-Lite draws the other in its place
    assert set(pieces["series"]) == {"a", "b"}
    assert set(pieces.drop_nulls("source")["series"]) == {"a"}
    assert "variance-relu" not in figures.charts(statistics, pl.DataFrame(rows), splits[1])
    assert "variance-relu" not in figures.charts(statistics, pl.DataFrame(rows))


def test_the_truth_is_inside_the_bounds_exactly_where_the_interval_holds():
    oracles = self_validation(failing=True)["oracles"]
    drawn = figures.oracle_charts(oracles)
    assert list(drawn) == ["self-validation-intervals", "self-validation-pit"]
    for chart in drawn.values():
        chart.to_dict(validate=True)
    places = data_of(drawn["self-validation-intervals"])
    assert places.height == 240  # without the one that leaves nothing to chance
    assert (places["place"].abs() <= 1 + 1e-4).eq(places["holds"]).all()
    assert places["place"].abs().max() <= figures.FURTHEST
    pits = data_of(drawn["self-validation-pit"])
    assert pits["pit"].is_sorted()
    np.testing.assert_allclose(pits["uniform"], (np.arange(240) + 0.5) / 240, rtol=1e-4)
    certain = oracles.filter(pl.col("quantity") == "certain")
    assert certain.height == 1
    assert figures.oracle_charts(certain) == {}


def test_an_interval_without_width_that_hits_the_truth_is_drawn_as_a_hit():
    one = self_validation(1)["oracles"].head(1)
    hit = one.with_columns(truth=pl.lit(1.0), estimate=pl.lit(1.0), low=pl.lit(1.0), high=pl.lit(1.0), holds=True)
    assert data_of(figures.oracle_charts(hit)["self-validation-intervals"])["place"].to_list() == [0]


@pytest.mark.slow
def test_points_that_prove_the_program_are_in_no_figure_and_no_row_of_the_study(study, drawn):
    points, tables = study
    assert points["oracle"].sum() == 2
    assert not set(main_rows(tables["statistics"], points)["cell"]) & set(synthetic.ORACLES)
    assert study_points(points).height == 40
    assert not [name for name in drawn if name.endswith(synthetic.ORACLES)]
    assert "linear" not in set(data_of(drawn["overview"])["cell"])


@pytest.mark.slow
def test_statistics_of_an_earlier_release_are_drawn_without_what_they_lack(study):
    points, tables = study
    old = of_an_earlier_release(tables)["statistics"]
    charts = figures.charts(old, points.drop("oracle", "half_width", "nested").filter(~points["oracle"]))
    assert subtitle(charts["probability-tanh"]) == "Darker bands: pointwise 95 % Wilson intervals"
    for chart in charts.values():
        chart.to_dict(validate=True)
        assert not any(word in subtitle(chart) for word in ("theory", "exact law", "lighter"))


def test_a_deviation_counts_standard_errors_of_both_and_is_none_of_a_law_that_is_not_exact():
    row = {"growth_rate": 0.5, "growth_rate_error": 0.03, "theory_growth_rate": 0.4, "theory_growth_rate_error": 0.04}
    assert rate_deviation(row | {"theory_growth_exact": True}) == pytest.approx(2)
    assert rate_deviation(row | {"theory_growth_exact": False}) is None
    assert rate_deviation(row | {"theory_growth_exact": True, "growth_rate": None}) is None
    rounded = {
        "growth_rate": 3e-8,
        "growth_rate_error": 0.0,
        "theory_growth_rate": 0.0,
        "theory_growth_rate_error": 0.0,
    }
    assert abs(rate_deviation(rounded | {"theory_growth_exact": True}) or 0) < 0.1  # float32, not a wrong law
    assert theory_text(row | {"theory_growth_exact": True}) == "0.4 exact (+2.0 s.e.)"
    assert theory_text(row | {"theory_growth_exact": False}) == "0.4 ± 0.04 large width"
    assert theory_text(row | {"theory_growth_exact": False, "theory_growth_rate_error": 0.0}) == "0.4 large width"


def test_a_deviation_of_few_replicates_counts_as_far_out_as_its_tail():
    row = {"growth_rate": 0.5, "growth_rate_error": 0.03, "theory_growth_rate": 0.4, "theory_growth_rate_error": 0.0}
    few = rate_deviation(row | {"theory_growth_exact": True, "growth_rate_freedom": 5.0})
    assert few == pytest.approx(norm.isf(t.sf(0.1 / 0.03, 5)), rel=1e-3)  # 2.3 in place of 3.3
    half_known = row | {"theory_growth_error": 0.0, "growth_rate_error": 0.03, "theory_growth_rate_error": 0.03}
    both = rate_deviation(half_known | {"theory_growth_exact": True, "growth_rate_freedom": 5.0})
    assert both == pytest.approx(norm.isf(t.sf(0.1 / math.hypot(0.03, 0.03), 20)), rel=1e-3)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((4, 5, 5, 5), "5"),
        ((75, 100, 75, 133), "(75, 100] [75, 133]"),
        ((75, 100, 100, 100), "(75, 100]"),
        ((3, 4, 4, 5), "4 [4, 5]"),
        ((None, None, 7500, None), "beyond 10,000 [7,500, beyond]"),
        ((None, None, None, None), "beyond 10,000"),
        ((7500, 10000, 5600, None), "(7,500, 10,000] [5,600, beyond]"),
    ],
)
def test_a_lifetime_is_written_with_the_horizons_that_sampling_leaves_open(numbers, text):
    row = dict(zip(("after", "by", "earliest", "latest"), numbers, strict=True))
    assert lifetime_text(row, 10_000) == text


def test_a_bar_of_a_lifetime_ends_at_the_estimate_with_an_arrow_where_nothing_bounds_it_above():
    """Five networks gave a bar across the whole panel, up to the last horizon, as if that were a bound."""
    point = point_row("tanh", 4, "keras", 1000, 5)
    half = {"percent": 50.0, "after": 9, "by": 10, "earliest": 1, "latest": None, "vanished": 1.0}
    most = half | {"percent": 99.0, "after": None, "by": None, "earliest": 10}
    known = half | {"earliest": 9, "latest": 12}
    for one, end, arrow in ((half, 10, 10), (known, 12, None)):
        rows = [{"point": point["point"]} | row for row in (one, most)]
        chart = PICTURE.charts(pl.DataFrame(rows), pl.DataFrame([point]))["lifetime-tanh"]
        shown = data_of(chart).row(0, named=True)
        assert (shown["half_from"], shown["half_to"]) == (one["earliest"], end)
        assert (shown["half_open"] or None, shown["most_to"], shown["most_open"] or None) == (arrow, 1000, None)
        assert ("triangle-right" in chart.to_json()) == (arrow is not None)


def test_a_first_passage_is_written_as_the_interval_it_is_known_to():
    assert [passage_text(*bounds) for bounds in ((10, 13), (0, 1), (1_000, 2_000), (None, None))] == [
        "(10, 13]",
        "1",
        "(1,000, 2,000]",
        "-",
    ]


def told(study: Study, shift: float = 0.0) -> str:
    points, tables = study
    statistics = tables["statistics"].with_columns(pl.col("theory_growth_rate") + shift)
    return " ".join(findings(main_rows(statistics, points), statistics))


@pytest.mark.slow
def test_findings_say_how_many_points_have_a_law_and_whether_they_agree_with_it(study):
    text = told(study)
    assert "An exact law gives the growth rate at 10 of 40 design points" in text
    assert "agrees within 3 standard errors at all of them" in text
    assert "A law of large width gives it at 10 of 40 design points" in text
    wrong = told(study, shift=0.02)  # a planted mistake
    assert "at all of them" not in wrong
    assert "agrees within 3 standard errors at" in wrong
    assert "law" not in " ".join(
        findings(main_rows(old := of_an_earlier_release(study[1])["statistics"], study[0]), old)
    )


def test_a_self_validation_that_fails_says_where_and_warns_of_the_numbers():
    passed, failed = (verdict(self_validation(failing=failing)["coverage"]) for failing in (False, True))
    assert passed.passed
    assert "of 240 measurements" in passed.sentence
    assert "of 1 that leave nothing to chance all are right" in passed.sentence
    assert not failed.passed
    assert "FAILED" in failed.sentence
    assert re.search(r"lru: \d+ of 120 intervals hold, \d+ to \d+ may", failed.sentence)
    assert "gaussian_walk" not in failed.sentence
    assert "Do not rely on the numbers" in failed.sentence


def test_a_self_validation_names_what_failed_and_passes_nothing_that_checked_nothing():
    oracles = self_validation()["oracles"]
    wrong = oracles.with_columns(holds=pl.col("holds") & (pl.col("quantity") != "certain"))
    assert "gaussian_walk: 1 of 1 numbers that leave nothing to chance are wrong" in verdict(coverage(wrong)).sentence
    biased = oracles.with_columns(score=pl.col("score") + 1)
    assert "lru: the places of what was measured in the law have p = " in verdict(coverage(biased)).sentence
    nothing = verdict(coverage(oracles.clear()))
    assert not nothing.passed
    assert "nothing was checked" in nothing.sentence
