"""How a study is cited: what the code names as a source, and nothing that it does not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml

from rnnmc.cells import cells
from rnnmc.drives import drives
from rnnmc.initialisers import laws as weight_laws
from rnnmc.initialisers import presets
from rnnmc.observables import observables
from rnnmc.report.cite import ARTICLE, bibtex, sources
from rnnmc.report.text import INTERVAL_NAMES
from rnnmc.report.works import ESTIMATORS, WORKS
from rnnmc.statistics.analyses import analyses
from rnnmc.theory import laws as theory_laws

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


def of_everything() -> str:
    """BibTeX of a study that used all that there is."""
    laws = list(theory_laws())
    statistics = pl.DataFrame({"theory_law": laws}).with_columns(
        interval=pl.Series((list(ESTIMATORS) * len(laws))[: len(laws)])
    )
    named = [*drives(), *weight_laws(), *presets(), *observables()]
    points = [{"cell": name, "init": named, "drive": named, "observables": named} for name in cells()]
    tables = {name: pl.DataFrame({"point": ["0"]}) for name in analyses()}
    return of(*points, {"splitting": {"event": "explode_at"}}, statistics=statistics, **tables)


def entries(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(key, fields) of BibTeX, by its grammar: braces that match, one field a line, commas between."""
    for entry in text.strip().split("\n\n"):
        head, *lines, last = entry.split("\n")
        assert re.fullmatch(r"@misc\{[a-z0-9_]+,", head), head
        assert last == "}", entry
        fields = dict(line.strip().removesuffix(",").split(" = ", 1) for line in lines)
        assert [line.endswith(",") for line in lines] == [True] * (len(lines) - 1) + [False], entry
        for value in fields.values():
            depth = [value[:end].count("{") - value[:end].count("}") for end in range(1, len(value) + 1)]
            assert min(depth[:-1]) >= 1, value
            assert depth[-1] == 0, value
        yield head[6:-1], {name: value[1:-1] for name, value in fields.items()}


@pytest.mark.slow
def test_bibtex_of_everything_parses_and_every_title_is_of_a_work_that_a_source_names():
    found = list(entries(of_everything()))
    assert len({key for key, _ in found}) == len(found) > len(WORKS)
    known = dict(found)
    assert set(WORKS) <= set(known)
    for key, fields in found:
        assert set(fields) <= {"author", "title", "howpublished", "year", "url", "note"}
        assert "title" in fields or "author" in fields, key
        assert re.fullmatch(r"(1[89]|20)\d\d", fields.get("year", "2000")), key
        assert not re.search(r"(?<!\\)[%&#$_]", fields["note"] + fields.get("title", "")), key
        if key in WORKS:
            assert fields["title"] == f"{{{WORKS[key][0]}}}"
            assert key.split("_20")[0].split("_1")[0].split("_")[0] in fields["author"].lower()


def test_estimators_are_cited_where_they_were_used_and_nowhere_else():
    def used(*kinds: str, **point: object) -> set[str]:
        return {one for one, _ in entries(of({"cell": "gru"} | point, statistics=pl.DataFrame({"interval": kinds})))}

    assert set(INTERVAL_NAMES) < set(ESTIMATORS)
    plain = used()
    assert used("wilson") - plain == {"wilson_1927"}
    assert used("clopper-pearson", "jeffreys") - plain == {"clopper_and_pearson_1934", "brown_cai_dasgupta_2001"}
    assert {"robbins_1970", "lai_1976"} < used("wilson", "confidence-sequence") - plain
    split = used(splitting={"event": "explode_at"}) - plain
    assert {"au_and_beck_2001", "walter_2015"} < split
    assert not split & used("wilson", splitting=None)


def test_works_of_the_same_authors_and_year_are_told_apart_and_one_work_has_one_entry():
    both = dict(entries(of({"cell": "cornn"}, {"cell": "unicornn"})))
    assert "coRNN" in both["rusch_and_mishra_2021_cornn"]["title"]
    assert "UnICORNN" in both["rusch_and_mishra_2021_unicornn"]["title"]
    once = dict(entries(of({"cell": "lstm", "drive": "white", "init": {"bias": {"constant": 1}}})))
    assert not {"molgedey_1992", "jozefowicz_2015"} & set(once)
    assert once["jozefowicz_zaremba_sutskever_2015"]["author"] == "{Jozefowicz} and {Zaremba} and {Sutskever}"
