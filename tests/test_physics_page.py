"""docs/physics.md is the page that sources point to: its sections, its laws, its functions and its tests are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from rnnmc.theory import laws

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/physics.md").read_text(encoding="utf-8")
SECTIONS = set(re.findall(r"^##+ (\d+(?:\.\d+)?)\.? ", PAGE, re.MULTILINE))
CITED = re.compile(r"physics\.md,? sections? (\d+(?:\.\d+)?(?:(?:, | and )\d+(?:\.\d+)?)*)")


def citations() -> list[tuple[str, str]]:
    """(file, section) of every place in the code and the pages that names a section."""
    files = [*(ROOT / "rnnmc").rglob("*.py"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*.j2")]
    return [
        (str(path.relative_to(ROOT)), section)
        for path in sorted(files)
        for said in CITED.findall(" ".join(path.read_text(encoding="utf-8").split()))
        for section in re.findall(r"\d+(?:\.\d+)?", said)
    ]


def test_every_section_that_the_code_and_the_pages_cite_is_there():
    found = citations()
    assert len(found) > 90
    assert not [one for one in found if one[1] not in SECTIONS]


def test_nothing_names_the_page_without_a_section_that_can_be_followed():
    for path in sorted((ROOT / "rnnmc").rglob("*.py")):
        text = " ".join(path.read_text(encoding="utf-8").split())  # a citation may run over the end of a line
        assert text.count("physics.md") == len(CITED.findall(text)), path


def heading(name: str) -> str:
    words = name.replace("_", " ")
    for cell in ("gru_tied", "gru_reset_after", "gru_output_gated", "minimal_rnn", "min_gru"):
        words = words.replace(cell.replace("_", " "), cell)
    return words


@pytest.mark.parametrize("name", sorted(laws()))
def test_every_law_has_a_heading_of_its_name_in_the_section_of_its_kind(name):
    exact, large = PAGE.split("\n## 5. ")[1].split("\n## 6. ")
    section = exact if laws()[name].exact else large.split("\n## 7. ")[0]
    assert re.search(rf"^### {re.escape(heading(name))}$", section, re.MULTILINE)


@cache
def defined(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if hasattr(node, "name")}


def test_every_function_and_test_that_the_page_names_is_there():
    named = re.findall(r"`((?:rnnmc|tests)/[\w/]+\.py)::?(\w+)`", PAGE)
    assert len(named) > 150
    assert not [one for one in named if not (ROOT / one[0]).exists() or one[1] not in defined(ROOT / one[0])]
