"""Find, start or stop Ray, and say what it has.

Without RAY_ADDRESS a local Ray is started that listens on 127.0.0.1 alone, with token authentication, and that ends
with the process that started it. With RAY_ADDRESS the cluster there is used and left running.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from rnnmc.common.cpus import own_cpus
from rnnmc.common.errors import RunError, UsageError
from rnnmc.run.running import LOOPBACK, announced

NAMESPACE = "rnnmc"
SECONDS_TO_ANSWER = 5.0  # within which the port of a cluster must open
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
    import ray

    return ray


def _refuse_where_nobody_listens(address: str) -> None:
    """Ray itself waits for minutes before it says so. Addresses that are not host:port are left to Ray."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_TO_ANSWER):
            return
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"RAY_ADDRESS {address}: no Ray answers there ({error}); start one with `ray start --head`, or unset it"
        ) from None


@contextmanager
def connected(address: str | None = None, cpus: int | None = None, dashboard: bool = False) -> Iterator[Cluster]:
    """Be connected to the Ray at `address` (or RAY_ADDRESS), or to a local one started for the duration.

    cpus: slots of a local Ray, by default the processors that this process may use. Raises UsageError when nothing
    answers at the address.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    if address is not None:
        _refuse_where_nobody_listens(address)
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
        cluster = Cluster(
            context.address_info["address"] or address or "",
            context.dashboard_url or "",
            int(resources.get("CPU", 1)),
            int(resources.get("GPU", 0)),
        )
        with announced(cluster.address, cluster.dashboard) if address is None else nullcontext():
            yield cluster
    finally:
        ray.shutdown()
