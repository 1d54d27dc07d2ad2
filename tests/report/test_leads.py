"""The first screen: the question, the sentence that answers it and its figure, and the command that repeats a row."""

import re
import shlex

import numpy as np
import polars as pl
import pytest
import synthetic
from pages import words
from studies import study_of
from typer.testing import CliRunner

from rnnmc.claims import CONDITIONS, EMPTY, FAILS, HOLDS, ONLY_WHEN, UNDECIDED, verdicts
from rnnmc.cli.shared import app
from rnnmc.report.leads import lead
from rnnmc.report.leads import shares as of_shares
from rnnmc.report.leads.lead import one_in
from rnnmc.report.leads.learning import lead as learning
from rnnmc.report.leads.lifetimes import lead as lifetimes
from rnnmc.report.leads.maps import lead as maps
from rnnmc.report.leads.rare import lead as rare
from rnnmc.report.leads.verdicts import lead as lead_of_verdicts
from rnnmc.report.repeat import command
from rnnmc.report.text import main_rows, study_points

INITS = ("pytorch", "keras")


def bars(figure: str) -> list[dict[str, float]]:
    """event -> per cent, of every bar."""
    found = re.findall(r'<span class="share".*?</span>', figure)
    return [{a: float(b) for a, b in re.findall(r'class="(\w+)" style="width:([\d.]+)%', bar)} for bar in found]


@pytest.mark.slow
def test_shares_are_means_over_design_points_and_the_sentence_says_them():
    _, points, tables = synthetic.study(cells=("tanh", "gru"), widths=(4, 16), inits=INITS, last=100, replicates=20)
    points = study_points(points)
    rows = main_rows(tables["statistics"], points)
    found = lead({}, rows, points, tables)
    assert found.kind == "shares"
    assert found.question.startswith("Do gradients vanish or explode within 100 steps")
    drawn = bars(found.figure)
    assert len(drawn) == 2 * (1 + 2)  # a cell: all, and one for each initialisation
    for cell, shares in zip(("tanh", "gru"), drawn[::3], strict=True):
        own = rows.filter(pl.col("cell") == cell)
        for event in ("vanish", "stable", "explode"):
            assert shares[event] == pytest.approx(100 * own[f"p_{event}_at"].to_numpy().mean(), abs=0.06)
    for event in ("vanish", "explode"):
        assert f"{100 * rows[f'p_{event}_at'].to_numpy().mean():.0f}\u00a0%" in found.answer
    assert lead({"question": "Why?"}, rows, points, tables).question == "Why?"


@pytest.mark.slow
@pytest.mark.parametrize("cells", [("tanh",), ("tanh", "lstm", "relu")])
def test_no_first_screen_holds_a_hash_or_a_word_of_statistics(cells):
    _, points, tables = synthetic.study(cells=cells, widths=(4,), inits=INITS, last=100, replicates=10)
    points = study_points(points)
    found = lead({}, main_rows(tables["statistics"], points), points, tables)
    said = " ".join((found.question, found.answer, found.caption, words(found.figure))).lower()
    for word_ in (
        "interval",
        "quantile",
        "replicate",
        "nats",
        "horizon",
        "wilson",
        "design point",
        "median",
        "jacobian",
    ):
        assert word_ not in said
    assert not re.search(r"\b[0-9a-f]{6,}\b", said)


def test_a_sentence_says_where_the_width_makes_a_difference_and_all_else_is_alike():
    lines = [
        ("tanh", 1, "pytorch", 0.02),
        ("tanh", 64, "pytorch", 0.3),
        ("gru", 1, "pytorch", 0.0),
        ("gru", 64, "pytorch", 0.2),
    ]
    rows = pl.DataFrame(lines, schema=["cell", "width", "init", "p_explode_at"], orient="row")
    assert of_shares._wider(rows) == " It has exploded in 1\u00a0% of networks of 1 unit and in 25\u00a0% of 64."
    assert of_shares._wider(rows.head(3)) == ""
    for factor in ("horizon", "driven"):
        other = rows.with_columns(pl.when(pl.col("width") == 1).then(pl.lit("a")).otherwise(pl.lit("b")).alias(factor))
        assert of_shares._wider(other) == "", "not all else is alike"
    assert of_shares._wider(rows.with_columns(p_explode_at=pl.lit(0.1))) == ""


