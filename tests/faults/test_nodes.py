"""Nodes of a Ray cluster, all on this machine, that are lost in the middle of a study or come late."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from studies import SECONDS, long, sample_here, samples_digest, shard_files, study_of

from rnnmc.run.cluster import OBJECT_STORE_BYTES, connected
from rnnmc.run.fanout import Done
from rnnmc.run.pipeline import plan
from rnnmc.run.running import LOOPBACK
from rnnmc.run.sampling import jobs_missing, sample
from rnnmc.run.surroundings import settle_token, surroundings
from rnnmc.store.plan import cut_up

STUDY = study_of(long())


def wait_for(what: Callable[[], object]) -> None:
    begin = time.monotonic()
    while not what():
        assert time.monotonic() - begin < SECONDS, "waited in vain"
        time.sleep(0.02)


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended
        return []


@pytest.fixture
def nodes() -> Iterator[Any]:
    """A cluster whose first node, which is this process's own, has nothing to compute with."""
    os.environ.update({"RAY_AUTH_MODE": "token", LOOPBACK: "0"})
    settle_token()
    from ray.cluster_utils import Cluster

    with surroundings():
        cluster = Cluster()
        cluster.add_node(num_cpus=0, **SMALL)
        try:
            yield cluster
        finally:
            cluster.shutdown()


SMALL = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}


@pytest.mark.slow
@pytest.mark.process
def test_a_node_lost_in_the_middle_and_one_that_comes_late_change_no_byte_of_the_samples(tmp_path, nodes) -> None:
    lost = nodes.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
    plan(STUDY, tmp_path)
    jobs = jobs_missing(tmp_path, cut_up(STUDY))
    late: list[Any] = []
    finished: dict[Any, int] = {}
    by: list[int] = []

    def lose_a_node(done: Done) -> None:
        by.append(psutil.Process(int(done.worker.split()[1])).ppid())
        if not late:
            nodes.remove_node(lost, allow_graceful=False)
            finished.update(shard_files(tmp_path))
            late.append(nodes.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES))

    with connected(nodes.address) as cluster:
        assert cluster.cpus == 1
        sample(tmp_path, jobs, cluster, "cpu", lose_a_node)
    (raylet,) = late[0].all_processes["raylet"]
    assert by.count(raylet.process.pid) >= len(jobs) - 2, "the late one has taken what was left"
    after = shard_files(tmp_path)
    assert {path: after[path] for path in finished} == finished, "a finished block was computed twice"
    assert samples_digest(tmp_path) == sample_here(STUDY, tmp_path / "undisturbed")
