"""The page of a study that decides claims and has analyses: verdicts first, every figure drawn, every number traced."""

import re
from pathlib import Path

import polars as pl
import pytest
from pages import browse, entries, needs_browser, search, words
from studies import sample_here, study_of

from rnnmc.run.aggregate import aggregate
from rnnmc.run.pipeline import report
from rnnmc.statistics.analyses import analyses
from rnnmc.study.study import Thresholds

GAUSSIAN = {"recurrent": {"gaussian": [0.5, 2, 4]}, "input": {"gaussian": [0.1, 0.5, 2]}}
CONTENT = {
    "study": "decided",
    "claims": True,
    "replicates": 60,
    "horizons": [1, 10, 100],
    "points": [
        {"cell": ["tanh", "relu"], "width": [4, 8, 16], "drive": "field", "init": GAUSSIAN},
        {"cell": ["lstm", "gru", "gru_output_gated"], "width": 4, "observables": ["extremes"]},
        {"cell": "lstm", "width": 4, "init": {"preset": "pytorch", "bias": {"forget": [0, 5]}}},
        {"cell": "lstm", "width": 4, "drive": "none", "state_std": 1.0, "observables": ["paths", "terms", "gradient"]},
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, its tables and its page."""
    directory = tmp_path_factory.mktemp("results") / "decided"
    sample_here(study_of(CONTENT), directory)
    aggregate(directory, Thresholds(), "wilson", claims=True)
    report(directory)
    return directory


@pytest.mark.process
@pytest.mark.page
@needs_browser
def test_every_figure_of_claims_and_analyses_is_drawn_and_the_console_stays_empty(folder: Path, tmp_path: Path):
    document, console = browse(folder / "report.html", tmp_path)
    assert console == ""
    drawn = re.findall(r'<div class="chart[^>]*data-chart="([^"]+)"[^>]*data-drawn="yes"', document)
    assert len(drawn) == document.count("<figure")
    decided = pl.read_parquet(folder / "claims.parquet")["claim"].unique().to_list()
    assert {f"claim-{claim}" for claim in decided} <= set(drawn)
    assert len(decided) > 10
    assert {name.split("-")[0] for name in drawn} > {"onset", "phase", "finite", "decay", "lifetime"}


@pytest.mark.process
def test_the_page_begins_with_what_became_of_the_claims_and_of_every_analysis(folder: Path):
    page = (folder / "report.html").read_text(encoding="utf-8")
    first = search(r'<section class="findings".*?</section>', page)[0]
    assert words(first).startswith("Of the article\u2019s claims") or words(first).startswith("Of the article's claims")
    verdicts = pl.read_parquet(folder / "verdicts.parquet")
    total = verdicts.select(pl.sum_horizontal(pl.col("holds", "fails", "undecided").sum())).item()
    assert f"Of {total:,} questions" in words(first)
    assert re.search(r"The growth rate of tied networks turns positive with drive \w+", words(first))
    of_norms = {name for name, analysis in analyses().items() if not analysis.observable}
    assert of_norms == set(re.findall(r'id="analysis-([^"]+)"', page))
    assert 'href="#verdicts"' in page
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC( to .*)?", facts["Sampled"])
    assert facts["Host"]
    assert "numpy" in facts["Versions"]
    for name in ("README.md", "statistics.csv", "claims.parquet", "dictionary.csv"):
        assert f'<a href="{name}">' in page
        assert (folder / name).exists()


@pytest.mark.process
def test_the_table_of_questions_holds_every_decision_with_its_rows(folder: Path):
    page = (folder / "report.html").read_text(encoding="utf-8")
    decided = pl.read_parquet(folder / "claims.parquet")
    shown = entries(page, "decisions-table")
    assert len(shown) == decided.height
    for line, row in zip(shown, decided.iter_rows(named=True), strict=True):
        assert (line["claim"][0], line["verdict"][0]) == (row["claim"], row["verdict"])
        assert row["rows"].split(";")[0] in line["estimate"][2]


@pytest.mark.process
def test_a_study_that_asks_for_no_claims_shows_none(folder: Path, tmp_path: Path):
    directory = tmp_path / "plain"
    sample_here(study_of(CONTENT | {"points": CONTENT["points"][1:2]}), directory)
    aggregate(directory, Thresholds(), "wilson")
    page = report(directory).read_text(encoding="utf-8")
    assert 'id="verdicts"' not in page
    assert not (directory / "claims.parquet").exists()
