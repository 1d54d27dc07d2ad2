"""Which Rays are running, told by those that run and believed of none that has died."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from rnnmc.cli import main
from rnnmc.common.errors import UsageError
from rnnmc.numerics.trusted import folders
from rnnmc.run.running import LOOPBACK, MACHINES, announced, environment, running, scraped, token_place


@pytest.fixture(autouse=True)
def _nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", LOOPBACK):
        monkeypatch.delenv(name, raising=False)


def test_a_ray_is_found_for_as_long_as_it_runs() -> None:
    assert running() == []
    with announced("127.0.0.1:6379", "127.0.0.1:8265"):
        (one,) = running()
        assert (one.pid, one.address, one.dashboard) == (os.getpid(), "127.0.0.1:6379", "127.0.0.1:8265")
        assert environment(None) == {"RAY_ADDRESS": "127.0.0.1:6379", "RAY_AUTH_MODE": "token", LOOPBACK: "0"}
        assert environment("head:1") == {"RAY_ADDRESS": "head:1", "RAY_AUTH_MODE": "token"}
    assert running() == []
    with pytest.raises(UsageError, match="no Ray of rnnmc is running"):
        environment(None)


@pytest.mark.parametrize("words", ['{"pid": 4194305, "address": "a:1", "dashboard": "", "purpose": ""}', "{", "[]"])
def test_the_word_of_a_process_that_was_killed_is_not_believed_and_goes(words: str) -> None:
    path = next(iter(folders("running"))) / f"{platform.node()}-4194305.json"  # no process has a number above 2^22
    path.write_text(words)
    assert running() == []
    assert not path.exists()


def test_what_another_machine_that_shares_the_home_has_said_stays(tmp_path: Path) -> None:
    path = next(iter(folders("running"))) / "another.machine-4194305.json"
    path.write_text('{"pid": 4194305, "address": "a:1", "dashboard": "", "purpose": ""}')
    link = scraped() / "another.machine-4194305.json"
    link.symlink_to(tmp_path / "of another" / MACHINES)
    assert running() == []
    scraped()
    assert path.exists()
    assert link.is_symlink()


@pytest.mark.parametrize(
    ("words", "terminal", "display", "opened"),
    [([], True, ":0", True), (["--print"], True, ":0", False), ([], False, ":0", False), ([], True, "", False)],
)
def test_the_dashboard_is_opened_where_somebody_sees_it_and_its_token_is_told_everywhere(
    words, terminal, display, opened, monkeypatch, capsys
):
    went: list[str] = []
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("webbrowser.get", object)
    monkeypatch.setattr("typer.launch", went.append)
    monkeypatch.setattr("sys.argv", ["rnnmc", "dashboard", *words])
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    with announced("127.0.0.1:6379", "127.0.0.1:8265", purpose="mine"), pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().out
    assert end.value.code == 0
    assert said.startswith("http://127.0.0.1:8265  (mine)\nIt asks for a token, which is in ")
    assert went == ["http://127.0.0.1:8265"] * opened


def test_the_token_is_where_ray_looks_for_it() -> None:
    assert token_place({}).endswith("/.ray/auth_token")
    assert token_place({"RAY_AUTH_TOKEN_PATH": "/a/b"}) == "in /a/b"
    assert token_place({"RAY_AUTH_TOKEN": "x", "RAY_AUTH_TOKEN_PATH": "/a/b"}) == "in RAY_AUTH_TOKEN"


def test_prometheus_finds_the_machines_of_a_ray_for_as_long_as_it_runs_and_of_none_that_was_killed(
    tmp_path: Path,
) -> None:
    (tmp_path / MACHINES).write_text("[]")  # Ray writes it some time after its start
    (scraped() / f"{platform.node()}-4194305.json").symlink_to(tmp_path / "gone" / MACHINES)
    with announced("127.0.0.1:6379", "127.0.0.1:8265", str(tmp_path)):
        (one,) = scraped().iterdir()
        assert one.read_text() == "[]"
    with announced("127.0.0.1:6379", ""):
        assert not list(scraped().iterdir())
