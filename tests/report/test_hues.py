"""Colours of figures: at most as many as can be told apart, however many series a study has."""

from __future__ import annotations

import json
from typing import Any

import altair as alt
import polars as pl
import pytest
import synthetic
from charts import data_of
from synthetic import point_row

from rnnmc.report.charts import overview as figures
from rnnmc.report.charts.curves import WIDEST
from rnnmc.report.charts.parts import LINES, SERIES
from rnnmc.report.hues import OTHERS, few, hues_by_cell, in_hues, ordered_hues
from rnnmc.report.pictures import picture_of
from rnnmc.report.plotting import MOST_LINES, plotted
from rnnmc.report.text import study_points, with_series

MOST = 7  # colours that people tell apart
GAINS = [f"gaussian {gain:g}" for gain in (0.5, 1, 1.5, 2, 2.5, 3, 4, 5)]
INITS = ("pytorch", "keras", *GAINS, *(f"pytorch, bias forget {bias}" for bias in range(4)))


@pytest.fixture(scope="module")
def many() -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """(points, tables) of a study of 14 series in each cell, too many for colours whatever goes to panels."""
    _, points, tables = synthetic.study(("tanh", "gru"), (2,), INITS, last=10, replicates=20)
    return points, tables


def scales(said: Any) -> list[dict]:
    """Every colour of a field in a specification of Vega-Lite, of words."""
    inner = said.values() if isinstance(said, dict) else said if isinstance(said, list) else ()
    own = said.get("color") if isinstance(said, dict) else None
    found = [own] if isinstance(own, dict) and own.get("type") == "nominal" else []
    return [*found, *(scale for one in inner for scale in scales(one))]


@pytest.mark.slow
def test_no_chart_of_a_study_of_many_series_has_more_colours_than_can_be_told_apart(many):
    points, tables = many
    drawn = figures.charts(tables["statistics"], points, tables["variance"])
    assert {"overview", "probability-gru", "log-norm-tanh", "variance-gru", "growth-rate"} <= set(drawn)
    for name, chart in drawn.items():
        found = scales(chart.to_dict(validate=False))
        assert found, name
        assert all(len(colour["scale"]["domain"]) <= MOST for colour in found), name
        assert all(len(set(colour["scale"]["range"])) == len(colour["scale"]["domain"]) for colour in found), name


@pytest.mark.slow
def test_curves_that_share_a_colour_stay_lines_of_their_own_and_the_subtitle_says_so(many):
    points, tables = many
    chart = figures.charts(tables["statistics"], points)["log-norm-tanh"]
    shown = data_of(chart)
    assert not shown.select("panel", "name", "horizon").is_duplicated().any()
    assert set(shown["series"]) == {"pytorch", "keras", *few(["pytorch", "keras", *GAINS])}
    said = chart.to_dict(validate=False)
    assert '"detail": {"field": "name"' in json.dumps(said)
    assert "what has one colour differs in what the pointer says" in " ".join(said["title"]["subtitle"])


def test_a_band_as_wide_as_half_its_panel_is_not_drawn_and_the_subtitle_says_so():
    _, points, tables = synthetic.study(("tanh",), (2,), ("pytorch",), last=10, replicates=4)
    chart = figures.charts(tables["statistics"], points)["probability-tanh"].to_dict(validate=True)
    assert f"none that is wider than {WIDEST:g}" in str(chart["title"]["subtitle"])
    assert f"datum.high - datum.low <= {WIDEST} ? datum.low : null" in json.dumps(chart)


def test_widths_of_many_are_coloured_together_with_their_neighbours():
    widths = [2**k for k in range(12)]
    rows = {"point": [f"{width}" for width in widths], "cell": "tanh", "width": widths, "init": "pytorch"}
    rows |= {"drive": "white", "weights": "tied", "law": "wide", "growth_rate": 0.1, "growth_rate_error": 0.01}
    rows |= {"theory": 0.2, "difference": -0.1, "difference_low": -0.2, "difference_high": 0.0, "score": 1.0}
    picture = picture_of("against-theory")
    assert picture is not None
    (chart,) = picture.charts(pl.DataFrame(rows), pl.DataFrame()).values()
    domain = scales(chart.to_dict(validate=False))[0]["scale"]["domain"]
    assert domain == [f"width {low} to {high}" for low, high in zip(widths[::2], widths[1::2], strict=True)]


