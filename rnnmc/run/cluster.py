"""Find, start or stop Ray, and say what it has.

Without RAY_ADDRESS a local Ray is started that listens on 127.0.0.1 alone, with token authentication, and that ends
with the process that started it. With RAY_ADDRESS the cluster there is used and left running.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from rnnmc.common.errors import RunError, UsageError, first_line
from rnnmc.common.granted import own_cpus
from rnnmc.run.running import LOOPBACK, announced
from rnnmc.run.surroundings import settle_token, surroundings

log = logging.getLogger("rnnmc")

NAMESPACE = "rnnmc"
SECONDS_TO_ANSWER = 10.0  # within which a cluster must say that it lives, however busy it is
ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"  # the question whether it does, as Ray names it
REMEDY = "give HOST:PORT as `ray start --head` says it, or unset it"
OPTIONS: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.CRITICAL}
JOB_NAME = "job_name"  # of what Ray knows of a job: the key of what its dashboard shows as its name
OBJECT_STORE_BYTES = 100 * 2**20  # workers write shards themselves; only small summaries travel


@dataclass(frozen=True)
class Cluster:
    """A Ray that this process is connected to. cpus, gpus: of the whole cluster. dashboard: its address, or ""."""

    address: str
    dashboard: str
    cpus: int
    gpus: int


def _prepare(address: str | None) -> Any:
    """Set what Ray reads at import, then import it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # else a second driver waits and fails with a network error
    if address is None or address.startswith("127."):
        os.environ.setdefault(LOOPBACK, "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if os.environ["RAY_AUTH_MODE"] == "token":
        settle_token()
    import ray

    return ray


def _refuse_where_no_ray_answers(address: str) -> None:
    """Ask there what Ray's own parts ask each other first; Ray itself would ask for minutes. "auto" is left to Ray."""
    from ray._private.gcs_utils import create_gcs_channel  # it adds the token, and certificates where there are any
    from ray.exceptions import AuthenticationError

    if "://" in address:  # of Ray's client, or of its dashboard
        raise UsageError(f"RAY_ADDRESS {address}: no study can be sent to an address of that kind; {REMEDY}")
    if address == "auto":
        return
    try:
        with closing(create_gcs_channel(address)) as channel:
            channel.unary_unary(ALIVE)(b"", timeout=SECONDS_TO_ANSWER)
    except Exception as error:  # of gRPC, with a code
        code = getattr(error, "code", lambda: None)()
        kind = "UNAUTHENTICATED" if isinstance(error, AuthenticationError) else getattr(code, "name", "")
        if kind == "UNAUTHENTICATED":
            raise UsageError(
                f"RAY_ADDRESS {address}: the Ray there wants another token; give the one that it was started with by "
                "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
            ) from None
        if kind in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
            raise UsageError(f"RAY_ADDRESS {address}: no Ray answers there; {REMEDY}") from None
        raise UsageError(f"RAY_ADDRESS {address}: what answers there is no Ray; {REMEDY}") from None


def ray_address(given: str | None = None) -> str | None:
    """The address of a cluster: the one given, or RAY_ADDRESS; None without one, where it is empty, or "local"."""
    address = given or os.environ.get("RAY_ADDRESS")
    return None if address in (None, "", "local") else address


def dashboard_told(address: str, joined: bool) -> str:
    """Where Ray's dashboard is, or `none`; of a Ray of our own also how it is opened, for it asks for a token."""
    return "none" if not address else address if joined else f"{address} (open it: rnnmc dashboard)"


@contextmanager
def connected(
    address: str | None = None, cpus: int | None = None, dashboard: bool = False, name: str = ""
) -> Iterator[Cluster]:
    """Be connected to the Ray at `address` (or RAY_ADDRESS), or to a local one started for the duration.

    cpus: slots of a local Ray, by default the processors that this process may use. A dashboard that does not come in
    time is done without. name: of this process among the jobs that Ray shows, beside its command. Raises UsageError
    when nothing answers at the address, RunError when no Ray can be started.
    """
    address = ray_address(address)
    if address is None:
        os.environ.pop("RAY_ADDRESS", None)  # an empty one, which Ray would take for an address
        with surroundings(), _started(cpus or own_cpus(), dashboard, name) as cluster:
            yield cluster
    else:
        with _joined(address, name) as cluster:
            yield cluster


@contextmanager
def _started(cpus: int, dashboard: bool, name: str) -> Iterator[Cluster]:
    """A Ray of this process."""
    ray = _prepare(None)
    options = {"address": "local", "num_cpus": cpus, "object_store_memory": OBJECT_STORE_BYTES} | _options(name)
    try:
        try:
            context = ray.init(**options, include_dashboard=dashboard, dashboard_host="127.0.0.1")
        except Exception:  # of many kinds, of which none says what it was; if all of Ray fails, it does so again
            if not dashboard:
                raise
            log.warning("Ray's dashboard did not start in time; the run goes on without it")
            ray.shutdown()
            context = ray.init(**options, include_dashboard=False)
    except Exception as error:
        raise RunError(
            f"a local Ray could not be started: {first_line(error)}; run again when the machine is less busy, or give "
            "another folder for its sockets by RAY_TMPDIR"
        ) from error
    try:
        cluster = _cluster(ray, context, "")
        session = context.address_info["session_dir"] if dashboard else ""
        with announced(cluster.address, cluster.dashboard, session, name):
            yield cluster
    finally:
        ray.shutdown()


@contextmanager
def _joined(address: str, name: str) -> Iterator[Cluster]:
    """The Ray at this address, which is left running."""
    ray = _prepare(address)
    _refuse_where_no_ray_answers(address)
    try:
        context = ray.init(address=address, **_options(name))
    except Exception as error:  # of many kinds
        raise UsageError(
            f"RAY_ADDRESS {address}: the Ray there cannot be joined: {first_line(error)}; {REMEDY}"
        ) from None
    try:
        yield _cluster(ray, context, address)
    finally:
        ray.shutdown()


def _options(name: str) -> dict[str, Any]:
    from ray.job_config import JobConfig

    return OPTIONS | {"job_config": JobConfig(metadata={JOB_NAME: name} if name else None)}


def _cluster(ray: Any, context: Any, address: str) -> Cluster:
    resources = ray.cluster_resources()
    found = context.address_info["address"] or address
    return Cluster(found, context.dashboard_url or "", int(resources.get("CPU", 1)), int(resources.get("GPU", 0)))
