"""The report in a real browser: everything is drawn, nothing complains, nothing is loaded from outside."""

import html
import html.parser
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import synthetic
from pages import browse, entries, needs_browser, search, with_script

from rnnmc.common.errors import RunError
from rnnmc.report.page import write_report
from rnnmc.report.text import study_points
from rnnmc.statistics.point import point_statistics

CHARTS = 1 + 2 * 7 + 1 + 1 + 2  # overview, two a cell, variance of the nested one, growth rate, self-validation


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """The report of 105 points."""
    return write_report(tmp_path_factory.mktemp("large"), *synthetic.study(replicates=60))


def tiny(directory: Path, value: float) -> Path:
    """The report of one point with one replicate and one horizon."""
    samples = synthetic.samples_of(np.array([[value]]), [1])
    points = pl.DataFrame([synthetic.point_row("relu", 1, "he <&>", 1, 1) | {"point": samples["point"][0]}])
    statistics = point_statistics(samples, synthetic.VANISH, synthetic.EXPLODE)
    return write_report(directory, {"study": "</script><b>odd</b>"}, points, {"statistics": statistics})


@pytest.mark.process
@pytest.mark.page
@needs_browser
@pytest.mark.parametrize("window", ["1400,3000", "390,844"])
def test_every_chart_of_105_points_is_drawn_and_the_console_stays_empty(large, tmp_path, window):
    document, console = browse(large, tmp_path, f"--window-size={window}")
    assert console == ""
    assert 'data-drawn="yes"' in search(r"<body[^>]*>", document)[0]
    places = re.findall(r'<div class="chart[^>]*data-chart="([^"]+)"[^>]*data-drawn="yes"', document)
    assert len(places) == document.count("<figure") == CHARTS
    assert len(re.findall(r'<svg[^>]*class="marks"', document)) == len(places)


@pytest.mark.process
@pytest.mark.page
@needs_browser
@pytest.mark.parametrize("value", [0.5, -np.inf, np.inf])
def test_a_study_of_one_replicate_and_one_horizon_is_drawn_too(tmp_path, value):
    page = tiny(tmp_path / "study", value)
    document, console = browse(page, tmp_path / "profile")
    assert console == ""
    assert len(re.findall(r'<svg[^>]*class="marks"', document)) == 3
    assert "<b>odd</b>" not in document
    assert "he &lt;&amp;&gt;" in document


@pytest.mark.process
@pytest.mark.page
@needs_browser
def test_a_chart_that_breaks_says_so_in_its_place_and_in_the_console(large, tmp_path):
    page = tmp_path / "report.html"
    text = large.read_text(encoding="utf-8")
    assert 'data-chart="overview"' in text
    page.write_text(text.replace('data-chart="overview"', 'data-chart="elsewhere"'), encoding="utf-8")
    document, console = browse(page, tmp_path / "profile")
    assert re.search(r"<div [^>]*>This chart could not be drawn", document)
    assert len(re.findall(r'<svg[^>]*class="marks"', document)) == CHARTS - 1
    assert "elsewhere" in console


@pytest.mark.process
@pytest.mark.page
@needs_browser
@pytest.mark.parametrize("clicks", [1, 2])
def test_rates_that_are_not_known_come_last_whichever_way_they_are_sorted(large, tmp_path, clicks):
    page = tmp_path / "report.html"
    click = f"""
      const header = [...document.querySelectorAll("th button")].find(b => b.textContent.startsWith("growth"));
      for (let i = 0; i < {clicks}; i++) header.click();"""
    text = large.read_text(encoding="utf-8")
    page.write_text(with_script(text, click), encoding="utf-8")
    rates = [row["growth rate"][1] for row in entries(browse(page, tmp_path / "profile")[0], "main")]
    known = [float(rate) for rate in rates if rate]
    assert len(rates) == 105
    assert 0 < len(known) < 105
    assert all(rates[: len(known)])
    assert known == sorted(known, reverse=clicks == 2)


