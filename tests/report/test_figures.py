"""Figures and terminal tables: what they show is what the statistics say, for large, tiny and odd studies alike."""

import io
import math
import re
import time

import altair as alt
import numpy as np
import polars as pl
import pytest
import synthetic
from charts import data_of
from rich.console import Console
from synthetic import EXPLODE, VANISH, point_row, samples_of, walks

from rnnmc.common.errors import UsageError
from rnnmc.report.charts import overview as figures
from rnnmc.report.charts.curves import QUESTIONS
from rnnmc.report.findings import findings
from rnnmc.report.rendering import rendered
from rnnmc.report.terminal import fitting, horizon_table, main_table, narrow_table, rare_table
from rnnmc.report.text import (
    log_norm_text,
    main_rows,
    most_text,
    nats_text,
    probability_text,
    rate_text,
    share_text,
    study_points,
    with_series,
)
from rnnmc.statistics.point import point_statistics

INF = float("inf")


def study_of(*parts: tuple[dict, np.ndarray, list[int]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(statistics, points) of points given as (row, log-norms, horizons)."""
    frames = [
        point_statistics(samples_of(log_norm, horizons, row["point"]), VANISH, EXPLODE)
        for row, log_norm, horizons in parts
    ]
    return pl.concat(frames), pl.DataFrame([row for row, _, _ in parts])


@pytest.fixture(scope="module")
def large() -> tuple[pl.DataFrame, pl.DataFrame]:
    """A study of 105 points: 7 cells, 3 widths, 5 initialisers."""
    _, points, tables = synthetic.study(replicates=60)
    return tables["statistics"], study_points(points)


def tiny(value: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One point, one horizon, one replicate."""
    return study_of((point_row("lstm", 8, "pytorch", 1, 1), np.array([[value]]), [1]))


def sparse() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two cells that share neither widths nor settings nor horizons, as a list of products may give."""
    long, short = [1, 10, 100, 1000], [1, 2]
    return study_of(
        (point_row("tanh", 4, "haar", 1000, 9), walks(long, 9, -0.01, 0.1), long),
        (point_row("tanh", 128, "haar", 1000, 9), walks(long, 9, 0.01, 0.1), long),
        (point_row("relu", 16, "he", 2, 9, weights="untied"), np.full((9, 2), -INF), short),
    )


@pytest.mark.slow
def test_a_study_of_105_points_is_drawn_whole_and_every_chart_is_valid_vega_lite(large):
    drawn = figures.charts(*large)
    cells = [f"{kind}-{cell}" for cell in synthetic.CELLS for kind in ("probability", "log-norm")]
    assert list(drawn) == ["overview", *cells, "growth-rate"]
    for name in ("overview", "probability-relu", "log-norm-relu", "growth-rate"):
        drawn[name].to_dict(validate=True)


@pytest.mark.slow
def test_the_overview_stacks_the_shares_of_every_point_at_its_last_horizon(large):
    statistics, points = large
    bars = data_of(figures.charts(statistics, points)["overview"]).drop_nulls("from")
    assert bars.height == 3 * points.height
    rows = main_rows(statistics, points)
    for row in rows.iter_rows(named=True):
        mine = bars.filter(
            pl.col("cell") == row["cell"],
            pl.col("panel") == f"width {row['width']}",
            pl.col("series") == row["series"],
        )
        shares = dict(zip(mine["outcome"], mine["to"] - mine["from"], strict=True))
        assert shares == pytest.approx(
            {event: row[f"p_{event}_at"] for event in ("vanish", "stable", "explode")}, abs=1e-4
        )
        assert mine["to"].max() == pytest.approx(1)


@pytest.mark.slow
def test_every_panel_of_a_sparse_study_has_a_row_lest_vega_lite_draws_others_in_its_place():
    bars = data_of(figures.charts(*sparse())["overview"])
    panels = set(bars.select("cell", "panel").rows())
    assert len(panels) == 2 * 3
    drawn = set(bars.drop_nulls("from").select("cell", "panel").rows())
    assert drawn == {("tanh", "width 4"), ("tanh", "width 128"), ("relu", "width 16")}


@pytest.mark.slow
def test_the_three_outcomes_have_the_same_colours_wherever_they_appear(large):
    domain = figures.charts(*large)["overview"].to_dict(validate=False)
    text = str(domain)
    assert list(figures.OUTCOMES) == ["vanish", "stable", "explode"]
    for colour in figures.OUTCOMES.values():
        assert colour in text


@pytest.mark.slow
def test_curves_of_probability_carry_the_numbers_of_the_statistics(large):
    statistics, points = large
    curves = data_of(figures.charts(statistics, points)["probability-relu"])
    row = points.filter(pl.col("cell") == "relu", pl.col("width") == 16, pl.col("init") == "keras")
    want = statistics.filter(pl.col("point") == row["point"][0], pl.col("measure") == "log_spectral")
    ends = {"P": "", "low": "_low", "high": "_high", "lowest": "_band_low", "highest": "_band_high"}
    for (event, mode), question in QUESTIONS.items():
        mine = curves.filter(
            pl.col("panel") == "width 16", pl.col("series") == "keras", pl.col("question") == question
        ).sort("horizon")
        for column, end in ends.items():
            np.testing.assert_allclose(mine[column], want[f"p_{event}_{mode}{end}"], rtol=5e-3, atol=1e-12)


@pytest.mark.process
@pytest.mark.parametrize("value", [0.3, -INF, INF])
def test_a_tiny_study_can_be_drawn(value):
    drawn = figures.charts(*tiny(value))
    assert list(drawn) == ["overview", "probability-lstm", "log-norm-lstm"]
    files = rendered(drawn)
    assert list(files) == [f"{name}.{kind}" for name in drawn for kind in ("svg", "png")]
    for name, content in files.items():
        assert content.startswith(b"<svg" if name.endswith("svg") else b"\x89PNG")
        assert not name.endswith("svg") or not re.search(b"NaN|Infinity", content)


@pytest.mark.slow
def test_infinite_and_undefined_numbers_never_reach_a_chart():
    for statistics, points in (sparse(), tiny(-INF), tiny(INF)):
        for chart in figures.charts(statistics, points).values():
            text = chart.to_json(validate=False)
            # Words of the tooltip may say -inf; a number must not.
            values = data_of(chart).select(pl.col(pl.Float64))
            assert all(column.drop_nulls().is_finite().all() for column in values)
            assert not re.search(r"\bNaN\b|Infinity", text)


@pytest.mark.slow
def test_an_infinite_median_is_marked_at_the_edge_and_left_out_of_the_line():
    norms = data_of(figures.charts(*sparse())["log-norm-relu"])
    assert norms["median"].is_null().all()
    assert (norms["edge"] < np.log(VANISH)).all()


@pytest.mark.slow
def test_growth_rates_are_left_out_where_they_are_undefined():
    rates = data_of(figures.charts(*sparse())["growth-rate"])
    assert rates["cell"].unique().to_list() == ["tanh"]


def doomed() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Three points over three decades: all alive, a third of them dead, one of them overflowed."""
    horizons = [1, 10, 100, 1000]
    paths = [walks(horizons, 30, -0.01, 0.1, seed=seed) for seed in range(3)]
    paths[1][:10, 3] = -INF
    paths[2][0, 3] = INF
    rows = [point_row("relu", 4, init, 1000, 30) for init in ("alive", "dying", "growing")]
    return study_of(*((row, path, horizons) for row, path in zip(rows, paths, strict=True)))


@pytest.mark.slow
def test_a_rate_of_survivors_is_an_open_dot_and_one_that_is_not_known_a_triangle():
    chart = figures.charts(*doomed())["growth-rate"]
    chart.to_dict(validate=True)
    rates = data_of(chart).rows_by_key("series", named=True, unique=True)
    assert {name: row["kind"] for name, row in rates.items()} == {
        "alive": "all",
        "dying": "survivors",
        "growing": "unknown",
    }
    assert rates["dying"]["text"].endswith(" (20 of 30)")
    assert (rates["growing"]["rate"], rates["growing"]["text"]) == (None, "not known: 3.3 % overflowed")
    assert "open: of the survivors only, as some died; triangles: not known" in chart.to_json(validate=False)
    alone = figures.charts(*(frame.filter(pl.col("point") == doomed()[1]["point"][0]) for frame in doomed()))
    assert "survivors" not in alone["growth-rate"].to_dict(validate=False)["title"]["subtitle"]


def test_statistics_from_before_survivors_were_counted_are_refused_with_the_remedy():
    statistics, points = tiny(0.0)
    with pytest.raises(UsageError, match="run rnnmc statistics"):
        main_rows(statistics.drop("ok_count"), points)


@pytest.mark.slow
@pytest.mark.process
def test_a_chart_is_rendered_as_vector_and_pixels_within_seconds(large):
    start = time.process_time()
    files = rendered(figures.charts(*large))
    assert time.process_time() - start < 15
    assert len(files) == 2 * 16
    assert all(len(content) > 1000 for content in files.values())


@pytest.mark.slow
def test_a_study_of_105_points_stays_small_as_data(large):
    size = sum(len(chart.to_json(validate=False)) for chart in figures.charts(*large).values())
    assert size < 2_000_000
    assert alt.data_transformers.active == "default"  # whose limit of 5,000 rows the charts must not need lifted


def test_series_are_named_by_what_varies_and_by_nothing_else():
    rows = [
        point_row("tanh", 4, "haar", 10, 1),
        point_row("tanh", 4, "haar", 10, 1, weights="untied"),
        point_row("tanh", 4, "haar", 10, 1, state_std=0.5),
    ]
    named = with_series(pl.DataFrame(rows))
    assert named["series"].to_list() == ["tied", "untied", "tied; state std 0.5"]
    assert with_series(pl.DataFrame(rows[:1]))["series"].to_list() == ["haar"]


def test_a_file_is_named_without_its_folder_unless_two_have_one_name():
    rows = [
        point_row("tanh", 4, "haar", 10, 1, drive=f"file {path} column x")
        for path in ("data/a.csv", "b.csv", "/w/c.csv")
    ]
    named = with_series(pl.DataFrame(rows))["series"].to_list()
    assert named == ["drive file a.csv column x", "drive file b.csv column x", "drive file c.csv column x"]
    rows = [point_row("tanh", 4, "haar", 10, 1, drive=f"file {folder}/a.csv") for folder in ("x", "y")]
    assert with_series(pl.DataFrame(rows))["series"].n_unique() == 2


def test_points_that_nothing_named_tells_apart_are_told_apart_by_their_key():
    first = point_row("tanh", 4, "haar", 10, 1)
    second = first | {"point": "ffffffffffff", "horizon": 100}
    labels = with_series(pl.DataFrame([first, second]))["series"].to_list()
    assert labels == [f"haar #{first['point'][:6]}", "haar #ffffff"]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.734, 0.7201, 0.7472), "0.734 [0.720, 0.747]"),
        ((0, 0, 0.00096), "0 [0, 0.00096]"),
        ((1, 0.9905, 1), "1 [0.9905, 1]"),
        ((0, 0, 1), "0 [0, 1]"),
        ((0.5, 0.0945, 0.9055), "0.50 [0.09, 0.91]"),
        ((2e-6, 5e-7, 7e-6), "0.0000020 [0.0000005, 0.0000070]"),
    ],
)
def test_a_probability_is_written_as_exactly_as_its_interval_warrants(numbers, text):
    assert probability_text(*numbers) == text


