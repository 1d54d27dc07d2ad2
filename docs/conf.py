"""How the pages of this project become a site (make docs): what is in it, in which order, and how it is read.

The pages are the Markdown files where they lie, and read as well on a forge; nothing of the site stands in them.
"""

from __future__ import annotations

import json
import pkgutil
import re
from pathlib import Path
from typing import Any

from myst_parser.parsers.sphinx_ import MystParser

ROOT = Path(__file__).parents[1]

project = "rnnmc"
author = "The rnnmc authors"
copyright = "the rnnmc authors, MIT licence"  # noqa: A001 - Sphinx's own name
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "rnnmc"
html_favicon = "icon.svg"
html_show_sphinx = False
html_copy_source = False
html_static_path: list[str] = []
# From file:// a page may not read another one, which the summaries of a search would do.
html_js_files = [(None, {"body": 'DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = location.protocol !== "file:";'})]
highlight_language = "none"  # of what says no language: output, formulas
source_suffix = {".md": "markdown", ".ipynb": "notebook"}
myst_heading_anchors = 4  # the anchors that a forge gives
myst_disable_syntax = ["myst_line_comment", "myst_block_break", "myst_target", "myst_role", "math_inline", "math_block"]

root_doc = "docs/index"
NAVIGATION = {
    "Begin": [
        "Everything on one page </README>",
        "/docs/first-study",
        "/docs/choosing",
        "/docs/results",
        "/config/README",
    ],
    "Ask": ["/docs/advise", "/docs/inspect", "/docs/frameworks", "/gallery/README"],
    "Run": ["/docs/cluster", "/docs/monitoring", "/docs/trust", "/docs/scale", "/docs/performance", "/docs/elsewhere"],
    "What came out": ["/docs/findings", "/docs/validation", "/findings/README"],
    "How it works": ["/docs/physics", "/docs/theory", "/docs/design", "/docs/dependencies"],
    "Take part": ["/docs/extending", "/docs/api", "/CONTRIBUTING", "/CODE_OF_CONDUCT", "/CHANGELOG"],
}
include_patterns = [f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "CODE_OF_CONDUCT", "docs/*")]
include_patterns += ["gallery/*.ipynb"]
include_patterns += [f"{folder}/README.md" for folder in ("config", "findings", "gallery")]
exclude_patterns = [".*", "**/.*", "build", "results", "rnnmc", "tests"]  # not even looked into


def notebook_text(content: str) -> str:
    """A notebook as Markdown: its words, its code, and what the code showed."""
    parts = []
    for cell in json.loads(content)["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", []):
            shown = {kind: "".join(data) for kind, data in output.get("data", {}).items()}
            if "image/png" in shown:
                parts.append(f"![what the code drew](data:image/png;base64,{shown['image/png'].replace(chr(10), '')})")
            elif "text/html" in shown:
                wide = f'<div style="overflow-x: auto">{shown["text/html"]}</div>'
                parts.append(f"````{{raw}} html\n{wide}\n````")
            else:
                plain = shown.get("text/plain") or "".join(output.get("text", ""))
                parts.append("````\n" + re.sub(r"\x1b\[[\d;]*m", "", plain) + "\n````")
    return "\n\n".join(parts)


class NotebookParser(MystParser):
    """Reads notebooks as they are stored; runs nothing."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: Any) -> None:
        """See MystParser."""
        super().parse(notebook_text(inputstring), document)


def listed(caption: str, pages: list[str]) -> str:
    """A part of the navigation, which the page itself does not show."""
    return f"\n\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"


def add_to_page(app: Any, name: str, source: list[str]) -> None:
    """Put under a page what a forge does not show: the navigation, and the modules of the reference."""
    if name == root_doc:
        source[0] += "".join(listed(*part) for part in NAVIGATION.items())
    elif name == "gallery/README":
        source[0] += listed("Notebooks", ["[0-9]*"])
    elif name == "docs/api":
        rooms = sorted(f"/{module.name}" for module in pkgutil.iter_modules([str(ROOT / "rnnmc")]))
        links = (
            f'<li><a href="../api/rnnmc{room}.html">rnnmc{room.replace("/", ".")}</a></li>' for room in ["", *rooms]
        )
        source[0] += f"\n\n## Modules\n\n<ul>{''.join(links)}</ul>\n"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.add_source_parser(NotebookParser)
    app.connect("source-read", add_to_page)