@pytest.mark.process
@pytest.mark.page
@needs_browser
def test_a_click_on_a_header_sorts_by_number_with_infinities_at_the_ends(large, tmp_path):
    page = tmp_path / "report.html"
    click = """
      const header = [...document.querySelectorAll("th button")].find(b => b.textContent.startsWith("log-norm"));
      header.click(); header.click();"""
    text = large.read_text(encoding="utf-8")
    page.write_text(with_script(text, click), encoding="utf-8")
    document, console = browse(page, tmp_path / "profile")
    assert console == ""
    values = [float(row["log-norm: median [5\u00a0%, 95\u00a0%]"][1]) for row in entries(document, "main")]
    assert len(values) == 105
    assert values == sorted(values, reverse=True)
    assert values[-1] == -np.inf
    assert len(re.findall('<th[^>]*aria-sort="descending"', document)) == 1


@pytest.mark.process
@pytest.mark.page
@needs_browser
def test_the_reader_filters_changes_the_norm_saves_what_is_shown_and_copies_a_command(large, tmp_path):
    page = tmp_path / "report.html"
    use = """
      let saved;
      URL.createObjectURL = blob => { blob.text().then(text => document.body.dataset.saved = text); return "#"; };
      const labels = [...document.querySelectorAll(".filters label")];
      const list = name => labels.find(label => label.firstChild.data === name).lastChild;
      const choose = (name, value) => { list(name).value = value; list(name).dispatchEvent(new Event("change")); };
      choose("cell", "lstm");
      choose("width", "16");
      choose("norm", "rms");
      document.querySelector(".filters button").click();"""
    text = large.read_text(encoding="utf-8")
    page.write_text(with_script(text, use), encoding="utf-8")
    document, console = browse(page, tmp_path / "profile")
    assert console == ""
    assert "5 of 105 rows" in document
    saved = pl.read_csv(html.unescape(search(r'data-saved="([^"]*)"', document)[1]).encode())
    assert (saved["cell"].to_list(), saved["width"].to_list()) == (["lstm"] * 5, [16] * 5)
    _, points, tables = synthetic.study(replicates=60)
    known = (
        tables["statistics"]
        .filter(pl.col("horizon") == 1000, pl.col("measure") == "log_rms")
        .join(study_points(points).filter(pl.col("cell") == "lstm", pl.col("width") == 16), on="point")
    )
    assert saved["P(vanish)"].to_list() == known["p_vanish_at"].to_list()
    assert "again" not in saved.columns


