"""Every notebook of the gallery runs from its first cell to its last, and ends with what it shows."""

import ast
import json
import os
import sys
from pathlib import Path

import pytest
from studies import ROOT

NOTEBOOKS = sorted((ROOT / "gallery").glob("*.ipynb"))


def code_of(notebook: Path) -> list[str]:
    """The code of each cell."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run(code: str, names: dict) -> object:
    """The value of the last expression, as a notebook shows it."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last else None


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    names: dict = {"__name__": "__main__"}
    shown = [run(code, names) for code in code_of(notebook)]
    assert len(shown) >= 2


def test_the_gallery_has_its_five_notebooks() -> None:
    assert [path.stem[0] for path in NOTEBOOKS] == list("12345")