def test_log_norms_and_rates_are_written_to_three_digits_or_to_their_error():
    assert [nats_text(value) for value in (-549.31, -12.34, 0.123, -0.001, INF, -INF, None)] == [
        "-549",
        "-12.3",
        "0.12",
        "0.00",
        "inf",
        "-inf",
        "-",
    ]
    assert log_norm_text({"q05": -INF, "q50": -10.25, "q95": 3.0}) == "-10.2 [-inf, 3.00]"


@pytest.mark.parametrize(
    ("rate", "error", "ok", "overflowed", "text"),
    [
        (-0.44012, 0.0012, 4000, 0, "-0.4401 +- 0.0012"),
        (-0.44012, 0.0012, 1200, 0, "-0.4401 +- 0.0012 (1,200 of 4,000)"),
        (-0.5, None, 1, 0, "-0.5 (1 of 4,000)"),
        (0.0, 0.0, 4000, 0, "0 +- 0"),
        (None, None, 0, 0, "-"),
        (None, None, 3000, 1000, "not known: 25 % overflowed"),
        (None, None, 3999, 1, "not known: 0.025 % overflowed"),
        (None, None, 1, 3999, "not known: 99 % overflowed"),
        (None, None, 0, 4000, "not known: 100 % overflowed"),
    ],
)
def test_a_rate_is_written_to_its_error_and_with_those_it_speaks_for(rate, error, ok, overflowed, text):
    row = {"growth_rate": rate, "growth_rate_error": error, "ok_count": ok, "replicates": 4000}
    assert rate_text(row | {"overflow_by_count": overflowed}) == text