class Outline(html.parser.HTMLParser):
    """Headings, ids, links and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if tag == "a":
            self.links.append(str(values.get("href")))
        self.loaded += [str(values[name]) for name in ("src", "srcset", "data") if values.get(name)]
        if tag == "link":
            self.loaded.append(str(values["href"]))


def outline(page: Path) -> Outline:
    found = Outline()
    # Without what scripts and styles hold, which is not markup.
    text = re.sub(r"<(script|style)>.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found.feed(text)
    return found


@pytest.mark.process
def test_the_page_is_one_file_below_three_megabytes_that_loads_nothing(large):
    assert large.stat().st_size < 3_000_000
    found = outline(large)
    assert found.loaded == ["data:,"]
    assert not [link for link in found.links if not link.startswith(("#", "figures/"))]  # no data lies beside it
    style = search(r"<style>.*?</style>", large.read_text(encoding="utf-8"))[0]
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.process
def test_links_lead_somewhere_and_headings_never_skip_a_level(large):
    found = outline(large)
    assert len(found.ids) == len(set(found.ids))
    for link in found.links:
        if link.startswith("#"):
            assert link[1:] in found.ids
        else:
            assert (large.parent / link).exists()
    assert found.headings[0] == 1
    assert found.headings.count(1) == 1
    assert all(below <= above + 1 for above, below in zip(found.headings, found.headings[1:], strict=False))


@pytest.mark.process
def test_the_first_paragraph_says_what_the_numbers_say(large):
    _, points, tables = synthetic.study(replicates=60)
    last = (
        tables["statistics"]
        .filter(pl.col("horizon") == 1000, pl.col("measure") == "log_spectral")
        .join(study_points(points), on="point")
    )
    text = large.read_text(encoding="utf-8")
    paragraph = search(r'aria-label="Findings">(.*?)</section>', text)[1]
    for event, words in (
        ("vanish", "mostly vanish"),
        ("stable", "mostly stay in between"),
        ("explode", "mostly explode"),
    ):
        count = (last[f"p_{event}_at_low"] > 0.5).sum()
        assert f"{count} ({100 * count / 105:.2g} %) {words}" in paragraph
    for event, words in (
        ("stable", "keeps the norm between the thresholds most often"),
        ("explode", "explodes most often"),
    ):
        means = last.group_by("cell").agg(pl.col(f"p_{event}_at").mean()).sort(f"p_{event}_at", descending=True)
        said = rf"The {means['cell'][0]} cell {words}: P = {means[f'p_{event}_at'][0]:.3f} \[|"
        assert re.search(rf"{said}Too close to tell at this precision: .*which cell {words}", paragraph)


@pytest.mark.process
def test_equal_input_gives_an_equal_page_and_no_draft_is_left(tmp_path):
    first, second = (
        write_report(tmp_path / name, *synthetic.study(cells=("relu", "gru"), widths=(4,), replicates=20))
        for name in ("first", "second")
    )
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == ["figures", "report.html"]


@pytest.mark.process
def test_a_report_that_fails_leaves_the_old_page_as_it_was(tmp_path, monkeypatch):
    page = tiny(tmp_path, 0.0)
    before = page.read_bytes()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RunError, match="no space"):
        tiny(tmp_path, 1.0)
    assert page.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "report.html"]
    assert not list((tmp_path / "figures").glob(".*"))


@pytest.mark.process
def test_a_figure_is_whole_at_every_moment_and_old_ones_go_only_after_the_new_are_there(tmp_path, monkeypatch):
    tiny(tmp_path, 0.0)
    folder = tmp_path / "figures"
    old = folder / "log-norm-elman.svg"
    old.write_text("<svg>of an earlier run</svg>")
    names = sorted(path.name for path in folder.iterdir())
    replace, moments = Path.replace, []

    def watched(self: Path, target: Path) -> Path:
        # At the moment before a file appears all others, new and old, are there and whole.
        visible = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        moments.append(visible == names and all(path.stat().st_size > 20 for path in folder.iterdir()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    tiny(tmp_path, 1.0)
    assert len(moments) == len(names) - 1 + 1  # every figure but the old one, and the page
    assert all(moments)
    assert sorted(path.name for path in folder.iterdir()) == [name for name in names if name != old.name]


@pytest.mark.process
def test_a_rate_of_survivors_and_one_that_is_not_known_are_marked_in_the_table(large):
    _, points, tables = synthetic.study(replicates=60)
    of_study = tables["statistics"].join(study_points(points), on="point", how="semi")
    last = of_study.filter(pl.col("horizon") == 1000, pl.col("measure") == "log_spectral")
    text = large.read_text(encoding="utf-8")
    unknown = last.filter(pl.col("overflow_by_count") > 0).height
    survivors = last.filter(pl.col("growth_rate").is_not_null(), pl.col("ok_count") < pl.col("replicates"))
    rates = [row["growth rate"][0] for row in entries(text, "main")]
    assert unknown
    assert survivors.height
    assert sum(rate.endswith("overflowed") for rate in rates) == unknown
    for number in set(survivors["ok_count"].to_list()):
        assert any(rate.endswith(f"({number} of 60)") for rate in rates)


@pytest.mark.process
def test_a_study_without_statistics_is_refused_by_its_directory(tmp_path):
    study, points, tables = synthetic.study(cells=("tanh",), widths=(1,), inits=("keras",), replicates=2)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        write_report(tmp_path, study, points, {"statistics": tables["statistics"].clear()})