def test_names_that_differ_in_numbers_go_together_with_their_neighbours():
    assert few(GAINS[:6]) == GAINS[:6], "as many as there are colours"
    assert few([*GAINS[4:], *GAINS[:4]])[4:] == ["gaussian 0.5", "gaussian 1", "gaussian 1.5 to 2", "gaussian 1.5 to 2"]
    equal = few(["b 1", "a 1", "b 2", "a 2", "c 1", "d", "e", "b 3", "a 3"])
    assert equal[:4] == ["b 1", "a 1 to 3", "b 2 to 3", "a 1 to 3"], "the same in every process: what is named first"
    told = few(["pytorch", *GAINS, "gaussian 2 clip 1", "gaussian 3 clip 1.5", "keras"])
    assert (told[0], told[-1], told[-2]) == ("pytorch", "keras", "gaussian 2 clip 1 to gaussian 3 clip 1.5")
    assert len(set(told)) == len(SERIES)


def test_where_nothing_goes_together_the_rarest_are_others_and_stand_last():
    names = [f"law_{letter}" for letter in "abcdefgh"]
    told = few([*names, *names[3:]])
    assert {name for name, hue in zip([*names, *names[3:]], told, strict=True) if hue != OTHERS} == set(names[3:])
    assert ordered_hues(pl.DataFrame({"hue": [OTHERS, "gaussian 2", "keras", "gaussian 1"]})) == [
        "gaussian 1", "gaussian 2", "keras", OTHERS,
    ]  # fmt: skip


def test_factors_of_few_values_go_to_panels_before_colours_say_less():
    rows = [
        point_row("tanh", 4, init, 10, 1, drive=drive) for init in ("a", "b", "c", "d") for drive in ("white", "none")
    ]
    split = in_hues(with_series(pl.DataFrame(rows).with_columns(json=pl.lit("{}"))))
    assert set(split["hue"]) == {"a", "b", "c", "d"}
    assert set(split["rest"]) == {"drive white", "drive none"}


def test_layers_of_frameworks_share_the_colour_of_their_framework():
    layers = [
        f"{framework}.{layer}" for framework in ("torch.nn", "keras.layers") for layer in ("RNN", "GRU", "LSTM", "X")
    ]
    split = in_hues(with_series(pl.DataFrame([point_row("tanh", 4, layer, 10, 1) for layer in layers])))
    assert set(split["hue"]) == {"torch", "keras"}


def test_cells_have_the_same_hues_where_there_are_few_series_and_their_own_where_there_are_many():
    few_rows = [point_row(cell, 4, init, 10, 1) for cell, init in (("tanh", "a"), ("gru", "b"))]
    assert set(hues_by_cell(pl.DataFrame(few_rows))["hue"]) == {"a", "b"}
    many_rows = [point_row(cell, 4, f"{cell}_{i}", 10, 1) for cell in ("tanh", "gru") for i in range(5)]
    hued = hues_by_cell(study_points(pl.DataFrame(many_rows)))
    assert set(hued.filter(cell="gru")["hue"]) == {f"gru_{i}" for i in range(5)}


def test_a_chart_of_ones_own_tells_many_lines_apart_by_colour_and_dash():
    rows = pl.DataFrame(
        [{"cell": "tanh", "width": n, "horizon": T, "p": 0.5} for n in range(MOST_LINES) for T in (1, 2)]
    )
    chart = plotted(rows.select("horizon", "p", "cell", "width"), "horizon", "p", ["width"]).to_dict(validate=True)
    (line,) = (layer for layer in chart["layer"] if "strokeDash" in layer["encoding"])
    colours, dashes = (line["encoding"][name]["scale"]["range"] for name in ("color", "strokeDash"))
    assert len(set(colours)) <= MOST
    assert len({(one, tuple(dash)) for one, dash in zip(colours, dashes, strict=True)}) == MOST_LINES


def test_the_name_of_a_panel_is_broken_into_lines_that_panels_have_room_for():
    import vl_convert

    label = "width 64; drive file us-constitution.txt by character, m = 16"
    chart = alt.Chart(alt.InlineData(values=[{"panel": label, "x": 1}])).mark_point().encode(x="x:Q")
    facet = chart.facet(alt.Facet("panel:N", title=None, header=alt.Header(labelExpr=LINES)))
    svg = vl_convert.vegalite_to_svg(facet.to_dict())
    lines = [part.split("</")[0] for part in svg.split("<tspan")[1:]]
    assert [line.split(">")[1] for line in lines] == [
        "width 64", "drive file", "us-constitution.txt", "by character", "m = 16",
    ]  # fmt: skip
