"""Write the site: the project's pages by Sphinx, and the reference of every module by pdoc, to build/docs (make docs).

A broken link, a missing anchor or a page that the navigation lacks ends it with 1.
"""

import base64
import pkgutil
import sys
import warnings
from pathlib import Path

import pdoc
from sphinx.cmd.build import build_main

import rnnmc

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "build/docs"
FRONT = """<!doctype html><meta charset="utf-8"><title>rnnmc</title>
<link rel="icon" href="_static/icon.svg"><meta http-equiv="refresh" content="0; url=docs/index.html">
<a href="docs/index.html">rnnmc</a>
"""


def write_pages(output: Path, source: Path = ROOT) -> int:
    """Render the pages that docs/conf.py lists; 0 where nothing was wrong."""
    # Quiet, all of it anew, and a warning is an error.
    words = ["-q", "-E", "-W", "--keep-going", "-c", ROOT / "docs", "-d", output / ".doctrees", source, output]
    code = build_main([str(word) for word in words])
    (output / "index.html").write_text(FRONT, encoding="utf-8")
    return code


def write_reference(output: Path) -> None:
    """Render every module from its docstrings; packages bring what is in them."""
    vars(rnnmc).update({name: getattr(rnnmc, name) for name in rnnmc.__all__})  # pdoc shows what has been imported
    inner = [
        f"rnnmc.{module.name}" for module in pkgutil.iter_modules(rnnmc.__path__) if module.name not in rnnmc.__all__
    ]
    warnings.filterwarnings("ignore", "Error parsing type annotation")  # of names imported for the type checker alone
    icon = "data:image/svg+xml;base64," + base64.b64encode((ROOT / "docs/icon.svg").read_bytes()).decode()
    pdoc.render.configure(docformat="google", show_source=False, favicon=icon)
    pdoc.pdoc("rnnmc", *inner, output_directory=output / "api")


def main() -> None:
    """Write all of it."""
    if code := write_pages(OUTPUT):
        sys.exit(code)
    write_reference(OUTPUT)
    print(f"Open {OUTPUT.relative_to(ROOT)}/index.html")


if __name__ == "__main__":
    main()
