"""Whatever temporary folder, home or list of users there is, Ray's processes find what they need, and leave none."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from rnnmc.common import granted
from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.granted import own_cpus
from rnnmc.run import cluster, surroundings
from rnnmc.run.cluster import connected, ray_address
from rnnmc.run.surroundings import LOCK, LONGEST, private_folder, settle_token

NAMES = ("RAY_TMPDIR", "TMPDIR", "XDG_RUNTIME_DIR", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS")


@pytest.fixture(autouse=True)
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, *granted.SETTINGS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(surroundings, "LONGEST", len(str(tmp_path)) + 10)
    (tmp_path / "top").mkdir()
    monkeypatch.setattr(surroundings, "PLACES", (str(tmp_path / "top"),))


@pytest.mark.parametrize("said", ["long", "missing", "a file", "none"])
def test_a_folder_for_sockets_has_a_short_path_whatever_tmpdir_is_and_goes_again(said, tmp_path, monkeypatch):
    long = tmp_path / ("long" * 20)
    long.mkdir()
    (tmp_path / "file").touch()
    places = {"long": long, "missing": tmp_path / "no", "a file": tmp_path / "file"}
    if said in places:
        monkeypatch.setenv("TMPDIR", str(places[said]))
    with private_folder() as folder:
        assert folder.parent == tmp_path / "top"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
    session = "/ray/session_2026-11-29_13-08-55_074985_4194304/sockets/plasma_store"
    assert LONGEST + len("/rnnmc-12345678") + len(session) <= 107


def test_what_a_killed_process_has_left_goes_and_what_a_living_one_holds_stays(tmp_path):
    dead, alive, other = (tmp_path / "top" / f"rnnmc-{name}" for name in ("dead", "alive", "other"))
    for folder in (dead, alive, other):
        folder.mkdir()
    (dead / LOCK).touch()
    with (alive / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with private_folder():
            assert not dead.exists()
            assert alive.exists()
            assert other.exists(), "nothing says that it is one of ours"


def test_where_no_folder_can_be_made_one_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(surroundings, "PLACES", (str(tmp_path / "no"),))
    said = r"no folder for Ray's sockets can be made in .*/no; set RAY_TMPDIR to"
    with pytest.raises(RunError, match=said), private_folder():
        pass


def test_the_surroundings_are_there_for_the_duration_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/proc")
    monkeypatch.delenv("USER", raising=False)
    monkeypatch.delenv("LOGNAME", raising=False)
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != "/proc")  # root may write anywhere
    before = dict(os.environ)
    with surroundings.surroundings():
        said = {name: os.environ[name] for name in ("RAY_TMPDIR", "TMPDIR", "HOME")}
        assert len({*said.values()}) == 1
        assert Path(said["HOME"]).parent == tmp_path / "top"
        assert os.environ["USER"] == f"user{os.getuid()}"
    assert dict(os.environ) == before


def test_the_token_is_nobody_elses_to_read_and_lies_in_the_cache_where_there_is_no_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    settle_token()
    path = tmp_path / ".ray" / "auth_token"
    token = path.read_text()
    assert len(token) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)  # as Ray makes it
    settle_token()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == token
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ
    monkeypatch.setenv("HOME", "/proc")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "")  # to be taken back when the test ends
    settle_token()
    kept = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert kept == tmp_path / "cache" / "rnnmc" / "token" / "auth_token"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR unknown command\r\n", None])
def test_another_server_where_a_ray_should_be_is_told_within_seconds(answer, monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS_TO_ANSWER", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            there, _ = server.accept()
            with there:
                there.recv(100)
                if answer is None:
                    there.recv(100)  # says nothing until the other one has gone
                else:
                    there.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        said = rf"RAY_ADDRESS {address}: (what answers there is no Ray|no Ray answers)"
        with pytest.raises(UsageError, match=said), connected(address):
            pass
        thread.join()


def test_an_empty_address_is_none(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert ray_address() is ray_address("") is None
    assert ray_address("a:1") == "a:1"
    monkeypatch.setenv("RAY_ADDRESS", "b:2")
    assert ray_address() == ray_address("") == "b:2"


def grant(monkeypatch: pytest.MonkeyPatch, root: Path, lines: str, **files: str) -> None:
    """Control groups of this process. files: `cpu_max="..."`, in the folder `group` of `a`."""
    monkeypatch.setattr(granted, "ROOT", root)
    monkeypatch.setattr(granted, "OWN", root / "own")
    (root / "own").write_text(lines)
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


TWO = "0::/a/group\n"
ONE = "5:cpu,cpuacct:/a/group\n6:memory:/a/group\n0::/\n"


@pytest.mark.parametrize(
    ("lines", "files", "cores"),
    [
        (TWO, {}, 16),
        (TWO, {"a__group__cpu_DOT_max": "50000 100000\n"}, 1),
        (TWO, {"a__group__cpu_DOT_max": "350000 100000\n"}, 3),
        (TWO, {"a__group__cpu_DOT_max": "max 100000\n", "a__cpu_DOT_max": "200000 100000\n"}, 2),
        (TWO, {"a__group__memory_DOT_max": "2000000000\n"}, 4),
        (TWO, {"a__group__memory_DOT_max": "max\n"}, 16),
        (TWO, {"a__group__memory_DOT_max": "1000\n"}, 1),
        (
            ONE,
            {"cpu,cpuacct__a__group__cpu_DOT_cfs_quota_us": "-1", "cpu,cpuacct__a__group__cpu_DOT_cfs_period_us": "1"},
            16,
        ),
        (ONE, {"cpu,cpuacct__a__cpu_DOT_cfs_quota_us": "150000", "cpu,cpuacct__a__cpu_DOT_cfs_period_us": "50000"}, 3),
        (ONE, {"memory__a__group__memory_DOT_limit_in_bytes": "1000000000"}, 2),
    ],
)
def test_the_least_of_what_the_machine_grants_is_used(lines, files, cores, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    grant(monkeypatch, tmp_path, lines, **files)
    assert own_cpus() == cores
    for name in granted.SETTINGS:
        monkeypatch.setenv(name, "2")
        assert own_cpus() == min(cores, 2)
        for nothing in ("", "0", "all", "-1"):
            monkeypatch.setenv(name, nothing)
            assert own_cpus() == cores
