"""The Ray head of a workflow run: one small process that every job of the run finds, and that ends with it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rnnmc.common.errors import RunError, UsageError
from rnnmc.run.cluster import connected
from rnnmc.run.fanout import start_dispatcher
from rnnmc.run.surroundings import private_folder

PATIENCE = 120.0  # seconds that a head may take to start on a busy machine
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel send this process SIGTERM when its parent ends, however it ends (Linux); exit if it has."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the process that started this head has ended")


def serve(answer: Path, parent: int) -> None:
    """Be a head: hold a Ray (a new one, or the one at RAY_ADDRESS) and one dispatcher for every job of a run.

    Writes its address and the dashboard's to `answer`, then waits to be told to stop, or for its parent to end.
    """
    die_with_parent(parent)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the jobs end first, then the head
    try:
        with connected(dashboard=True) as cluster:
            dispatcher = start_dispatcher(cluster, named=True)
            answer.with_suffix(".part").write_text(f"{cluster.address}\n{cluster.dashboard}\n")
            answer.with_suffix(".part").replace(answer)
            while dispatcher:
                signal.pause()
    except (RunError, UsageError) as error:
        sys.exit(str(error))


@dataclass
class Head:
    """A head process that this process started, and its addresses."""

    process: subprocess.Popen[bytes]
    address: str
    dashboard: str

    def stop(self) -> None:
        """End the head, and with it a Ray that it started."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def start_head(log: Path) -> Head:
    """Start a head process and wait until it answers. Its output goes to `log`. Raises RunError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with private_folder() as folder:
        answer = folder / "address"
        with log.open("wb") as output:
            # -P: a file in the working folder that has the name of a module of Python's does not stand in for it
            command = [sys.executable, "-P", "-m", "rnnmc.run.head", str(answer), str(os.getpid())]
            process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        head = Head(process, "", "")
        try:
            head.address, head.dashboard = _answered(process, answer, log)
        except BaseException:
            head.stop()
            raise
    return head


def _answered(process: subprocess.Popen[bytes], answer: Path, log: Path) -> tuple[str, str]:
    start = time.monotonic()
    while not answer.exists():
        if process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"]
            raise RunError(f"the Ray head ended at once: {said[-1]} ({log})")
        if time.monotonic() - start > PATIENCE:
            raise RunError(f"the Ray head did not start within {PATIENCE:.0f} s; see {log}")
        time.sleep(0.05)
    address, dashboard = [*answer.read_text().splitlines(), "", ""][:2]
    return address, dashboard


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
