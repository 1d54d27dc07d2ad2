"""Whatever temporary folder, home or list of users there is, Ray's processes find what they need, and leave none."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from rnnmc.common import granted
from rnnmc.common.errors import RunError, UsageError
from rnnmc.common.files import LOCK
from rnnmc.common.granted import own_cpus
from rnnmc.run import cluster, surroundings
from rnnmc.run.cluster import connected, ray_address
from rnnmc.run.head import start_head
from rnnmc.run.running import running
from rnnmc.run.surroundings import LONGEST, private_folder, settle_token

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


@pytest.mark.process
def test_what_was_started_for_the_ray_of_a_killed_process_ends_and_nothing_else_does(tmp_path):
    def started(name: str) -> subprocess.Popen[bytes]:
        folder = tmp_path / "top" / f"rnnmc-{name}"
        folder.mkdir()
        (folder / LOCK).touch()
        return subprocess.Popen(["sleep", "60"], env={"RAY_TMPDIR": str(folder), "PATH": os.environ["PATH"]})

    dead, alive = started("dead"), started("alive")
    reads = subprocess.Popen(["sleep", "60"], cwd=tmp_path / "top" / "rnnmc-dead")
    with (tmp_path / "top" / "rnnmc-alive" / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        surroundings.remove_left()
    assert dead.wait(10) == -signal.SIGKILL
    for one in (alive, reads):
        assert one.poll() is None
        one.kill()
        one.wait()


def test_what_rays_last_processes_write_into_a_folder_that_has_gone_goes_with_the_next_run(tmp_path):
    """Seen after a job was killed: they made it again, without the lock by which it was known."""
    again, fresh, kept = (tmp_path / "top" / f"rnnmc-{name}" for name in ("again", "fresh", "kept"))
    for folder in (again, fresh, kept):
        (folder / "ray" / "session_1" / "sockets").mkdir(parents=True)
        (folder / "pymp-abc").mkdir()
    (kept / "kernels").mkdir()
    for folder in (again, kept):
        os.utime(folder, (0, 0))
    with private_folder():
        assert not again.exists()
        assert fresh.exists(), "they may be at it still"
        os.utime(fresh, (0, 0))
    assert not fresh.exists()
    assert kept.exists(), "a cache of this user"


@pytest.mark.process
def test_what_a_process_was_compiling_when_it_was_killed_goes_with_the_next_run(tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\ncase $1 in --version) echo some compiler 1;; *) exec sleep 60;; esac\n")
    compiler.chmod(0o700)
    top = tmp_path / "top"
    environment = os.environ | {"CC": str(compiler), "TMPDIR": str(top)}
    lines = "from rnnmc.numerics.compiler import compiled; compiled('int a;', 'a')"
    process = subprocess.Popen([sys.executable, "-c", lines], env=environment)
    until = time.monotonic() + 60
    while not (left := list(top.glob("*/kernel.c"))) and time.monotonic() < until:
        time.sleep(0.05)
    assert left
    surroundings.remove_left()
    assert left[0].exists(), "it is at it"
    compiles = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    for one in compiles:
        one.kill()
    surroundings.remove_left()
    assert not left[0].parent.exists()


def test_snakemake_has_a_home_and_the_token_of_the_head_where_the_user_has_no_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/dev/null/home")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("USER", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "")  # to be restored
    with surroundings.own_temporary() as said:
        assert said["HOME"] == said["TMPDIR"]
        assert said["USER"] == f"user{os.getuid()}"
        token = Path(said["RAY_AUTH_TOKEN_PATH"])
        assert token.is_relative_to(tmp_path / f"rnnmc-{os.getuid()}"), "where the head looks, with the home of before"
        assert len(token.read_text()) == 64
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "somebody")
    with surroundings.own_temporary() as said:
        assert set(said) == {"TMPDIR"}


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


def over_http2(status: int) -> Callable[[socket.socket], None]:
    """A server that answers its first request with this status of gRPC and nothing else."""

    def answer(there: socket.socket) -> None:
        there.sendall(b"\0\0\0\4\0\0\0\0\0")  # a frame of settings, none
        there.recv(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), socket.MSG_WAITALL)
        kind = 0
        while kind != 1:  # headers
            frame = there.recv(9, socket.MSG_WAITALL)
            kind, stream = frame[3], frame[5:]
            there.recv(int.from_bytes(frame[:3]), socket.MSG_WAITALL)
        named = {b"content-type": b"application/grpc", b"grpc-status": b"%d" % status}
        words = b"\x88" + b"".join(b"\0%c%b%c%b" % (len(n), n, len(v), v) for n, v in named.items())  # :status 200
        there.sendall(len(words).to_bytes(3) + b"\1\5" + stream + words)  # the end of the headers and of the stream
        there.recv(1000)

    return answer


SERVERS: dict[str, tuple[Callable[[socket.socket], object], str]] = {
    "says nothing": (lambda there: there.recv(10**6), "no Ray answers there"),
    "of HTTP": (lambda there: there.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "no Ray answers there"),
    "of Redis": (lambda there: there.sendall(b"-ERR unknown command\r\n"), "no Ray answers there"),
    "of HTTP/2, and slow": (lambda there: there.sendall(b"\0\0\0\4\0\0\0\0\0"), "no Ray answers there"),
    "of gRPC": (over_http2(12), "what answers there is no Ray"),
    "a Ray of others": (over_http2(16), "the Ray there wants another token"),
}


@pytest.mark.parametrize("kind", SERVERS)
def test_another_server_where_a_ray_should_be_and_another_token_are_told_within_seconds(kind, monkeypatch):
    answer, said = SERVERS[kind]
    monkeypatch.setattr(cluster, "SECONDS_TO_ANSWER", 10.0 if "gRPC" in kind or "others" in kind else 0.3)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError), server.accept()[0] as there:
                answer(there)
                over.wait()

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"RAY_ADDRESS {address}: {said}"), connected(address):
            pass
        over.set()
        thread.join()


@pytest.mark.parametrize("address", ["ray://127.0.0.1:1", "http://127.0.0.1:8265"])
def test_an_address_of_rays_client_or_dashboard_is_refused(address):
    with pytest.raises(UsageError, match=r"of that kind; give HOST:PORT"), connected(address):
        pass


@pytest.mark.process
@pytest.mark.slow
def test_a_head_says_what_was_wrong_with_the_address_whatever_lies_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "random.py").write_text("raise SystemExit('this is not the one of Python')\n")
    monkeypatch.chdir(tmp_path)
    head = start_head(tmp_path / "head.log", os.environ | {"RAY_ADDRESS": "ray://127.0.0.1:1"})
    with pytest.raises(UsageError, match=r"^RAY_ADDRESS ray://127.0.0.1:1: no study can be sent"):
        head.wait()


def test_a_ray_of_which_only_the_dashboard_was_late_is_started_without_it_and_no_other_failure_is_hidden(
    monkeypatch, caplog
):
    asked, broken = [], False

    def init(include_dashboard, job_config, **_):
        asked.append((include_dashboard, job_config.metadata))
        if include_dashboard or broken:
            raise RuntimeError("\nthe last lines of a log")
        return SimpleNamespace(address_info={"address": "127.0.0.1:1", "session_dir": "/nowhere"}, dashboard_url="")

    fake = SimpleNamespace(init=init, shutdown=lambda: None, cluster_resources=lambda: {"CPU": 3.0})
    monkeypatch.setattr(cluster, "_prepare", lambda _: fake)
    with connected(dashboard=True, name="mine: lstm n=64") as found:
        assert (found.cpus, found.dashboard) == (3, "")
        assert [one.purpose for one in running()] == ["mine: lstm n=64"]
    assert asked == [(True, {"job_name": "mine: lstm n=64"}), (False, {"job_name": "mine: lstm n=64"})]
    assert "the run goes on without it" in caplog.text
    broken = True
    with pytest.raises(RunError, match="could not be started: the last lines of a log"), connected(dashboard=True):
        pass


def test_an_empty_address_is_none_and_local_is_a_ray_of_ones_own(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert ray_address() is ray_address("") is None
    assert ray_address("local") is None
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
