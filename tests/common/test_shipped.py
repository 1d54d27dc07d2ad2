"""What comes with rnnmc is found in a checkout and in a wheel, and a study of it is put where it can be changed."""

import tomllib
from pathlib import Path

import pytest
from studies import ROOT

from rnnmc.common import shipped as module
from rnnmc.common.errors import UsageError
from rnnmc.common.shipped import CONFIG, shipped, study_file

SHARE = "share/rnnmc"


def test_a_wheel_brings_all_that_the_workflow_reads_in_the_folders_where_it_looks():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    brought = {
        f"{folder}/{path.name}": path.relative_to(ROOT) for folder, globs in settings.items() for one in globs
        for path in ROOT.glob(one)
    }  # fmt: skip
    read = [
        ROOT / "Snakefile",
        ROOT / "environment.yml",
        *(ROOT / "workflow").rglob("*"),
        *(ROOT / "config").rglob("*"),
    ]
    tracked = [path.relative_to(ROOT) for path in read if path.is_file() and "__pycache__" not in path.parts]
    assert len(tracked) > 20
    assert {f"{SHARE}/{path}": path for path in tracked} == brought


def test_a_study_is_named_or_given_by_its_file_and_one_that_comes_with_rnnmc_is_copied_with_its_data(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "mine.yaml"
    own.write_text("study: mine\n")
    assert study_file(own) == (own, False)
    assert study_file(Path("missing.yaml")) == (Path("missing.yaml"), False)
    assert study_file(Path("atlas")) == (CONFIG / "atlas.yaml", True)
    assert (CONFIG / "atlas.yaml").read_bytes() == (ROOT / "config/atlas.yaml").read_bytes()
    assert sorted(path.name for path in (CONFIG / "data").iterdir()) == ["co2.csv", "us-constitution.txt"]
    (CONFIG / "atlas.yaml").write_text("changed")
    assert study_file(Path("atlas")) == (CONFIG / "atlas.yaml", False)
    assert study_file(CONFIG / "smoke.yaml") == (CONFIG / "smoke.yaml", True)
    with pytest.raises(UsageError, match=r"atlsa: is no study; did you mean atlas\?"):
        study_file(Path("atlsa"))
    assert (CONFIG / "atlas.yaml").read_text() == "changed"


def test_without_a_checkout_the_workflow_is_where_a_wheel_puts_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "lib" / "rnnmc" / "common" / "shipped.py"))
    monkeypatch.setattr(module.sysconfig, "get_path", lambda _: str(tmp_path))
    shipped.cache_clear()
    assert shipped() is None
    (tmp_path / SHARE).mkdir(parents=True)
    (tmp_path / SHARE / "Snakefile").write_text("")
    shipped.cache_clear()
    assert shipped() == tmp_path / SHARE
    shipped.cache_clear()
