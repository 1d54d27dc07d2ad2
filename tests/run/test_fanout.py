"""Blocks over a real Ray: the numbers are those of one process, whatever the workers and the order."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from studies import ROOT, command, sample_here, samples_digest, small, study_of

import rnnmc
from rnnmc.common.errors import RunError, UsageError
from rnnmc.engine.block import chains_of, partition
from rnnmc.numerics.compiler import compiler
from rnnmc.run import dispatcher as dispatcher_module
from rnnmc.run import fanout, sampling
from rnnmc.run.cluster import connected
from rnnmc.run.dispatcher import Dispatcher
from rnnmc.run.fanout import (
    TASK_SECONDS,
    Done,
    Job,
    Task,
    batches,
    expected_seconds,
    make_blocks,
    source_facts,
    to_travel,
)
from rnnmc.run.pipeline import plan
from rnnmc.run.sampling import jobs_missing, jobs_of, sample
from rnnmc.store.plan import cut_up
from rnnmc.store.reading import samples_of
from rnnmc.store.stored_point import StoredPoint

STUDY = study_of(
    small(replicates=700, points=[{"cell": ["lstm", "gru"], "width": [1, 16]}, {"cell": "tanh", "width": 64}])
)


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory: pytest.TempPathFactory) -> str:
    return sample_here(STUDY, tmp_path_factory.mktemp("one"))


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_and_the_order_of_blocks_change_no_byte_of_the_samples(
    workers: int, tmp_path: Path, in_one_process: str
) -> None:
    plan(STUDY, tmp_path)
    jobs = jobs_missing(tmp_path, cut_up(STUDY))
    if workers == 2:
        random.Random(1).shuffle(jobs)
    seen: list[Done] = []
    with connected(cpus=workers) as cluster:
        assert cluster.cpus == workers
        if workers == 2:
            said = ""
            while "/2.0 CPU" not in said:  # Ray knows nothing of itself in its first seconds; pytest's limit ends this
                run = command("rnnmc", "ray", "--", "status", cwd=tmp_path)
                assert run.returncode == 0, run.stderr
                said = run.stdout
        sample(tmp_path, jobs, cluster, "auto", seen.append)
        with pytest.raises(UsageError, match="no CUDA device"):
            sample(tmp_path, jobs[:1], cluster, "cuda")
        _a_failing_block_is_reported_and_stops_no_other(tmp_path / "partly", jobs[:3], cluster)
    assert sorted((done.key, done.block) for done in seen) == sorted((job.stored.key, job.block) for job in jobs)
    assert sum(done.replicates for done in seen) == 5 * 700
    assert samples_digest(tmp_path) == in_one_process
    assert jobs_missing(tmp_path, cut_up(STUDY)) == []


def _a_failing_block_is_reported_and_stops_no_other(directory: Path, jobs: list[Job], cluster: object) -> None:
    plan(STUDY, directory)
    wrong = jobs[0]._replace(block=0, replicates=jobs[0].stored.cut.block + 1)
    with pytest.raises(RunError, match="finished blocks are kept") as failure:
        sample(directory, [wrong, *jobs], cluster, "cpu")  # pyright: ignore[reportArgumentType]
    assert "replicates" in str(failure.value)
    assert len(list(directory.rglob("*.parquet"))) == 1 + len(jobs)  # points.parquet and the shards


def test_small_blocks_share_a_task_of_about_a_second_and_large_ones_have_one_each(monkeypatch):
    entries = [{"cell": "tanh", "width": 4, "init": {"recurrent": {"gaussian": [0.5 + i / 500 for i in range(500)]}}}]
    jobs = jobs_of(cut_up(study_of(small(points=[*entries, {"cell": "lstm", "width": 128}]))))
    together = list(batches(jobs))
    assert list(itertools.chain(*(jobs[some] for some in together))) == jobs
    cost = [expected_seconds(job.stored, job.replicates) for job in jobs[together[0]]]
    assert sum(cost[:-1]) < TASK_SECONDS <= sum(cost)
    assert len(together) < len(jobs) / 5
    few = jobs[:40]
    assert 10 <= len(list(batches(few, 10))) <= 20, "no slot stands idle while another has many"
    assert len(list(batches(few, 1))) == 2
    monkeypatch.setattr(fanout, "TASK_SECONDS", 0)
    assert {len(jobs[some]) for some in batches(jobs)} == {1}


def test_what_a_task_is_told_grows_by_the_block_and_not_by_the_description_of_its_point():
    jobs = jobs_of(cut_up(study_of(small(replicates=10**8, points=[{"cell": "tanh", "width": 1}]))))
    tasks = list(to_travel(jobs))
    assert [(task.point["key"], task.block, task.replicates, task.name) for task in tasks] == [
        (job.stored.key, job.block, job.replicates, job.name) for job in jobs
    ]
    assert len(jobs) > 1000
    assert len(pickle.dumps([tasks[some] for some in batches(jobs)])) < 100 * len(jobs)


def test_a_worker_that_has_another_cell_than_was_planned_samples_nothing(tmp_path: Path) -> None:
    (task,) = to_travel(jobs_of(cut_up(study_of(small(points=[{"cell": "tanh", "width": 2}])))))
    stale = task._replace(point=task.point | {"key": "another"})
    ((done,),) = make_blocks([stale], str(tmp_path), "cpu", {})
    assert done.wrong
    assert (
        "tanh n=2 pytorch, drive white, m = 1: its cell, a law or its drive is not here as it was planned" in done.error
    )
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_relative_path_is_of_the_folder_of_the_driver_wherever_the_worker_stands(tmp_path, monkeypatch):
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    for folder in (there, elsewhere):
        folder.mkdir()
    (there / "series.csv").write_text("x\n" + "\n".join(str(i % 7) for i in range(50)))
    monkeypatch.chdir(there)
    entry = {"cell": "tanh", "width": 1, "drive": {"file": {"path": "series.csv"}}}
    tasks = list(to_travel(jobs_of(cut_up(study_of(small(points=[entry], replicates=5))))))
    monkeypatch.chdir(elsewhere)
    ((done,),) = make_blocks(tasks, str(tmp_path / "results"), "cpu", {})
    assert not done.error
    lost = tasks[0]._replace(point=tasks[0].point | {"folder": str(tmp_path / "nowhere")})
    monkeypatch.chdir(elsewhere)
    ((done,),) = make_blocks([lost], str(tmp_path / "again"), "cpu", {})
    assert "series.csv cannot be read" in done.error


@pytest.mark.slow
def test_asking_for_more_replicates_reuses_what_is_there_and_gives_the_same_first_ones(tmp_path: Path) -> None:
    few, many = (study_of(small(replicates=count, points=[{"cell": "lstm", "width": 64}])) for count in (100, 300))
    for study in (few, many):
        plan(study, tmp_path)
        jobs = jobs_missing(tmp_path, cut_up(study))
        if study is many:
            whole = 100 // partition(study.points[0].point).block
            assert min(job.block for job in jobs) == whole
        sample(tmp_path, jobs, None, "cpu")
        if study is few:
            first = samples_of(tmp_path, StoredPoint.of(few.points[0]))
    more = samples_of(tmp_path, StoredPoint.of(many.points[0]))
    assert more.head(first.height).drop("point").equals(first.drop("point"))


@pytest.mark.process
def test_a_shard_carries_the_commit_of_the_checkout_that_made_it_and_the_versions() -> None:
    try:
        top = subprocess.run(
            ["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    facts = source_facts()
    assert facts["commit"].removesuffix("-dirty") == top.strip()
    assert facts["versions"]["rnnmc"] == rnnmc.__version__


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
def test_what_a_kernel_of_ones_own_cell_is_not_is_told_here_and_not_to_the_workers_alone(caplog, monkeypatch, tmp_path):
    (tmp_path / "fooling.py").write_text(FOOLING, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    study = study_of(small(replicates=20, points=[{"cell": ["fooling:CELL", "tanh"], "width": 2}], horizons=[500]))
    monkeypatch.setattr(sampling, "fan_out", lambda *_: [])
    with caplog.at_level("WARNING", "rnnmc"):
        sampling.sample(None, jobs_of(cut_up(study)), object(), "auto")  # pyright: ignore[reportArgumentType]
    assert [record.getMessage().partition(":CELL")[0] for record in caplog.records] == ["fooling"]
    assert "is not what the cell does" in caplog.text


FOOLING = """
import torch
from rnnmc.cells.cell import Cell
class Fooling(Cell):
    name, formula, source, gates = "fooling", "-", "a test", ("hidden",)
    def linearise(self, weights, drive, state):
        a = drive["hidden"] + weights.apply(state[0], "hidden")["hidden"]
        jacobian = weights.recurrent["hidden"] * (1.0 if type(a) is torch.Tensor else 2.0)
        return (a,), lambda directions: (weights.product(directions[0], jacobian),)
