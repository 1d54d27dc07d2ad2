"""How a study is cited: what the code names as a source, and nothing that it does not."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
import yaml

from rnnmc.cells import cells
from rnnmc.report.cite import ARTICLE, bibtex, sources

ENTRY = re.compile(r"@misc\{([a-z0-9_]+),\n((?:  [a-z]+ = \{.*\},?\n)+)\}")


def of(*points: dict, **tables: pl.DataFrame) -> str:
    frame = pl.DataFrame({"json": [json.dumps(point) for point in points]})
    return bibtex(frame, {"statistics": pl.DataFrame()} | tables)


def keys(text: str) -> list[str]:
    return [key for key, _ in ENTRY.findall(text)]


@pytest.mark.slow
def test_a_study_is_cited_by_the_sources_of_what_it_used_and_no_other():
    text = of({"cell": "lstm", "init": {"recurrent": {"orthogonal": 1}}, "drive": {"adding": 50}})
    assert keys(text)[:2] == ["rnnmc", "su_2020"]
    for key in ("hochreiter_and_schmidhuber_1997", "gers_2000", "torch_nn_lstm", "saxe_2014", "mezzadri_2007"):
        assert key in keys(text)
    assert "author = {{Hochreiter} and {Schmidhuber}}" in text
    assert "author = {{Gers} and others}" in text
    assert "note = {source of cell lstm, drive adding}" in text
    assert not {"cho_2014", "elman_1990"} & set(keys(text))


def test_a_law_of_theory_is_cited_where_it_spoke():
    spoke = pl.DataFrame({"theory_law": ["relu_untied", None], "theory_growth_law": [None, None]})
    assert "hanin_and_nica_2018" in keys(of({"cell": "relu"}, statistics=spoke))
    assert "hanin_and_nica_2018" not in keys(of({"cell": "relu"}))


@pytest.mark.slow
def test_every_cell_of_ours_gives_whole_entries_with_a_year_for_every_year_that_its_source_says():
    for name, one in cells().items():
        text = of({"cell": name})
        found = ENTRY.findall(text)
        assert text.count("@misc") == len(found) == len(set(keys(text)))
        said = {year for part in one.source.split(";") for year in re.findall(r"[a-z.] ((?:19|20)\d\d)\b", part)}
        assert said <= set(re.findall(r"year = \{(\d+)\}", text)), name
        assert len(found) > 2 or "kexue" in one.source, name


def test_what_is_said_of_rnnmc_and_the_article_is_what_the_citation_file_says():
    said = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text(encoding="utf-8"))
    text, article = of({"cell": "tanh"}), said["references"][0]
    assert said["title"] in text
    assert said["authors"][0]["name"] in text
    for words in (article["title"], article["url"], str(article["year"]), article["authors"][0]["family-names"]):
        assert words in ARTICLE


def test_a_cell_that_is_not_here_any_more_is_passed_over():
    points = pl.DataFrame({"json": [json.dumps({"cell": "gone:CELL"}), json.dumps({"cell": "gru"})]})
    assert [used for used, _ in sources(points, {"statistics": pl.DataFrame()})] == ["cell gru"]
