"""The quick set is large, and starts no process but the C compiler."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_two_thirds_of_all_tests_are_quick(collected):
    if collected.files != frozenset(HERE.rglob("test_*.py")):
        pytest.skip("not all tests were collected")
    assert collected.quick >= 2 / 3 * collected.total > 0


@pytest.mark.parametrize(
    "start",
    [
        lambda: subprocess.run([sys.executable, "-c", ""], check=False),
        lambda: os.system("true"),
        os.fork,
        lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}),
        lambda: multiprocessing.get_context("spawn").Process(target=print).start(),
        lambda: multiprocessing.get_context("fork").Process(target=print).start(),
    ],
    ids=["subprocess", "system", "fork", "posix_spawn", "multiprocessing spawn", "multiprocessing fork"],
)
def test_a_process_that_a_quick_test_starts_fails_it_before_it_runs(start, started):
    with pytest.raises(pytest.fail.Exception, match="mark the test with"):
        start()
    assert len(started) == 1


def test_ray_is_kept_from_starting(started, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(pytest.fail.Exception, match="mark the test with"):
        ray.init(num_cpus=1, include_dashboard=False, logging_level="error")
    assert started


def test_the_c_compiler_may_run(started):
    from rnnmc.numerics.compiler import compiler

    found = compiler()
    if found is None:
        pytest.skip("no C compiler on this machine")
    assert subprocess.run([found[0], "--version"], capture_output=True, check=False).returncode == 0
    assert not started