CELL = Fooling()
"""


class Stream:
    """What a task of Ray gives back: one batch of blocks that are done, and its end somewhat later."""

    def __init__(self, batch):
        self.left = [batch]
        self.lost: set[int] = set()  # blocks that this worker cannot make as the others were
        self.deadly: int | None = None  # the block of which it dies

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            await asyncio.sleep(0.05)
            raise StopAsyncIteration
        reference = asyncio.get_running_loop().create_future()
        lost = {block: {"error": "no compiler", "elsewhere": True} for block in self.lost}
        every = self.left.pop()
        if self.deadly in [one.block for one in every]:
            raise RuntimeError("the worker died")
        facts = {"size": 1000, "began": 1.0, "worker": "here 1"}
        made = [Done(one.point["key"], one.block, 1, 0.0, **facts | lost.get(one.block, {})) for one in every]
        reference.set_result(made)
        return reference


class Submitted:
    """A remote function whose tasks are done at once."""

    def __init__(self, *_):
        pass

    def options(self, **_):
        return self

    def remote(self, batch, *_):
        return Stream(batch)


class Meter:
    """A metric of Ray's, which keeps what it is told."""

    def __init__(self, name, *_):
        self.values: Counter[str] = TOLD.setdefault(name, Counter())

    def inc(self, value, tags):
        assert value > 0  # what Ray's own wants
        self.values[" ".join(tags.values())] += value

    def observe(self, value, tags):
        self.values[" ".join(tags.values())] += value

    def set(self, value, tags):
        self.values[" ".join(tags.values())] = value


