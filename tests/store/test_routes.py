"""A point is made by one route, compiler and code; a shard of another is not mixed in without a word."""

from __future__ import annotations

import pytest
from studies import sample_here, small, study_of

from rnnmc.common.errors import RunError
from rnnmc.engine import block, choice
from rnnmc.engine.block import run_block
from rnnmc.engine.choice import SWEPT
from rnnmc.engine.run import route
from rnnmc.engine.swept import narrowing
from rnnmc.numerics import compiler
from rnnmc.report.making import making
from rnnmc.run import fanout
from rnnmc.run.fanout import make_blocks, source_facts
from rnnmc.run.repair import repair
from rnnmc.run.sampling import jobs_of, sample_all
from rnnmc.store.manifest import made_by, write_manifest
from rnnmc.store.plan import cut_up
from rnnmc.store.routes import OtherRoute, differ, of_other_routes
from rnnmc.store.shards import write_shard
from rnnmc.store.verify import verify
from rnnmc.study.point import DesignPoint

needs_compiler = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler on this machine")
ENTRY = {"cell": "tanh", "width": 2, "init": {"recurrent": {"gaussian": 2.5}, "input": {"gaussian": 1}}}
STUDY = study_of(small(points=[ENTRY], replicates=20, horizons=[10, 500]))
(STORED,) = cut_up(STUDY)


@pytest.fixture(autouse=True)
def fresh():
    """What this process knows of compilers, forgotten before and after."""
    compiler.forget()
    yield
    compiler.forget()


def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    compiler.forget()


@needs_compiler
def test_a_route_names_the_kernel_that_runs_the_compiler_and_the_very_code(monkeypatch, tmp_path):
    point, kernel = STORED.design, STORED.cut.kernel
    usual = route(point, "cpu", kernel)
    assert usual.startswith(f"{kernel}; {compiler.toolchain()}; code ")
    assert kernel.startswith("compiled")
    worse = tmp_path / "cc"
    worse.write_text('#!/bin/sh\nexec cc "$@" -O0\n')
    worse.chmod(0o755)
    monkeypatch.setenv("CC", str(worse))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    compiler.forget()
    other = route(point, "cpu", kernel)
    assert other.rpartition(" ")[0] == usual.rpartition(" ")[0], "it says the same of itself"
    assert other != usual
    without_compiler(monkeypatch)
    assert route(point, "cpu", kernel).startswith(f"{kernel.removeprefix('compiled ')}; no compiler, processor ")


@needs_compiler
def test_a_route_does_not_depend_on_what_else_a_process_has_run(monkeypatch):
    """Sweeps to a few horizons need no linear algebra for many; a worker that has met it says the same of itself."""
    point = DesignPoint(cell="tanh", width=32, horizons=(1, 100))
    compiler.forget()
    monkeypatch.setattr(compiler, "_loaded", {})
    first = route(point, "cpu", SWEPT)
    compiler.forget()
    narrowing.functions()
    assert route(point, "cpu", SWEPT) == first


@needs_compiler
def test_a_compiler_that_failed_once_is_asked_again_before_another_route_is_taken(monkeypatch, tmp_path):
    twice = tmp_path / "cc"
    twice.write_text(
        f'#!/bin/sh\nif [ "$1" != --version ] && mkdir {tmp_path}/asked 2>/dev/null; then exit 1; fi\nexec cc "$@"\n'
    )
    twice.chmod(0o755)
    monkeypatch.setenv("CC", str(twice))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "AGAIN_AFTER", 0)
    compiler.forget()
    assert route(STORED.design, "cpu", STORED.cut.kernel).startswith("compiled")
    assert (tmp_path / "asked").is_dir()


