"""What the page says beside the curves: theory, first passage, observables and self-validation, or nothing of them."""

import re
from pathlib import Path

import altair as alt
import polars as pl
import pytest
import synthetic
from pages import browse, entries, needs_browser, search, with_script, words
from synthetic import of_an_earlier_release, self_validation

from rnnmc.report import page as report
from rnnmc.report.page import write_report
from rnnmc.report.text import main_rows, passage_text

STUDY = {"cells": ("tanh", "lstm", "gru", "gru_tied"), "widths": (4,), "replicates": 100}


def study() -> tuple[dict, pl.DataFrame, dict[str, pl.DataFrame]]:
    return synthetic.study(**STUDY)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """The report of a study that has everything."""
    return write_report(tmp_path_factory.mktemp("page"), *study()).read_text(encoding="utf-8")


@pytest.mark.process
def test_theory_stands_next_to_the_growth_rate_with_its_law_under_the_pointer(page):
    _, points, tables = study()
    shown = {(row["cell"][0], row["initialiser"][0]): row for row in entries(page, "main")}
    for row in main_rows(tables["statistics"], points).iter_rows(named=True):
        text, number, pointer = shown[row["cell"], row["series"]]["theory"]
        if row["cell"] == "tanh":
            assert re.fullmatch("\u2212?[0-9.]+ exact \\([\u2212+][0-9]+\\.[0-9] s\\.e\\.\\)", text)
            assert (float(number), pointer) == (row["theory_growth_rate"], "gaussian_walk")
        elif row["cell"] == "lstm":
            assert text.endswith(" large width")
            assert pointer == "wide_walk"
        else:
            assert (text, number, pointer) == ("-", "", "")


@pytest.mark.process
def test_a_look_at_a_study_says_at_its_head_that_it_has_fewer_replicates(page, tmp_path):
    said, points, tables = study()
    told = "0.01 times as many replicates as its file says"
    text = write_report(tmp_path, said | {"scaled": 0.01}, points, tables).read_text(encoding="utf-8")
    assert f"random networks ({told}) \u00b7 rnnmc" in text
    assert text.count(told) == 2  # and among the facts
    assert "as its file says" not in page


@pytest.mark.process
def test_a_law_of_rnnmc_is_named_with_its_formula(tmp_path):
    said, points, tables = study()
    known = tables["statistics"].with_columns(theory_growth_law=pl.lit("lru"))
    text = write_report(tmp_path, said, points, {"statistics": known}).read_text(encoding="utf-8")
    assert any(row["theory"][2].startswith("lru: P(l_T < x) = ") for row in entries(text, "main"))


@pytest.mark.process
def test_first_passages_are_those_of_the_table_and_a_dash_where_not_reached(page):
    _, points, tables = study()
    keys = {(row["cell"], row["init"]): row["point"] for row in points.to_dicts()}
    found = tables["first-passage"].filter(pl.col("measure") == "log_spectral")
    shown = entries(page, "passages")
    assert len(shown) == 20
    columns = {"5 %": 5.0, "half": 50.0, "95 %": 95.0}
    dashes = 0
    for row in shown:
        mine = found.filter(pl.col("point") == keys[row["cell"][0], row["initialiser"][0]])
        for event, word in (("vanish", "vanished"), ("explode", "exploded")):
            for percent, number in columns.items():
                want = mine.filter(pl.col("event") == event, pl.col("percent") == number).row(0, named=True)
                text, by, pointer = row[f"{percent} {word}"]
                assert text == passage_text(want["after"], want["by"])
                assert by == ("" if want["by"] is None else str(want["by"]))
                assert pointer.startswith("95 % interval of the later bound: ")
                assert ("not by the last horizon" in pointer) == (want["latest"] is None)
                dashes += text == "-"
    assert 0 < dashes < 120


@pytest.mark.process
def test_replicates_are_those_really_used_with_a_star_where_an_interval_decided_it(page):
    shown = {row["cell"][0]: row["replicates"] for row in entries(page, "main")}
    assert shown["tanh"][0] == "100"
    assert shown["gru"][0] == "100 (10 draws)"
    text, number, pointer = shown["gru_tied"]
    assert (text, number) == ("50 *", "50")
    assert "± 0.06" in pointer
    assert "95 % Wilson or confidence-sequence intervals" in page
    assert "Wilson or confidence-sequence, 95 %, two-sided, pointwise" in page
    assert "A star marks" in page


@pytest.mark.process
def test_points_that_prove_the_program_stand_in_no_table_of_the_study(page):
    cells = {row["cell"][0] for name in ("main", "passages", "table-made_up") for row in entries(page, name)}
    assert cells <= set(STUDY["cells"])
    facts = search(r'<h2 id="run">.*?</dl>', page)[0]
    assert "<dd>20: tanh, lstm, gru, gru_tied</dd>" in facts


