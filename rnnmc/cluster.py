"""Find, start or stop Ray, and say what it has.

Without RAY_ADDRESS a local Ray is started that listens on 127.0.0.1 alone, with token authentication, and that ends
with the process that started it. With RAY_ADDRESS the cluster there is used and left running.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnmc.errors import RunError, UsageError

NAMESPACE = "rnnmc"
OBJECT_STORE_BYTES = 100 * 2**20  # workers write shards themselves; only small summaries travel
HEAD_PATIENCE = 120.0  # seconds that a head may take to start on a busy machine
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Cluster:
    """A Ray that this process is connected to. cpus, gpus: of the whole cluster. dashboard: its address, or ""."""

    address: str
    dashboard: str
    cpus: int
    gpus: int


def own_cpus() -> int:
    """Processors that this process may run on: a job's allocation, not the whole node."""
    return len(os.sched_getaffinity(0))


def _prepare(address: str | None) -> Any:
    """Set what Ray reads at import, then import it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # else a second driver waits and fails with a network error
    if address is None or address.startswith("127."):
        # the one switch by which Ray binds every port to the loopback address
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    return ray


@contextmanager
def connected(address: str | None = None, cpus: int | None = None, dashboard: bool = False) -> Iterator[Cluster]:
    """Be connected to the Ray at `address` (or RAY_ADDRESS), or to a local one started for the duration.

    cpus: slots of a local Ray, by default the processors that this process may use. Raises UsageError when nothing
    answers at the address.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    ray = _prepare(address)
    options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        options |= {"num_cpus": cpus or own_cpus(), "object_store_memory": OBJECT_STORE_BYTES, "address": "local"}
        options |= {"include_dashboard": dashboard, "dashboard_host": "127.0.0.1"}
    try:
        context: Any = ray.init(**({"address": address} | options))
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address is None:
            raise RunError(f"a local Ray could not be started: {str(error).splitlines()[0]}") from error
        raise UsageError(
            f"RAY_ADDRESS {address}: no Ray answers there; start one with `ray start --head` or unset it"
        ) from None
    try:
        resources = ray.cluster_resources()
        yield Cluster(
            context.address_info["address"] or address or "",
            context.dashboard_url or "",
            int(resources.get("CPU", 1)),
            int(resources.get("GPU", 0)),
        )
    finally:
        ray.shutdown()


def die_with_parent() -> None:
    """Ask the kernel to send this process SIGTERM when its parent ends, however it ends (Linux)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def serve(answer: Path) -> None:
    """Be a head: hold a Ray (a new one, or the one at RAY_ADDRESS) and one dispatcher for every job of a run.

    Writes its address and the dashboard's to `answer`, then waits to be told to stop, or for its parent to end.
    """
    from rnnmc.fanout import start_dispatcher

    die_with_parent()
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
    answer = Path(tempfile.mkdtemp(prefix="rnnmc-")) / "address"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "rnnmc.cluster", str(answer)]
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    start = time.monotonic()
    while not answer.exists():
        if process.poll() is not None:
            raise RunError(
                f"{log}: the Ray head ended at once: {(log.read_text().strip().splitlines() or ['no word'])[-1]}"
            )
        if time.monotonic() - start > HEAD_PATIENCE:
            process.terminate()
            raise RunError(f"{log}: the Ray head did not start within {HEAD_PATIENCE:.0f} s; see this log")
        time.sleep(0.05)
    address, dashboard = [*answer.read_text().splitlines(), "", ""][:2]
    answer.unlink()
    answer.parent.rmdir()
    return Head(process, address, dashboard)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