@needs_compiler
def test_a_worker_that_has_lost_its_compiler_samples_nothing_and_says_that_another_may(monkeypatch, tmp_path):
    facts = source_facts()
    jobs = jobs_of(cut_up(STUDY))
    without_compiler(monkeypatch)
    ((done,),) = make_blocks(jobs, str(tmp_path), "cpu", facts)
    assert done.elsewhere
    assert "the study was started with cc" in done.error
    assert "and here is no compiler" in done.error
    assert not list(tmp_path.rglob("*.parquet"))
    monkeypatch.delenv("CC")  # it is back, and nothing has to be started anew for it
    ((done,),) = make_blocks(jobs, str(tmp_path), "cpu", facts)
    assert not done.error


@needs_compiler
def test_a_study_that_was_begun_by_one_route_is_not_gone_on_with_by_another_unless_that_is_wanted(
    monkeypatch, tmp_path
):
    sample_all(tmp_path, cut_up(STUDY), STUDY.thresholds, None, "cpu")
    more = study_of(small(points=[ENTRY], replicates=STORED.cut.block + 20, horizons=[10, 500]))
    points = cut_up(more)
    without_compiler(monkeypatch)
    begun = jobs_of(points)[1:]  # the second block alone: the first one is long
    said = r"its samples were made by compiled columns; cc .* made by columns; no compiler"
    with pytest.raises(RunError, match=said):
        sample_all(tmp_path, points, more.thresholds, None, "cpu", jobs=begun)
    monkeypatch.setenv("RNNMC_ROUTES", "mixed")
    list(fanout.in_process(begun, tmp_path, "cpu"))
    assert len(list(tmp_path.rglob("*.parquet"))) == 2


def test_shards_of_several_routes_are_told_by_verify_and_the_fewer_are_made_again(monkeypatch, tmp_path):
    monkeypatch.setattr(choice, "LARGEST_TILE", 8)
    monkeypatch.setattr(block, "LARGEST_BLOCK", 8)
    study = study_of(small(points=[ENTRY], replicates=20))
    (stored,) = cut_up(study)
    count = len(stored.blocks())
    assert count == 3
    digest = sample_here(study, tmp_path)
    table = run_block(stored.design, 1)
    write_shard(tmp_path, stored.design, 1, table, {"device": "cpu x86_64", "kernel": "rows", "route": "by hand"})
    proof = verify(tmp_path)
    ((label, ways),) = proof.mixed.items()
    assert label == stored.label
    assert ways["by hand"] == 1
    assert sum(ways.values()) == count
    assert [path.name for path in proof.fewer] == ["000001.parquet"]
    with pytest.raises(OtherRoute, match=rf"several ways \(.*1 by by hand.*--repair {tmp_path} makes the fewer"):
        write_manifest(tmp_path, stored, study.thresholds)
    after = repair(tmp_path, proof)
    assert not after.mixed
    assert not after.damaged
    assert after.digest == digest


def test_of_shards_made_before_there_were_routes_the_kernels_are_compared_and_devices_never(tmp_path):
    before, now = {"device": "cpu", "kernel": "rows"}, {"device": "cpu", "kernel": "rows", "route": "rows; gcc"}
    assert not differ(before, now)
    assert differ(before, now | {"kernel": "compiled rows"})
    assert differ(now, now | {"route": "rows; clang"})
    assert not differ(now, now | {"device": "a GPU", "route": "rows; clang"})
    gpu = {"device": "gpu", "kernel": "rows"}
    assert of_other_routes([before, now, gpu, now]) == []
    assert of_other_routes([now, now | {"route": "rows; clang"}, now, gpu]) == []
    assert of_other_routes([now, now | {"route": "rows; clang"}, now]) == [1]


def test_the_page_says_by_what_compiler_and_whether_anything_changed(tmp_path):
    sample_all(tmp_path, cut_up(STUDY), STUDY.thresholds, None, "cpu")
    made = made_by(tmp_path, cut_up(STUDY))
    assert making(made) == [("Compiler", compiler.toolchain())]
    assert making({}) == []
    changed = made | {"versions": {"torch 1": 3, "torch 2": 1}, "several": ["a", "b"]}
    told = dict(making(changed))
    assert told["Changed in the middle"] == "versions of the libraries (shards: 3 of torch 1; 1 of torch 2)"
    assert told["Made in several ways"].startswith("a; b: ")
