"""The site of make docs: built from the pages as they lie, with links that hold, from one folder and nothing else."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from pages import browse, needs_browser
from studies import ROOT

PAGES = {"index", "first-study", "choosing", "results", "cluster", "monitoring", "frameworks", "physics", "extending"}


specification = importlib.util.spec_from_file_location("site_build", ROOT / "docs" / "build.py")
assert specification is not None
assert specification.loader is not None
build = importlib.util.module_from_spec(specification)
specification.loader.exec_module(build)

pytestmark = pytest.mark.filterwarnings("ignore:.*myst_parser")  # of what Sphinx 11 will take from it


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    assert build.write_pages(folder) == 0, "a link is broken, or a page is not in NAVIGATION of docs/conf.py"
    return folder


@pytest.mark.slow
def test_the_pages_become_a_site_that_loads_nothing_from_outside(site: Path) -> None:
    assert all((site / "docs" / f"{name}.html").exists() for name in PAGES)
    assert 'url=docs/index.html"' in (site / "index.html").read_text(encoding="utf-8")
    loads = re.compile(r'<(?:script|img|iframe|source|link rel="(?:stylesheet|preload)")[^>]*(?:src|href)="([^"]*)"')
    loaded = {one for page in site.rglob("*.html") for one in loads.findall(page.read_text(encoding="utf-8"))}
    assert len(loaded) > 20
    assert not [one for one in loaded if re.match(r"\w+:|//", one) and not one.startswith("data:")]
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", styles)
    notebook = (site / "gallery/4_joining_with_duckdb.html").read_text(encoding="utf-8")
    assert notebook.count('class="highlight-python') == 3
    assert "p_vanish_at_low" in notebook, "what the code showed"
    assert "\x1b[" not in notebook


@needs_browser
@pytest.mark.page
def test_the_search_works_from_the_folder_without_a_word_on_the_console(site: Path, tmp_path: Path) -> None:
    document, console = browse(site / "search.html", tmp_path / "profile", asked="?q=chrono")
    assert int(re.findall(r"found (\d+) pages", document)[0]) >= 3
    assert not console


def test_a_broken_link_a_broken_anchor_and_a_page_out_of_reach_are_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(
        "# Here\n\n[a](nowhere.md) [b](#there) [c](lost.md#what) [d](lost.md#lost)\n"
    )
    (tmp_path / "docs/lost.md").write_text("# Lost\n")
    assert build.write_pages(tmp_path / "site", tmp_path) == 1
    said = capfd.readouterr().err
    assert re.search(r"index.md:3: WARNING: .*'nowhere.md'", said)
    assert re.search(r"index.md:3: WARNING: .*'there'", said)
    assert re.search(r"index.md:3: WARNING: .*'what'", said)
    assert "lost.md: WARNING: document isn't included in any toctree" in said
    assert "'lost'" not in said