@pytest.mark.process
def test_a_self_validation_that_passes_is_among_the_findings_and_one_that_fails_is_above_all(page, tmp_path):
    box = search(r'aria-label="Findings">(.*?)</section>', page)[1]
    assert "Self-validation passed: of 240 measurements" in box
    assert 'role="alert"' not in page
    assert {row["verdict"][0] for row in entries(page, "coverage")} == {"passed"}
    said, points, tables = study()
    failed = write_report(tmp_path, said, points, tables | self_validation(failing=True)).read_text(encoding="utf-8")
    alarm = failed.index('<p class="failed" role="alert">Self-validation FAILED')
    assert alarm < failed.index("<h1>") < failed.index('aria-label="Findings"')
    assert "Self-validation passed" not in failed
    assert {row["law"][0]: row["verdict"][0] for row in entries(failed, "coverage")} == {
        "gaussian_walk": "passed",
        "lru": "FAILED",
        "all": "FAILED",
    }
    assert failed.count('class="alarm"') == 2


@pytest.mark.process
def test_an_observable_without_a_picture_shows_the_first_rows_of_its_table(page):
    rows = entries(page, "table-made_up")
    assert len(rows) == 20
    assert list(rows[0])[:3] == ["cell", "width", "setting"]
    assert {row["quantity"][0] for row in rows} == {"size"}
    assert "The first 20 of 40 rows of <code>statistics-made_up.parquet</code>" in page


class Picture:
    """Two charts, one of them under a name that the study has already, with a title of each kind."""

    name = "made_up"

    def charts(self, summary, points):
        chart = alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_point().encode(x="x:Q")
        lines = alt.TitleParams(text="One", subtitle=["two", "three"])
        return {"overview": chart.properties(title="Plain"), "made_up-more": chart.properties(title=lines)}


@pytest.mark.process
def test_an_observable_with_a_picture_shows_it_with_its_formula_and_its_first_sentence(tmp_path, monkeypatch):
    class Kind:
        """What it is, in one sentence. And a second one."""

        formula = "max_t |s_t| < 1"

    monkeypatch.setattr(report, "picture_of", lambda name: Picture())
    monkeypatch.setattr(report, "observables", lambda: {"made_up": Kind})
    text = write_report(tmp_path, *study()).read_text(encoding="utf-8")
    section = search(r'<h3 id="observable-made_up">.*?</section>', text)[0]
    assert "<code>max_t |s_t| &lt; 1</code>" in section
    assert "<p>What it is, in one sentence.</p>" in section
    assert re.findall(r'<figure id="([^"]+)">', section) == ["made_up-overview", "made_up-more"]
    assert ["Plain.", "One. two three."] == [
        words(caption).partition("    ")[0].strip()
        for caption in re.findall(r"<figcaption>(.*?)</figcaption>", section, re.DOTALL)
    ]
    assert "table-made_up" not in text
    assert (tmp_path / "figures/made_up-overview.svg").exists()


def old(directory: Path) -> Path:
    said, points, tables = study()
    bare = points.filter(~pl.col("oracle")).drop("oracle", "half_width", "nested")
    return write_report(directory, said, bare, of_an_earlier_release(tables))


@pytest.mark.process
def test_a_folder_of_an_earlier_release_still_gives_a_page_that_claims_nothing_it_lacks(tmp_path):
    text = old(tmp_path).read_text(encoding="utf-8")
    for name in ("first-passage", "observables", "self-validation"):
        assert f'id="{name}"' not in text
        assert f'href="#{name}"' not in text
    visible = words(re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL))
    for word in ("theory", "Theory", "exact law", "lighter", "star", "Self-validation", "weight draw"):
        assert word not in visible
    assert len(entries(text, "main")) == 20
    assert "theory" not in entries(text, "main")[0]


@pytest.mark.process
@pytest.mark.page
@needs_browser
def test_tables_below_the_first_sort_on_their_own(tmp_path):
    path = write_report(tmp_path, *study())
    text = path.read_text(encoding="utf-8")
    click = 'document.querySelectorAll("#passages button")[3].click();'
    path.write_text(with_script(text, click), encoding="utf-8")
    document, console = browse(path, tmp_path / "profile")
    assert console == ""
    steps = [row["5 % vanished"][1] for row in entries(document, "passages")]
    known = [int(step) for step in steps if step]
    assert known
    assert known == sorted(known)
    assert all(steps[: len(known)])
    assert [row["cell"] for row in entries(document, "main")] == [row["cell"] for row in entries(text, "main")]


@pytest.mark.process
@pytest.mark.page
@needs_browser
def test_every_chart_of_an_earlier_release_is_drawn_and_the_console_stays_empty(tmp_path):
    document, console = browse(old(tmp_path), tmp_path / "profile")
    assert console == ""
    assert document.count('data-drawn="yes"') == 1 + document.count("<figure") == 1 + 1 + 2 * 4 + 1