def test_names_that_hold_commas_are_told_apart_by_more_than_commas():
    for inits, said in ((("a", "b, c"), "with a and b, c it"), (("a, b", "c", "d"), "with a, b; c and d it")):
        rows = pl.DataFrame({"init": inits, "p_vanish_at": 1.0, "p_stable_at": 0.0, "p_explode_at": 0.0})
        assert said in of_shares._always(rows)


def test_lifetimes_order_cells_by_when_half_of_their_networks_have_left():
    at = {f"cell_{i:02}": by for i, by in enumerate([None, 500, 3, 70, *range(100, 110)])}
    keys = [f"p{i}" for i in range(len(at))]
    rows = pl.DataFrame({"point": keys, "cell": list(at), "horizon": 1000})
    table = pl.DataFrame({"point": keys, "percent": 50.0, "by": list(at.values()), "vanished": 0.9})
    found = lifetimes(rows, rows, {"lifetime": table})
    assert found is not None
    names = re.findall(r'<span class="name">(\w+)', found.figure)
    assert names[:2] == ["cell_00", "cell_01"]
    assert names[-1] == "cell_02"
    assert "In 1 of 14 cells" in found.answer
    assert "cell_02 within 3 steps" in found.answer
    assert lifetimes(rows.head(11), rows, {"lifetime": table}) is None
    for kept, said in ((14, "In all 14 cells most networks still"), (12, "In 12 of 14 cells")):
        by = [None if i < kept else i for i in range(14)]
        found = lifetimes(rows, rows, {"lifetime": table.with_columns(by=pl.Series(by, dtype=pl.Int64))})
        assert found is not None
        assert said in found.answer
    shorter = rows.with_columns(point=pl.col("point") + "s", horizon=pl.lit(100))
    longer = pl.concat([table, table.with_columns(point=pl.col("point") + "s", by=pl.lit(None, pl.Int64))])
    again = lifetimes(pl.concat([rows, shorter]), rows, {"lifetime": longer})
    assert again is not None
    assert "In 1 of 14 cells" in again.answer, "what was followed for 100 steps has not kept its gradient for 1,000"


def test_a_map_says_from_which_gain_on_more_networks_explode_and_is_drawn_for_every_cell():
    gains, fields = (0.5, 1.0, 2.0, 4.0), (0.1, 3.0)
    lines = [
        {"cell": cell, "gain": gain, "field": field, "p_explode_at": float(gain * (1 if field < 1 else 0.5) > turn)}
        for cell, turn in (("a", 1.0), ("b", 9.0)) for gain in gains for field in fields
    ]  # fmt: skip
    table = pl.DataFrame(lines).with_columns(
        pl.format("p{}", pl.int_range(pl.len())).alias("point"),
        pl.lit("tied").alias("weights"),
        pl.lit(16).alias("width"),
        pl.lit(500).alias("horizon"),
        (1 - pl.col("p_explode_at")).alias("p_vanish_at"),
        pl.lit(0.0).alias("p_stable_at"),
    )
    found = maps(table, table, {"phase": table})
    assert found is not None
    assert "in a from gain 2, and never in b; strong input moves that to larger gains" in found.answer
    assert found.figure.count('class="panel map"') == 2
    assert found.figure.count("<i style=") == 16
    assert maps(pl.concat([table] * 3), table, {"phase": table}) is None
    rest = table.filter(pl.col("cell") == "a").with_columns(cell=pl.lit("c"), point=pl.col("point") + "c", field=0.0)
    some = maps(both := pl.concat([table, rest]), both, {"phase": both})
    assert some is not None
    assert "in a from gain 2, and never in b" in some.answer, "a has no input of 0, at which c was looked at"
    top = pl.when((pl.col("cell") == "a") & (pl.col("gain") == 4)).then(0.0)
    shares = top.otherwise("p_explode_at")
    fallen = table.with_columns(p_explode_at=shares, p_vanish_at=1 - shares)
    found = maps(fallen, fallen, {"phase": fallen})
    assert found is not None
    assert "more networks explode than vanish in a, with weak input at the largest in none" in found.answer