TOLD: dict[str, Counter[str]] = {}
POINT = {"key": "k", "label": "l", "cell": "tanh", "width": "4", "most": 3, "cut": {"block": 1}, "seconds": {1: 1.0}}


def with_tasks(monkeypatch, remote, cancelled=None) -> Dispatcher:
    """A dispatcher whose tasks are not Ray's."""
    # the real one reads the environment once, when it is first imported, and a cluster sets that before
    kept = cancelled if cancelled is not None else []
    ray = SimpleNamespace(cancel=lambda stream, force: kept.append((stream, force)), remote=remote)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.exceptions", SimpleNamespace(RayError=RuntimeError))
    TOLD.clear()
    metrics = SimpleNamespace(Counter=Meter, Histogram=Meter, Gauge=Meter)
    monkeypatch.setitem(sys.modules, "ray.util", SimpleNamespace(metrics=metrics))
    monkeypatch.setitem(sys.modules, "ray.util.metrics", metrics)
    return Dispatcher(2)


@pytest.mark.parametrize("failures", [1, fanout.RETRIES, fanout.RETRIES + 1])
def test_a_block_that_its_worker_cannot_make_as_the_others_is_sent_elsewhere_and_told_of_where_none_can(
    monkeypatch, failures
):
    tried = []

    class Moving(Submitted):
        def remote(self, batch, *_):
            tried.append([task.block for task in batch])
            stream = Stream(batch)
            stream.lost = {1} if len(tried) <= failures else set()
            return stream

    dispatcher = with_tasks(monkeypatch, Moving)

    async def follow():
        tasks = [Task(POINT, block, 1) for block in range(3)]
        return [done async for some in dispatcher.sample([tasks], "", "cpu", {}) for done in some]

    found = asyncio.run(follow())
    assert sorted(done.block for done in found) == [0, 1, 2]
    assert tried == [[0, 1, 2], *[[1]] * min(failures, fanout.RETRIES)]
    assert [done.block for done in found if done.error] == ([1] if failures > fanout.RETRIES else [])
    assert {done.block: done.retries for done in found} == {0: 0, 1: min(failures, fanout.RETRIES), 2: 0}
    assert TOLD["rnnmc_blocks_retried"] == {"measure tanh 4": min(failures, fanout.RETRIES)}
    assert TOLD["rnnmc_blocks_in_flight"] == {"measure": 0}


@pytest.mark.parametrize("deaths", [1, fanout.RETRIES + 1])
def test_of_a_worker_that_died_each_block_is_tried_again_by_itself_and_every_attempt_is_counted(monkeypatch, deaths):
    tried: list[list[int]] = []

    class Dying(Submitted):
        def remote(self, batch, *_):
            tried.append([task.block for task in batch])
            stream = Stream(batch)
            stream.deadly = 1 if sum(1 in blocks for blocks in tried) <= deaths else None
            return stream

    dispatcher = with_tasks(monkeypatch, Dying)
    monkeypatch.setattr(dispatcher_module.asyncio, "sleep", at_once)

    async def follow():
        tasks = [Task(POINT, block, 1) for block in range(3)]
        return [done async for some in dispatcher.sample([tasks], "", "cpu", {}) for done in some]

    found = asyncio.run(follow())
    assert tried == [[0, 1, 2], [0], [1], [2], *[[1]] * (min(deaths, fanout.RETRIES) - 1)]
    given_up = deaths > fanout.RETRIES
    assert {done.block: (bool(done.error), done.retries) for done in found} == {
        0: (False, 1),
        1: (given_up, min(deaths, fanout.RETRIES)),
        2: (False, 1),
    }
    assert TOLD["rnnmc_blocks_retried"] == {"measure tanh 4": 2 + min(deaths, fanout.RETRIES)}
    assert TOLD["rnnmc_blocks_failed"] == ({"measure tanh 4": 1} if given_up else {})
    assert TOLD["rnnmc_replicates"] == {"measure tanh 4": 3 - given_up}
    assert TOLD["rnnmc_stored_bytes"] == {"measure tanh 4": 1000 * (3 - given_up)}