def test_a_rate_has_its_interval_and_most_networks_stand_beside_where_they_do_the_opposite():
    row = {
        "growth_rate": -0.0421, "growth_rate_error": 0.01, "growth_rate_low": -0.0678, "growth_rate_high": -0.0164,
        "growth_median": -0.0352, "growth_median_low": -0.041, "growth_median_high": -0.031,
        "p_growing": 0.1, "p_growing_low": 0.05, "p_growing_high": 0.18,
        "ok_count": 6, "replicates": 6, "overflow_by_count": 0,
    }  # fmt: skip
    assert rate_text(row) == "-0.042 [-0.068, -0.016]"
    assert most_text(row) == "median -0.0352 [-0.0410, -0.0310], 0.10 [0.05, 0.18] grow"
    turned = row | {"growth_median": 0.0352, "growth_median_low": 0.031, "growth_median_high": 0.041}
    assert rate_text(turned).startswith("-0.042 [-0.068, -0.016]; median 0.0352 [0.0310, 0.0410]")
    unbounded = row | {"growth_rate_low": -math.inf, "growth_rate_high": math.inf}  # a confidence sequence of three
    assert rate_text(unbounded) == "-0.04 [-inf, inf]"
    open_ended = row | {"growth_median": -math.inf, "growth_median_low": None, "growth_median_high": None}
    assert most_text(open_ended) == "median -inf, 0.10 [0.05, 0.18] grow"
    assert most_text(row | {"growth_median": None}) == ""