def test_statements_are_counted_by_the_verdicts_that_every_table_shows():
    """One meaning a word: the first screen said "holds" of what the table beside it and the docs call undecided."""
    asked = [("A1", 250, 0, 0), ("A2", 246, 4, 0), ("A3", 16, 0, 3), ("A4", 0, 9, 0), ("A5", 0, 0, 0)]
    decided = pl.DataFrame(
        [
            {"claim": claim, "states": "", "part": "p", "says": f"{claim} says", "asks": "every", "verdict": kind}
            | dict.fromkeys(CONDITIONS) | {"width": i}
            for claim, *counts in asked
            for kind, count in zip(("holds", "fails", "undecided", "empty"), [*counts, int(claim == "A5")], strict=True)
            for i in range(count)
        ]
    )  # fmt: skip
    table = verdicts(decided)
    words = dict(zip(table["claim"], table["verdict"], strict=True))
    assert words == {"A1": HOLDS, "A2": ONLY_WHEN, "A3": UNDECIDED, "A4": FAILS, "A5": EMPTY}
    found = lead_of_verdicts(table, table, {"verdicts": table})
    assert found is not None
    assert found.answer == (
        "Of the 5 statements that the article and its readers make, 1 holds, 1 holds under some conditions only, "
        "1 fails, 1 is still open and 1 finds nothing to be seen."
    )
    assert re.findall(r"<p><b class=\"\w+\">([\w ]+)</b> (\d)</p>", found.figure) == [
        (kind, "1") for kind in ("holds", "depends", "fails", "open", "nothing to see")
    ]
    assert "says</span>" in found.figure


@pytest.mark.parametrize(("number", "left"), [(3, 0), (4, 1), (30, 27)])
def test_a_phone_shows_some_statements_of_each_verdict_and_says_how_many_more_there_are(number, left):
    """All are in the figure; the style sheet leaves those out on a phone that are marked as more."""
    row = {"claim": "A1", "verdict": HOLDS, "when": "", "otherwise": 0, "holds": 9, "fails": 0, "undecided": 0}
    table = pl.DataFrame([row | {"says": f"statement {i}"} for i in range(number)])
    found = lead_of_verdicts(table, table, {"verdicts": table})
    assert found is not None
    assert re.findall(r"<span>(statement \d+)</span>", found.figure) == table["says"].to_list()
    assert found.figure.count('<li class="more"') == left
    assert re.findall(r"and (\d+) more", found.figure) == ([str(left)] if left else [])


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.5, "2"), (0.04, "20"), (1.9e-3, "500"), (2.1e-7, "5 million"), (2.5e-9, "400 million"), (1e-12, "1 trillion"),
     (7.5e-13, "1 trillion"), (1.1e-15, "900 trillion"), (3e-16, "10\u00b9\u2075"), (1e-30, "10\u00b3\u2070")],
)  # fmt: skip
def test_a_small_probability_is_one_in_a_number_that_people_can_say(p, said):
    assert one_in(p) == said


def test_a_study_of_rare_events_begins_with_how_improbable_they_are():
    """What was not found is no probability; the settings are those of the longest horizon that all of them have."""
    lines = [
        ("lstm", "torch.nn.LSTM", 300, 7e-13, True, ""),
        ("lstm", "haiku.LSTM", 300, 2e-7, True, ""),
        ("tanh", "torch.nn.RNN", 300, 3e-9, True, "ancestors"),
        ("gru", "torch.nn.GRU", 300, 1e-16, False, "gave up"),
        ("lstm", "haiku.LSTM", 30, 0.5, True, ""),
    ]
    points = pl.DataFrame(
        [
            {"point": f"p{i}", "cell": cell, "width": 4, "init": init, "json": '{"splitting": {"event": "explode_at"}}'}
            for i, (cell, init, *_) in enumerate(lines)
        ]
    )
    table = pl.DataFrame(
        [
            {"point": f"p{i}", "horizon": at, "p": p, "p_low": p / 2, "p_high": 2 * p, "reached": there, "doubt": doubt}
            for i, (_, _, at, p, there, doubt) in enumerate(lines)
        ]
    )
    found = rare(points, points, {"statistics-rare": table})
    assert found is not None
    assert found.answer == (
        "The gradient has exploded after 300 steps in 1 in 5 million haiku.LSTM networks of 4 units, and more rarely "
        "elsewhere; in 1 of 4 settings none was found."
    )
    named = re.findall(r'<span class="name">([\w.]+)</span>.*?<span class="value">(.*?)</span>', found.figure)
    assert named == [
        ("haiku.LSTM", "1 in 5 million"),
        ("torch.nn.RNN", "1 in 300 million ?"),
        ("torch.nn.LSTM", "1 in 1 trillion"),
        ("torch.nn.GRU", "&lt; 1 in 10\u00b9\u2076"),
    ]
    dots = [float(at) for at in re.findall(r'<b class="explode(?: open-dot)?" style="left:([\d.]+)%"', found.figure)]
    assert dots == sorted(dots, reverse=True)
    assert "A question mark" in found.caption
    assert rare(points, points, {}) is None


