"""The page of findings: every number comes from the row that its note names; what is not there is not made up."""

import importlib.util
import re
from pathlib import Path

import polars as pl
import pytest
from studies import ROOT, sample_here, small, study_of

from rnnmc.run.aggregate import aggregate
from rnnmc.run.pipeline import report
from rnnmc.study.study import Thresholds

specification = importlib.util.spec_from_file_location("findings_page", ROOT / "docs" / "findings.py")
assert specification is not None
assert specification.loader is not None
page = importlib.util.module_from_spec(specification)
specification.loader.exec_module(page)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results with one study."""
    top = tmp_path_factory.mktemp("results")
    sample_here(study_of(small(replicates=100, horizons=[1, 10, 100])), top / "small")
    aggregate(top / "small", Thresholds(), "wilson")
    report(top / "small")
    return top


@pytest.mark.process
def test_a_number_and_its_note_lead_to_the_same_row(results: Path):
    found = page.Results(results)
    text = found.p("small", "vanish", 100, cell="lstm", width=12)
    value, low, high, mark = re.fullmatch(r"([\d.]+) \[([\d.]+), ([\d.]+)\]\[\^(\d+)\]", text).groups()
    note = found.sources()[mark]
    point, horizon, column = re.search(r"statistics\.csv`, point (\w+), horizon (\d+): `(\w+)`", note).groups()
    row = pl.read_csv(results / "small" / "statistics.csv").filter(
        point=point, horizon=int(horizon), measure="log_spectral"
    )
    assert (float(low), float(high)) == pytest.approx(
        (row["p_vanish_at_low"][0], row["p_vanish_at_high"][0]), abs=0.005
    )
    assert float(value) == pytest.approx(row[column][0], abs=0.005)


@pytest.mark.process
def test_a_lifetime_is_in_steps_and_leads_to_its_row(results: Path):
    found = page.Results(results)
    text = found.lasts("small", 50, cell="lstm", width=12)
    row = pl.read_csv(results / "small" / "lifetime.csv").join(
        pl.read_parquet(results / "small" / "points.parquet").filter(cell="lstm", width=12), on="point"
    )
    by = row.filter(percent=50)["by"].item()
    assert text == f"{page.lifetime_text(row.filter(percent=50).row(0, named=True), 100)}[^1]"
    assert text.startswith("beyond 100" if by is None else "(" if by > row["after"][0] + 1 else str(by))
    assert found.sources() == {"1": f"`results/small/lifetime.csv`, point {row['point'][0]}, percent 50.0: `by`"}


@pytest.mark.process
def test_the_same_number_has_one_note_and_another_its_own(results: Path):
    found = page.Results(results)
    first, again = (found.p("small", "vanish", 100, cell="lstm", width=12) for _ in range(2))
    other = found.p("small", "vanish", 10, cell="lstm", width=12)
    assert first == again
    assert other.endswith("[^2]")
    assert len(found.sources()) == 2


def test_a_rate_stands_with_its_error_to_two_digits():
    assert page.error_text(-0.44012, 0.00123) == "-0.4401 ± 0.0012"
    assert page.error_text(None, None) == "-"
    assert page.error_text(12.0, 3.21) == "12.0 ± 3.2"
    assert page.error_text(3e-8, 2e-10) == "0.0000000 ± 0.0000010"


def test_what_is_not_known_is_said_in_words_and_not_as_a_number():
    known = {"onset": 1.99, "low": 1.9, "high": 2.1, "below": 1.5, "above": 2.0, "turns": 1}
    assert page.onset_text(known) == "1.990 [1.900, 2.100]"
    assert page.onset_text(known | {"onset": None, "above": None}) == "above 1.5"
    assert page.onset_text(known | {"onset": None, "below": None}) == "below 2"
    assert page.onset_text(known | {"high": None}) == "1.990 [1.900, ?]"
    median = {"median_onset": 1.2, "median_low": 1.15, "median_high": 1.26}
    assert page.onset_text(known | median) == "1.990 [1.900, 2.100]"
    assert page.onset_text(known | median | {"turns": 3}) == "1.990 [1.900, 2.100], median 1.200 [1.150, 1.260]"
    of_none = dict.fromkeys(("onset", "low", "high", "below", "above", "turns"))
    assert page.onset_text(of_none | median) == "median 1.200 [1.150, 1.260]"
    assert page.onset_text(of_none) == "-"
    assert page.exponent_text([]) == "-"
    assert page.exponent_text([{"exponent": 0.5, "low": 0.4, "high": float("inf")}]) == "0.50 [0.40, inf]"
    half = {"after": 13, "by": 18, "earliest": 18, "latest": 18}
    assert page.steps_text(half, 100) == "(13, 18]"
    assert page.steps_text(half | {"latest": 24}, 100) == "(13, 18] [18, 24]"
    assert page.steps_text(dict.fromkeys(half), 1000) == "beyond 1,000"
    fit = {"widths": [1, 16], "rates": [-0.5, -0.25], "errors": [0.01, 0.02]}
    assert (page.rate_text(fit, 16), page.rate_text(fit, 64)) == ("-0.250 ± 0.020", "-")
    assert (page.percent_text(0.834), page.percent_text(None)) == ("83 %", "-")


@pytest.mark.process
@pytest.mark.parametrize("where", [{"cell": "lstm"}, {"cell": "gru", "width": 12}])
def test_what_names_no_row_or_several_is_refused(results: Path, where: dict):
    with pytest.raises(SystemExit, match=r"(0|2) rows, not one"):
        page.Results(results).rate("small", 100, **where)


@pytest.mark.process
def test_a_study_that_has_not_been_run_is_named_with_what_runs_it(results: Path):
    with pytest.raises(SystemExit, match=r"run make study CONFIG=config/atlas\.yaml first"):
        page.Results(results).p("atlas", "vanish", 100)


@pytest.mark.process
def test_a_figure_that_is_not_there_is_named(results: Path):
    with pytest.raises(SystemExit, match=r"rnnmc report .*small first"):
        page.Results(results).figure("small", "nothing", "words")


@pytest.mark.process
def test_how_a_study_was_run_comes_from_its_shards(results: Path):
    said = page.Results(results).said("small")
    assert (said["points"], said["replicates"], said["seed"]) == (4, 400, 7888)


def test_two_runs_are_compared_question_by_question(tmp_path: Path):
    for name, answers in (
        ("one", ["holds", "fails", "holds", "undecided"]),
        ("two", ["holds", "holds", "undecided", "holds"]),
    ):
        conditions = {factor: [None] * 4 for factor in page.CONDITIONS} | {"width": [1, 2, 4, 8]}
        table = pl.DataFrame({"claim": ["A1"] * 4, "part": ["x"] * 4, "verdict": answers} | conditions)
        (tmp_path / name).mkdir()
        table.write_parquet(tmp_path / name / "claims.parquet")
    found = page.Results(tmp_path).compared("one", "two")
    assert found == {"asked": 4, "same": 1, "opposite": 1, "open": 2}


def test_every_verdict_is_counted_and_what_does_not_occur_is_not_told():
    kinds = ["holds", "holds", "fails", "holds only when", "undecided", "empty"]
    said = page.counted([{"verdict": kind} for kind in kinds])
    assert said == (
        "2 hold, 1 fail, 1 hold under some conditions alone, 1 are undecided and 1 have nothing to see in them"
    )
    assert page.counted([{"verdict": "holds"}] * 3) == "3 hold"


def test_what_falls_as_1_over_n_is_gone_when_carried_on_and_what_does_not_is_left():
    same = {
        "study": "s",
        "cell": "lstm",
        "init": "i",
        "drive": "field",
        "weights": "tied",
        "state_std": 0.0,
        "law": "l",
    }
    rows = [same | {"width": n, "growth_rate_error": 1e-3, "theory": -0.3, "theory_error": 0.0} for n in (256, 16, 64)]
    rows = [row | {"difference": 2 / row["width"]} for row in rows]
    (gone,) = page.extrapolated(rows)
    assert gone["width"] == 256
    assert gone["limit"] == pytest.approx(-0.3)
    assert gone["limit_error"] == pytest.approx((256**2 + 64**2) ** 0.5 / 192 * 1e-3)
    assert abs(gone["left"]) < 1e-6
    (left,) = page.extrapolated([row | {"difference": row["difference"] + 0.01} for row in rows])
    assert left["left"] == pytest.approx(0.01 / gone["limit_error"], rel=1e-3)
    assert page.extrapolated(rows[:1]) == []
    assert len(page.extrapolated(rows + [row | {"drive": "none"} for row in rows])) == 2


def test_limits_are_held_against_theory_by_their_own_intervals():
    fits = [{"limit": 0.12, "limit_low": 0.119, "limit_high": 0.121, "theory": at} for at in (0.1205, 0.125)]
    assert page.inside(fits) == 1
    assert page.furthest(fits) == pytest.approx(0.005)
    assert page.interval_text(0.12034, 0.11912, 0.12156) == "0.1203 [0.1191, 0.1216]"


@pytest.mark.process
def test_a_section_is_written_anew_and_the_rest_of_the_page_is_as_it_was(results: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(page, "RESULTS", results)
    monkeypatch.setattr(page, "ROOT", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "FIGURES", tmp_path / "parts")
    (tmp_path / "parts").mkdir()
    source = '## Part\n\n{{ p("small", "vanish", 100, cell="lstm", width=12) }}\n'
    (tmp_path / "parts" / "part.md.j2").write_text(source)
    rest = f"# Top\n\n{{}}\n\n## After\n{page.framed('other', 'kept')}\n"
    page.PAGE.write_text(rest.format(page.framed("part", "old\n")))
    page.write_section("part")
    text = page.PAGE.read_text()
    assert re.search(r"## Part\n\n[\d.]+ \[[\d.]+, [\d.]+\]\[\^part-1\]\n\n\[\^part-1\]: `results/small/", text)
    assert "old" not in text
    before, after = rest.split("{}")
    assert (text.startswith(before), text.endswith(after)) == (True, True)
    page.write_section("part")
    assert page.PAGE.read_text() == text
    with pytest.raises(SystemExit, match="SECTION=nothing is no section; give one of part"):
        page.write_section("nothing")
    (tmp_path / "parts" / "lost.md.j2").write_text("## Lost\n")
    with pytest.raises(SystemExit, match="has no section lost; put section"):
        page.write_section("lost")


def test_a_section_whose_study_was_not_run_here_stays_as_it_was_with_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name, value in (("RESULTS", "results"), ("ROOT", "."), ("PAGE", "page.md"), ("FIGURES", "parts")):
        monkeypatch.setattr(page, name, tmp_path / value)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "far.md.j2").write_text('{{ p("far", "vanish", 100, cell="lstm") }}\n')
    for drawn in ("shown", "lost"):
        (tmp_path / "parts" / f"far-{drawn}.svg").write_text("<svg/>")
    (tmp_path / "page.md.j2").write_text('# New top\n\n{{ section("far") }}\n')
    old = page.framed("far", "Half of them.\n\n![what](parts/far-shown.svg)\n")
    page.PAGE.write_text(f"# Old top\n\n{old}\n")
    page.write_page()
    assert page.PAGE.read_text() == f"# New top\n\n{old}\n"
    assert [path.name for path in (tmp_path / "parts").glob("*.svg")] == ["far-shown.svg"]
    assert "Section far stays as it was: " in capsys.readouterr().out
    page.PAGE.write_text("# Old top\n")
    with pytest.raises(SystemExit, match=r"far/points\.parquet: is not there|far/statistics\.parquet: is not there"):
        page.write_page()


def test_every_section_with_a_template_has_its_place_on_the_page():
    assert all(f'section("{name}")' in (page.PAGE.parent / "findings.md.j2").read_text() for name in page.sections())
    text = page.PAGE.read_text(encoding="utf-8")
    assert all(text.count(mark) == 1 for name in page.sections() for mark in page.framed(name, "\n").split("\n\n"))
