"""The Ray head of a workflow run: one small process that every job of the run finds, and that ends with it."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from rnnmc.common.errors import RunError, UsageError
from rnnmc.run.cluster import Cluster, connected
from rnnmc.run.dispatcher import OF_RUN, new_name, start_dispatcher
from rnnmc.run.surroundings import remove_left

HEAD_FILE = "RNNMC_HEAD"  # in the environment of a job: the file in which the head of its run says where it is
STARTER = "RNNMC_STARTER"  # there too: the host and the number of the process that has started that head
PATIENCE = 240.0  # seconds that a head may take to start: Ray itself waits a minute for its dashboard, twice
ASKED_WRONGLY = 2  # how a head ends whose Ray was asked for wrongly
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, by: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send this process a signal when its parent ends, however it ends (Linux); exit if it has."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:
        sys.exit("the process that started this one has ended")


def end_with_run() -> None:
    """Have this job interrupted, as by Ctrl-C, when the process that has started its run ends, however it ends.

    Its parent is a shell, which outlives who has started it. Without a run, on another host, or without Linux: nothing.
    Raises RunError where the run has ended already.
    """
    host, _, starter = os.environ.get(STARTER, "").partition(" ")
    if host != os.uname().nodename or not hasattr(os, "pidfd_open"):
        return
    try:
        end = os.pidfd_open(int(starter))
    except ProcessLookupError:
        raise RunError("the run that this job belongs to has ended; start it again to go on") from None
    except OSError:  # a kernel, or a container, that has no such thing
        return

    def watch() -> None:
        select.select([end], [], [])
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=watch, daemon=True).start()


def serve(answer: Path, parent: int) -> None:
    """Be a head: hold a Ray (a new one, or the one at RAY_ADDRESS) and one dispatcher for every job of a run.

    Writes its address and the dashboard's to `answer`, then waits to be told to stop, or for its parent to end.
    """
    die_with_parent(parent)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the jobs end first, then the head
    try:
        with connected(dashboard=True, name=f"{answer.parent.parent.name}: the head of its run") as cluster:
            dispatcher = start_dispatcher(cluster, shared=True)
            answer.with_suffix(".part").write_text(f"{cluster.address}\n{cluster.dashboard}\n")
            answer.with_suffix(".part").replace(answer)
            warming = _warmed(cluster)
            while dispatcher and warming:
                signal.pause()
    except (RunError, UsageError) as error:
        print(error, file=sys.stderr)
        sys.exit(ASKED_WRONGLY if isinstance(error, UsageError) else 1)


def _warmed(cluster: Cluster) -> list[object]:
    """Have the workers of a Ray on this machine import what blocks need, while the first job still starts."""
    import ray

    return [ray.remote(_import).options(name="imports").remote() for _ in range(cluster.cpus)]


def _import() -> None:
    import rnnmc.engine.run  # noqa: F401


@dataclass
class Head:
    """A head process that this process started, and the file in which it says where it is.

    log: its output. dispatcher: the name of the one that it holds for all jobs of the run.
    """

    process: subprocess.Popen[bytes]
    answer: Path
    log: Path
    dispatcher: str

    @property
    def of_jobs(self) -> dict[str, str]:
        """What stands in the environment of the jobs of the run."""
        return {OF_RUN: self.dispatcher, STARTER: f"{os.uname().nodename} {os.getpid()}"}

    def addresses(self) -> tuple[str, str] | None:
        """(of Ray, of its dashboard or ""), or None while it starts.

        Raises RunError where it has ended instead, UsageError where that is for what RAY_ADDRESS says.
        """
        if self.answer.exists():
            address, dashboard = [*self.answer.read_text().splitlines(), "", ""][:2]
            return address, dashboard
        if (ended := self.process.poll()) is not None:
            said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"]
            if ended == ASKED_WRONGLY:
                raise UsageError(said[-1])
            raise RunError(f"the Ray head ended at once: {said[-1]} ({self.log})")
        return None

    def wait(self) -> tuple[str, str]:
        """Its addresses, as soon as it answers. Raises as `addresses`, and RunError where it takes too long."""
        start = time.monotonic()
        while (found := self.addresses()) is None:
            if time.monotonic() - start > PATIENCE:
                raise RunError(f"the Ray head did not start within {PATIENCE:.0f} s; see {self.log}")
            time.sleep(0.05)
        return found

    def stop(self) -> None:
        """End the head, and with it a Ray that it started."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        with suppress(OSError):
            self.answer.unlink(missing_ok=True)
        remove_left()  # a head that was killed could not


def start_head(log: Path, environment: dict[str, str] | None = None) -> Head:
    """Start a head process, and do not wait until it answers. Its output goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    answer = log.with_name(f"{log.stem}-{os.getpid()}.address").absolute()
    answer.unlink(missing_ok=True)
    with log.open("wb") as output:
        # -P: a file in the working folder that has the name of a module of Python's does not stand in for it
        command = [sys.executable, "-P", "-m", "rnnmc.run.head", str(answer), str(os.getpid())]
        own = dict(os.environ if environment is None else environment) | {OF_RUN: (name := new_name())}
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=own)
    return Head(process, answer, log, name)


def address_of_head() -> str | None:
    """The Ray of the head that this job's run has started, as soon as it answers; None where it has none.

    Raises RunError where it does not answer.
    """
    if not os.environ.get(HEAD_FILE):
        return None
    answer, start = Path(os.environ[HEAD_FILE]), time.monotonic()
    while not answer.exists():
        if time.monotonic() - start > PATIENCE:
            raise RunError(f"the Ray head did not start within {PATIENCE:.0f} s; see {answer.parent}")
        time.sleep(0.05)
    return answer.read_text().splitlines()[0]


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
