"""The files of docs/extending.md are all that something new takes; in a copy of rnnmc they keep their contracts."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from studies import environment

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
NEW = {name: code for code, name in re.findall(r"```python\n(# (rnnmc/\S+\.py)\n.*?)```", PAGE, re.DOTALL)}
CELLS = [Path(name).stem for name in NEW if name.startswith("rnnmc/cells/")]

CODE = """
import json
import sys
import polars as pl
import rnnmc
from rnnmc.run.checks import CHECKED_KINDS, check
from rnnmc.run.pipeline import plan, report
from rnnmc.run.sampling import sample_all
from rnnmc.run.aggregate import aggregate
from rnnmc.study.study import read_study
from pathlib import Path

asked = [
    *(("cell", name) for name in sys.argv[1:]), ("initialiser", "coin"), ("initialiser", "coins"), ("drive", "square"),
    ("drive", "{square: 1}"), ("observable", "activity"), ("law", "softsign_still"), ("analysis", "agreement"),
    ("picture", "agreement"), ("claim", "B1"),
]
results = {f"{kind} {name}": [one.name for one in check(kind, name) if not one.passed] for kind, name in asked}
study = read_study({
    "study": "new", "replicates": 20, "horizons": [1, 10, 100], "claims": True,
    "points": [
        {"cell": "softsign", "width": 3, "init": "coins", "drive": {"square": 6}, "observables": ["activity"]},
        {"cell": "softsign", "width": 3, "init": {"recurrent": {"orthogonal": 1.0}}, "drive": "none"},
    ],
}, "new.yaml")
folder = Path("results/new")
sample_all(folder, plan(study, folder), study.thresholds, None, "cpu")
aggregate(folder, study.thresholds, study.interval, claims=True)
report(folder)
print(json.dumps({
    "kinds": sorted({kind for kind, _ in asked}) == sorted(CHECKED_KINDS),
    "failed": results,
    "from": rnnmc.__file__,
    "laws": pl.read_parquet(folder / "statistics.parquet")["theory_law"].drop_nulls().unique().to_list(),
    "activity": pl.read_parquet(folder / "statistics-activity.parquet").height,
    "agreement": pl.read_parquet(folder / "agreement.parquet").height,
    "claims": pl.read_parquet(folder / "claims.parquet").filter(claim="B1").height,
    "figures": sorted(path.name for path in (folder / "figures").glob("agreement*")),
    "page": "softsign network keeps its gradient" in (folder / "report.html").read_text(),
}))
"""


@pytest.mark.slow
@pytest.mark.process
def test_the_files_of_the_page_are_all_that_something_new_takes(tmp_path):
    shutil.copytree(ROOT / "rnnmc", tmp_path / "rnnmc", ignore=shutil.ignore_patterns("__pycache__"))
    for name, code in NEW.items():
        assert not (tmp_path / name).exists(), f"{name} is there"
        (tmp_path / name).write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", CODE, *CELLS],
        cwd=tmp_path,
        env=environment() | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert Path(said.pop("from")).is_relative_to(tmp_path)
    assert not {name: wrong for name, wrong in said.pop("failed").items() if wrong}
    assert said == {
        "kinds": True,
        "laws": ["softsign_still"],
        "activity": 3,
        "agreement": 1,
        "claims": 2,
        "figures": ["agreement.png", "agreement.svg"],
        "page": True,
    }
    changed = [path for path in (tmp_path / "rnnmc").rglob("*.py") if not _as_it_was(path, tmp_path)]
    assert sorted(str(path.relative_to(tmp_path)) for path in changed) == sorted(NEW)


def _as_it_was(path: Path, folder: Path) -> bool:
    before = ROOT / path.relative_to(folder)
    return before.exists() and before.read_bytes() == path.read_bytes()


def test_the_page_has_one_of_each_kind_and_some_cells():
    ends = [re.findall(r"^([A-Z]+) = ", code, re.MULTILINE)[-1] for code in NEW.values()]
    assert sorted(ends) == sorted(
        ["CELL"] * len(CELLS) + ["LAW", "PRESET", "DRIVE", "OBSERVABLE", "LAW", "ANALYSIS", "PICTURE", "CLAIM"]
    )