def printed(table, width: int = 160) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(table)
    return stream.getvalue()


@pytest.mark.slow
def test_the_main_table_has_one_row_a_point_with_its_numbers(large):
    statistics, points = large
    text = printed(main_table(main_rows(statistics, points)), 240)
    for row in main_rows(statistics, points).iter_rows(named=True):
        line = next(line for line in text.splitlines() if line.split()[:2] == [row["cell"], str(row["width"])])
        text = text.replace(line, "", 1)
        assert row["series"] in line
        for event in ("vanish", "stable", "explode"):
            bounds = (row[f"p_{event}_at{end}"] for end in ("", "_low", "_high"))
            assert probability_text(*bounds).replace(", ", ",") in line
    assert "P(dead)" in text


@pytest.mark.slow
@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_narrow_terminal_wraps_the_main_table_and_drops_nothing(large, width):
    def said(text: str) -> list[str]:
        return sorted(re.sub(r"[\s\u2500]", "", text))

    table = main_table(main_rows(*large))
    text = printed(table, width)
    assert max(map(len, text.splitlines())) <= width
    assert said(text) == said(printed(table, 400))
    if width == 160:  # there, no interval is cut in two
        assert len(re.findall(r"\[\S+,\S+\]", text)) == 4 * large[1].height


@pytest.mark.slow
def test_in_80_columns_the_narrow_table_fits_and_breaks_no_number(large):
    rows = main_rows(*large)
    assert fitting([main_table(rows), narrow_table(rows)]).row_count == rows.height
    text = printed(narrow_table(rows), 80)
    assert max(map(len, text.splitlines())) <= 80
    for row in rows.iter_rows(named=True):
        line = next(line for line in text.splitlines() if line.split()[:2] == [row["cell"], str(row["width"])])
        text = text.replace(line, "", 1)
        shares = [share_text(row[f"p_{event}_at"]) for event in ("vanish", "stable", "explode")]
        assert line.split()[-5:-2] == shares
        assert line.split()[-1] == nats_text(row["q50"])


@pytest.mark.parametrize("value", [-INF, INF, 0.25])
def test_infinities_survive_the_terminal_which_reads_brackets_as_markup(value):
    statistics, points = tiny(value)
    for table in (main_table(main_rows(statistics, points)), horizon_table(statistics, "one")):
        assert f"[{nats_text(value)},{nats_text(value)}]" in printed(table)


@pytest.mark.slow
def test_tables_print_on_a_terminal_that_knows_only_ascii(large):
    for table in (main_table(main_rows(*large)), horizon_table(tiny(INF)[0], "one")):
        written = io.BytesIO()
        stream = io.TextIOWrapper(written, encoding="ascii")
        Console(file=stream, width=120).print(table)
        stream.flush()
        assert len(written.getvalue().splitlines()) >= table.row_count