async def at_once(_seconds, sleep=asyncio.sleep):
    await sleep(0)


@pytest.mark.parametrize("left_early", [False, True])
def test_a_task_that_has_delivered_is_not_cancelled_in_its_last_moment_but_one_left_early_is(monkeypatch, left_early):
    cancelled: list[object] = []
    dispatcher = with_tasks(monkeypatch, Submitted, cancelled)
    every = [[Task(POINT, block, 1)] for block in range(3)]

    async def follow():
        found, blocks = [], dispatcher.sample(every, "", "cpu", {})
        async for some in blocks:
            found += some
            if left_early:
                break
        await blocks.aclose()
        await asyncio.sleep(0.01)  # a cancelled one has its turn
        return found

    found = asyncio.run(follow())
    assert {done.block for done in found} <= {0, 1, 2}
    assert len(found) == (1 if left_early else 3)
    assert bool(cancelled) == left_early


class Late(Stream):
    """A batch that is done after a while, fails or is never done."""

    def __init__(self, batch, how, sent, times):
        super().__init__(batch)
        self.how, self.sent, self.times = how, sent, times

    async def __anext__(self):
        while self.left and (self.how == "never" or (self.how == "late" and len(self.sent) < 2 + self.times)):
            await asyncio.sleep(0.01)
        if self.left and self.how == "late":
            await asyncio.sleep(0.3)
        if self.how == "dies":
            raise RuntimeError("the worker died")
        if self.left and self.how == "fails":
            return resolved([Done(one.point["key"], one.block, 0, 0.0, "no memory") for one in self.left.pop()])
        return await super().__anext__()


def resolved(answer):
    future = asyncio.get_running_loop().create_future()
    future.set_result(answer)
    return future


def raced(monkeypatch, first: dict[int, str], second: str, times: int):
    """Blocks in the order in which they were sent, what came of three of them, and the streams that were cancelled."""
    sent, streams, cancelled = [], [], []

    class Remote(Submitted):
        def remote(self, batch, *_):
            (block,) = [task.block for task in batch]
            how = second if block in sent else first.get(block, "")
            sent.append(block)
            streams.append(Late(batch, how, sent, times) if how else Stream(batch))
            return streams[-1]

    dispatcher = with_tasks(monkeypatch, Remote, cancelled)
    monkeypatch.setattr(dispatcher_module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(dispatcher_module, "LEAST_PATIENCE", 0.05)

    async def follow():
        every = [[Task(POINT, block, 1)] for block in range(3)]
        return [done async for some in dispatcher.sample(every, "", "cpu", {}) for done in some]

    found = asyncio.run(follow())
    assert sorted(done.block for done in found) == [0, 1, 2]
    assert not [done for done in found if done.error]
    return sent, {done.block: done.retries for done in found}, [(streams.index(one), by) for one, by in cancelled]


@pytest.mark.parametrize(
    ("first", "second", "times"),
    [
        ("never", "", 2),
        ("late", "fails", 1 + fanout.RETRIES),
        ("late", "dies", 1 + fanout.RETRIES),
        ("late", "never", 2),
    ],
)
def test_of_a_block_that_is_overdue_and_given_a_second_time_the_first_to_be_done_counts_once(
    monkeypatch, first, second, times
):
    sent, retries, cancelled = raced(monkeypatch, {2: first}, second, times)
    assert sent == [0, 1, *[2] * times]
    assert retries == {0: 0, 1: 0, 2: int(first == "never")}
    assert cancelled == {"": [(2, True)], "never": [(3, True)]}.get(second, [])


def test_nothing_is_given_a_second_time_while_no_slot_is_idle(monkeypatch):
    assert raced(monkeypatch, {1: "late", 2: "late"}, "", 1)[0] == [0, 1, 2]


def test_a_population_is_expected_to_take_its_own_chains_and_no_tile_of_populations() -> None:
    rare = {"splitting": {"event": "vanish", "particles": 400, "smallest": 1e-6}}
    every = study_of(small(points=[{"cell": "tanh", "width": 4}, {"cell": "tanh", "width": 4, "replicates": rare}]))
    plain, split = cut_up(every)
    assert split.cut.tile == 400
    assert expected_seconds(split, 8) == pytest.approx(8 * expected_seconds(split, 1))
    chains = chains_of(split.design)
    assert 10_000 < chains < 20_000
    assert expected_seconds(split, 1) < 3 * chains * expected_seconds(plain, 1024) / 1024
