"""Which Rays rnnmc has started for this user and are running now, and how their dashboards and tools are reached."""

from __future__ import annotations

import glob
import json
import os
import platform
import sys
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rnnmc.common.errors import UsageError
from rnnmc.numerics.trusted import folders
from rnnmc.run.surroundings import TOKEN, TOKEN_FILE

KIND, SCRAPED = "running", "scraped"  # of what is kept for this user
MACHINES = "prom_metrics_service_discovery.json"  # as Ray names it
LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # the one switch by which Ray binds every port to the loopback address


@dataclass(frozen=True)
class Running:
    """One Ray: its process, its address, its dashboard's ("" where it has none), and what it was started for."""

    pid: int
    address: str
    dashboard: str
    purpose: str


@contextmanager
def announced(address: str, dashboard: str, session: str = "", purpose: str = "") -> Iterator[None]:
    """Let `running` find the Ray of this process for the duration, where there is a place to say so.

    session: the folder where it keeps a list of its machines for Prometheus, which is to find that too; "" without.
    purpose: what it is started for; else the command of this process.
    """
    purpose = purpose or " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    said: list[Path] = []
    with suppress(OSError):
        if folder := next(iter(folders(KIND)), None):
            said.append(folder / f"{_here()}{os.getpid()}.json")
            words = json.dumps(asdict(Running(os.getpid(), address, dashboard, purpose)))
            said[-1].write_text(words, encoding="utf-8")
        if session:
            said.append(scraped() / f"{_here()}{os.getpid()}.json")
            said[-1].unlink(missing_ok=True)
            said[-1].symlink_to(Path(session) / MACHINES)
    try:
        yield
    finally:
        for path in said:
            path.unlink(missing_ok=True)


def _here() -> str:
    """How the names of what is said of this machine begin: a home may be shared by several."""
    return f"{platform.node()}-"


def scraped() -> Path:
    """The folder in which Prometheus finds the Rays of this user that run. Raises OSError where none can be made."""
    folder = next(iter(folders(SCRAPED)), None)
    if folder is None:
        raise OSError("no folder of this user can be made")
    for path in folder.glob(f"{glob.escape(_here())}*.json"):
        if not path.readlink().parent.exists():  # it was killed, and could not take its word back
            path.unlink(missing_ok=True)
    return folder


def running() -> list[Running]:
    """The Rays of this user whose processes live on this machine, the newest first."""
    found = []
    for folder in folders(KIND):
        for path in sorted(folder.glob(f"{glob.escape(_here())}*.json"), key=lambda path: -path.stat().st_mtime):
            try:
                one = Running(**json.loads(path.read_text(encoding="utf-8")))
                os.kill(one.pid, 0)
            except (OSError, ValueError, TypeError):  # it was killed and could not take its word back
                path.unlink(missing_ok=True)
            else:
                found.append(one)
    return found


def environment(address: str | None) -> dict[str, str]:
    """What Ray's own tools need to reach the Ray at `address`, or else at RAY_ADDRESS, or the newest that is running.

    Raises UsageError where there is none.
    """
    address = address or os.environ.get("RAY_ADDRESS") or next((one.address for one in running()), None)
    if not address:
        raise UsageError("no Ray of rnnmc is running for this user; start a study, or give --address HOST:PORT")
    said = {"RAY_ADDRESS": address, "RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "token")}
    if address.startswith("127."):
        said[LOOPBACK] = os.environ.get(LOOPBACK, "0")  # else Ray takes 127.0.0.1 for the address of the network
    return said


def has_browser(said: Mapping[str, str]) -> bool:
    """Whether a browser with windows can be opened, in the environment `said`."""
    if not (said.get("DISPLAY") or said.get("WAYLAND_DISPLAY")):
        return False
    with suppress(webbrowser.Error):
        return bool(webbrowser.get())
    return False


def token_place(said: Mapping[str, str]) -> str:
    """Where the token that unlocks a dashboard lies, in the environment `said`."""
    if said.get("RAY_AUTH_TOKEN"):
        return "in RAY_AUTH_TOKEN"
    if said.get("RAY_AUTH_TOKEN_PATH"):
        return f"in {said['RAY_AUTH_TOKEN_PATH']}"
    kept = [folder / TOKEN_FILE.name for folder in folders(TOKEN)]  # without a home
    with suppress(OSError, RuntimeError):
        kept.insert(0, TOKEN_FILE.expanduser())
    return f"in {next((path for path in kept if path.exists()), kept[0])}"