def test_the_horizon_table_has_one_row_a_horizon_and_shows_either_measure():
    statistics, _ = study_of((point_row("tanh", 4, "haar", 1000, 9), walks([1, 10, 1000], 9, 0, 0.1), [1, 10, 1000]))
    text = printed(horizon_table(statistics, "tanh, width 4"))
    assert re.findall(r"^ +([\d,]+)  +\d", text, re.MULTILINE) == ["1", "10", "1,000"]
    assert "RMS gain" in printed(horizon_table(statistics, "t", measure="log_rms"))
    with pytest.raises(ValueError, match="2 points"):
        horizon_table(pl.concat([statistics, tiny(0.0)[0].with_columns(point=pl.lit("x"))]), "two")


def test_a_growth_rate_of_zero_is_told_and_so_is_why_there_is_none():
    still, _ = study_of((point_row("linear", 1, "haar", 100, 9), np.zeros((9, 3)), [1, 10, 100]))
    assert "growth rate over the last decade: 0 +- 0 nats a step" in printed(horizon_table(still, "still"))
    wild = walks([1, 10, 100], 50, 0.1, 0.1)
    wild[:2, 2] = INF
    overflowed, _ = study_of((point_row("relu", 4, "haar", 100, 50), wild, [1, 10, 100]))
    assert "not known: 4 % overflowed" in printed(horizon_table(overflowed, "wild"))


def sentences(*parts: tuple[str, float]) -> str:
    """Findings on cells with 40 replicates, of which this share explodes and the others stay."""
    rows = [(point_row(cell, 4, "haar", 1, 40), share) for cell, share in parts]
    paths = [np.where(np.arange(40)[:, None] < 40 * share, 9.0, 0.0) for _, share in rows]
    statistics, points = study_of(*((row, path, [1]) for (row, _), path in zip(rows, paths, strict=True)))
    return " ".join(findings(main_rows(statistics, points), statistics))


def test_a_majority_that_its_interval_does_not_bear_out_is_not_claimed():
    text = sentences(("tanh", 0.55), ("relu", 0.95), ("gru", 0.05))
    assert "1 (33 %) mostly stay in between, 1 (33 %) mostly explode and 1 has no clear majority" in text
    assert "up to step 1, the last one, as perhaps do half at 1 other design point" in text


def test_most_often_is_said_only_where_no_interval_reaches_the_first():
    found = sentences(("relu", 0.95), ("tanh", 0.3))
    assert "The relu cell explodes most often: P = " in found
    assert "Too close to tell" not in found
    close = sentences(("relu", 0.6), ("tanh", 0.55), ("gru", 0.5), ("lstm", 0.0))
    assert "explodes most often:" not in close
    assert close.endswith("Too close to tell at this precision: which cell explodes most often.")


def test_cells_are_compared_where_all_have_been_measured_and_nowhere_else():
    def told(*parts: tuple[str, int, float]) -> str:
        rows = [(point_row(cell, width, "haar", 1, 40), share) for cell, width, share in parts]
        paths = [np.where(np.arange(40)[:, None] < 40 * share, 9.0, 0.0) for _, share in rows]
        statistics, points = study_of(*((row, path, [1]) for (row, _), path in zip(rows, paths, strict=True)))
        return " ".join(findings(main_rows(statistics, points), statistics))

    both = told(("relu", 4, 0.9), ("tanh", 4, 0.2), ("relu", 8, 0.9), ("tanh", 8, 0.2), ("tanh", 16, 1.0))
    assert "The relu cell explodes most often: P = 0.90" in both
    assert "over the 2 design points that all cells have" in both
    assert "most often" not in told(("relu", 4, 0.9), ("tanh", 8, 0.2))
    assert "most often" not in told(("relu", 4, 0.9), ("relu", 8, 0.2))


def test_where_all_points_do_the_same_none_is_singled_out():
    text = sentences(("relu", 0.0), ("tanh", 0.05))
    assert "At every design point more than half of the replicates have not once left" in text


def test_no_number_of_the_table_of_a_rare_event_is_broken_in_80_columns():
    columns = {"threshold": 0.000123456, "p": 1.23456e-101, "p_low": 1.1e-101, "p_high": 1.9e-101}
    columns |= {"relative_error": 0.123, "acceptance": 0.215, "alike": 0.1234, "ancestors": 123.4, "family": 0.0123}
    columns |= {"level": 3, "populations": 20, "particles": 1000, "evaluations": 123456, "doubt": ""}
    text = printed(rare_table(pl.DataFrame([columns]), "an event"), 80)
    assert "0.000123 1.23e-101 [1.1e-101,1.9e-101]  12 % 0.215 0.123       123 0.0123" in text
