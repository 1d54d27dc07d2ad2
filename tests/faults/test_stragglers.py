"""A block that takes far longer than it should, while slots are idle: given again, and the first to be done counts."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psutil
import pytest
from studies import sample_here, samples_digest, small, study_of

from rnnmc.run import fanout
from rnnmc.run.cluster import connected
from rnnmc.run.fanout import Done
from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import jobs_missing, sample
from rnnmc.store.plan import cut_up

SLEEPY = """
import os, time, rnnmc
class C(rnnmc.Cell):
    name = "c"
    gates = ("hidden",)
    def step(self, weights, drive, state):
        if os.environ["SPARED"] != str(os.getpid()):
            try:
                with open(os.environ["STALLED"], "x") as file:
                    file.write(str(os.getpid()))
            except FileExistsError:
                pass
            else:
                time.sleep(3600)
        return (drive["hidden"] + weights.apply(state[0], "hidden")["hidden"],)
c = C()
"""


@pytest.mark.slow
@pytest.mark.process
def test_a_block_whose_worker_stalls_is_done_by_another_and_leaves_the_samples_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "TASK_SECONDS", 0)  # a task a block
    (tmp_path / "sleepy.py").write_text(SLEEPY)
    monkeypatch.setenv("SPARED", str(os.getpid()))
    monkeypatch.setenv("STALLED", str(tmp_path / "stalled"))
    monkeypatch.chdir(tmp_path)
    study = study_of(small(replicates=20, points=[{"cell": ["tanh", "sleepy:c", "relu"], "width": 2}]))
    undisturbed = sample_here(study, tmp_path / "undisturbed")
    folder = tmp_path / "disturbed"
    plan(study, folder)
    seen: list[Done] = []
    with connected(cpus=2) as cluster:
        begin = time.monotonic()
        sample(folder, jobs_missing(folder, cut_up(study)), cluster, "cpu", seen.append)
        assert time.monotonic() - begin < 600
        stalled = int((tmp_path / "stalled").read_text())
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(stalled).wait(60)
    assert sorted(done.retries for done in seen) == [0, 0, 1]
    assert samples_digest(folder) == undisturbed
    assert not [path for path in folder.rglob("*") if path.suffix in (".running", ".part")]
