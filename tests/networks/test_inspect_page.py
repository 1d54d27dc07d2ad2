"""The worked example of docs/inspect.md runs, and says what the page says."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from rnnmc.run.inspection import Asked, inspected
from rnnmc.study.study import Thresholds

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/inspect.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_lstm_of_the_page_lasts_longer_the_more_it_has_learnt(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        exec(code.replace("range(401)", "range(101)"), {})
    (words,) = (shlex.split(line) for line in PAGE.splitlines() if line.startswith("rnnmc inspect step0.pt"))
    series = {"file": {"path": words[words.index("--series") + 1], "column": words[words.index("--column") + 1]}}
    found = inspected(["step0.pt", "step100.pt"], Asked(series, Thresholds(), steps=200, sequences=32, fresh=0))
    first, later = found.layers.iter_rows(named=True)
    table = re.findall(r"^\| (\d+)(?: steps)? \| (\S+) \+- (\S+) \| (\S+) \[(\d+)", PAGE, re.MULTILINE)
    assert [int(row[0]) for row in table] == [0, 100, 200, 300, 400]
    assert f"{first['growth_rate']:.4f}" == table[0][1]
    assert f"{first['vanishes_at']:.1f}" == table[0][3]
    assert later["growth_rate"] == pytest.approx(float(table[1][1]), rel=0.5)  # training differs between machines
    assert later["vanishes_at"] > 3 * first["vanishes_at"]
