"""A chart of one's own choosing draws what was asked for, or says what it cannot draw."""

from __future__ import annotations

import io

import polars as pl
import pytest
from synthetic import study

from rnnmc.common.errors import UsageError
from rnnmc.report.plotting import chosen, heading, plotted, with_factors

_, POINTS, TABLES = study(cells=("tanh", "lstm"), widths=(4, 16), inits=("pytorch", "keras"), last=100)
POINTS = POINTS.with_columns(
    json=pl.when(pl.col("cell") == "lstm")
    .then(pl.lit('{"init": {"recurrent": {"gaussian": 2.0}, "bias": {"forget": 1}}, "drive": "white", "width": 9}'))
    .otherwise(pl.lit('{"init": "pytorch", "drive": {"white": 3}}'))
)
TABLE = with_factors(TABLES["statistics"], POINTS)


def drawn(table: pl.DataFrame, *words: str, by: list[str]) -> pl.DataFrame:
    """What the lines of a chart rest on."""
    said = plotted(table, *words, by).to_dict()
    return pl.read_csv(io.StringIO(next(iter(said.get("datasets", {}).values()), None) or said["data"]["values"]))


def test_numbers_inside_of_init_and_drive_are_columns() -> None:
    assert set(TABLE.filter(cell="lstm")["gain"]) == {2.0}
    assert set(TABLE.filter(cell="lstm")["init.bias.forget"]) == {1.0}
    assert set(TABLE.filter(cell="tanh")["drive.white"]) == {3.0}
    assert TABLE.filter(cell="tanh")["gain"].null_count() == TABLE.filter(cell="tanh").height


def test_every_row_of_a_line_is_a_row_of_the_statistics_with_its_interval() -> None:
    rows = chosen(TABLE, {"width": "4", "init": "pytorch"}, "horizon")
    found = drawn(rows, "horizon", "p_vanish_at", by=["cell", "init"])
    truth = rows.select("horizon", "p_vanish_at", "p_vanish_at_low", "p_vanish_at_high", series="cell")
    truth = truth.with_columns(pl.col(pl.Float64).round_sig_figs(5)).sort("series", "horizon")
    assert found.select(truth.columns).equals(truth)
    assert set(TABLE["measure"]) > set(rows["measure"]) == {"log_spectral"}


def test_against_another_factor_only_the_last_horizon_counts() -> None:
    rows = chosen(TABLE, {"init": "keras"}, "width")
    assert set(rows["horizon"]) == {100}
    assert drawn(rows, "width", "q50", by=["cell"])["width"].to_list() == [4, 16] * 2


def test_without_a_word_there_is_a_line_for_all_that_varies_in_the_order_of_numbers() -> None:
    rows = chosen(TABLE, {"cell": "tanh"}, "horizon")
    wider = rows.with_columns(width=pl.col("width").replace(4, 100))
    series = drawn(wider, "horizon", "p_vanish_at", by=[])["series"].unique(maintain_order=True).to_list()
    assert series == ["16, keras", "16, pytorch", "100, keras", "100, pytorch"]
    many = pl.concat(rows.with_columns(width=pl.lit(width, pl.Int64)) for width in range(30))
    with pytest.raises(UsageError, match=r"--by width,init: 60 lines are too many .* --where 'init="):
        plotted(many.unique(["width", "init", "horizon"]), "horizon", "p_vanish_at")


def test_against_a_number_inside_of_init_a_line_joins_points_of_several_inits() -> None:
    rows = chosen(TABLE, {"cell": "lstm", "width": "4"}, "gain")
    both = rows.with_columns(gain=pl.Series([1.0, 2.0]), init=pl.Series(["gaussian 1", "gaussian 2"]))
    found = drawn(both, "gain", "p_vanish_at", by=[])
    assert found["gain"].to_list() == [1.0, 2.0]
    assert found["series"].n_unique() == 1


def test_a_chart_says_of_what_it_is_and_of_which_rows() -> None:
    said = heading("mine", {"width": "24", "measure": "log_rms"}, "gain", "p_vanish_at").to_dict()
    assert said["text"] == "mine: p_vanish_at against gain"
    assert said["subtitle"] == "measure log_rms, width 24; at the last horizon of each design point"
    assert heading("mine", {}, "horizon", "q50").to_dict()["subtitle"] == "measure log_spectral"


def test_an_end_of_an_interval_can_be_what_it_is_drawn_against() -> None:
    assert drawn(chosen(TABLE, {}, "p_vanish_at_low"), "p_vanish_at_low", "p_vanish_at", by=[]).width == 4


@pytest.mark.parametrize(
    ("where", "x", "y", "by", "said"),
    [
        ({}, "horizon", "p_vanish_at", ["cell"], "differ in width, init"),
        ({}, "horizon", "p_vanishat", ["cell"], "did you mean p_vanish_at"),
        (
            {},
            "init",
            "p_vanish_at",
            ["cell"],
            "--x init: is not a column of numbers; inside of it are init.bias.forget, gain",
        ),
        ({}, "cell", "p_vanish_at", ["cell"], "--x cell: is not a column of numbers; give it to --by, or another one"),
        ({}, "forget", "p_vanish_at", ["cell"], "--x forget: is not a column; .*init.bias.forget"),
        ({}, "horizon", "p_vanish_at", ["cells"], "--by cells: is not a column"),
        ({}, "p_vanish_at", "p_vanish_at", [], "--y p_vanish_at: is drawn along the other axis"),
        ({"width": "5"}, "horizon", "p_vanish_at", ["cell"], "--where width=5: no row has it; there are 4, 16"),
        ({"width": "x"}, "horizon", "p_vanish_at", ["cell"], "--where width=x: is not a number"),
        ({"measure": "log"}, "horizon", "p_vanish_at", ["cell"], "--where measure=log: no row has it"),
        ({"cell": "tanh"}, "gain", "p_vanish_at", ["cell"], "no row has a finite number in both"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_sentence(where: dict, x: str, y: str, by: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        plotted(chosen(TABLE, where, x), x, y, by)