def test_learning_sums_up_every_task_in_one_sentence():
    p_stable = np.array([0.1, 0.9, 0.1, 0.9])
    table = pl.DataFrame(
        {
            "drive": ["adding 50, m = 2"] * 2 + ["copy 50, m = 5"] * 2, "horizon": 50, "clipped": "yes",
            "p_stable": p_stable, "p_learnt": p_stable, "learnt_losing": 0.1, "learnt_keeping": 0.9,
            "rank_correlation_low": [0.5, 0.5, -0.5, -0.5], "rank_correlation_high": 0.9,
        }
    )  # fmt: skip
    found = learning(table, table, {"trainability": table})
    assert found is not None
    assert found.answer.startswith(
        "90\u00a0% of the networks learn where the gradient is likely to last, 10\u00a0% where"
    )
    assert found.answer.endswith("the link is sure in 1 of 2 comparisons.")
    assert found.figure.count('class="none"') == 4


CONTENT = {
    "study": "again",
    "seed": 5,
    "points": [
        {"cell": "lstm", "width": 3, "init": {"preset": "pytorch", "bias": {"forget": 1}}, "horizons": [1, 7]},
        {"cell": "tanh", "width": 2, "layers": 3, "residual": True, "weights": "untied", "state_std": 0.5},
        {"cell": "gru", "width": 2, "drive": {"ar1": 0.5}, "dtype": "float64", "init": "keras"},
    ],
}


def test_the_command_of_a_row_asks_for_the_very_design_point(monkeypatch):
    asked = []

    def answered(wanted, *_):
        asked.append(wanted.point)
        raise KeyboardInterrupt

    monkeypatch.setattr("rnnmc.run.answer.answered", answered)
    for planned in study_of(CONTENT).points:
        line = command(planned.row()["json"], 30, 1e-3, 1e2)
        assert line.startswith("rnnmc measure ")
        assert "--explode 100" in line
        assert "--vanish" not in line
        CliRunner().invoke(app, shlex.split(line)[1:])
        assert asked[-1].key == planned.point.key
    assert len(asked) == 3


def test_a_threshold_is_said_with_all_its_digits():
    written = study_of(CONTENT).points[0].row()["json"]
    words = shlex.split(command(written, 30, 1.23456789e-3, 1234567.0))
    assert float(words[words.index("--vanish") + 1]) == 1.23456789e-3
    assert float(words[words.index("--explode") + 1]) == 1234567.0
    assert "--explode 100" in command(written, 30, 1e-3, 1e2)


def test_a_row_that_the_command_line_cannot_say_has_no_command():
    nested = study_of(
        {"study": "n", "points": [{"cell": "tanh", "width": 2, "replicates": {"weights": 4, "drives": 3}}]}
    )
    assert command(nested.points[0].row()["json"], 12, 1e-3, 1e3) == ""
    assert command("{}", 12, 1e-3, 1e3) == ""


def test_a_study_keeps_the_question_that_it_asks_and_writes_none_where_it_asks_none():
    assert "question" not in study_of(CONTENT).written()
    assert study_of(CONTENT | {"question": "Why?"}).written()["question"] == "Why?"
