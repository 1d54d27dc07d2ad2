"""How long a large study takes before and beside sampling: its plan, its status, and the proof of its shards.

Plan: a study file of 10,000 design points and a million blocks is read, validated and written, and every block becomes
a job. Status: of 100,000 shards, of which it reads but the names. Verify: of many tiny shards, which are made up and
written before the clock starts, as seconds for 100,000 of them, and of large ones, as seconds a gigabyte.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aggregation import made_up_study, write_samples
from rich.console import Console

from rnnmc.engine.block import partition
from rnnmc.run.pipeline import plan
from rnnmc.run.planning import status, status_told
from rnnmc.run.sampling import jobs_missing
from rnnmc.store.folder import point_folder, shard_path
from rnnmc.store.manifest import write_manifest
from rnnmc.store.plan import cut_up, stored_points
from rnnmc.store.verify import verify
from rnnmc.study.study import Study, load_study, read_study

POINTS, BLOCKS = 10_000, 1_000_000
SHARDS = 10_000  # tiny ones that are written and proved
SHARDS_OF_THE_ANSWER = 100_000
ROWS_OF_LARGE_SHARDS = 3 * 10**7


def measure() -> dict[str, Any]:
    """Seconds to plan, by step; of status and verify of 100,000 tiny shards; of verify of a gigabyte of large ones."""
    with tempfile.TemporaryDirectory(prefix="rnnmc-") as folder:
        parts = {"plan": _plan, "status": _status, "tiny": _tiny, "large": _large}
        return {name: value for part, work in parts.items() for name, value in work(Path(folder) / part).items()}


def _plan(directory: Path) -> dict[str, Any]:
    directory.mkdir()
    gains = [round(0.5 + i / POINTS, 6) for i in range(POINTS)]
    entry = {"cell": "tanh", "width": 64, "init": {"recurrent": {"gaussian": gains}, "input": {"gaussian": 1.0}}}
    block = partition(_study(dict(entry, init="pytorch"), 1).points[0].point).block
    path = directory / "plan.yaml"
    path.write_text(json.dumps({"study": "plan", "replicates": block * BLOCKS // POINTS, "points": [entry]}))
    study, loading = _timed(lambda: load_study(path))
    points, writing = _timed(lambda: plan(study, directory))
    planned, reading = _timed(lambda: stored_points(directory))
    jobs, listing = _timed(lambda: jobs_missing(directory, points, study.thresholds))
    steps = {"load": loading, "write": writing, "read": reading, "jobs": listing}
    return {"points": len(planned), "blocks": len(jobs), "plan_seconds": sum(steps.values()), "plan_steps": steps}


def _status(directory: Path) -> dict[str, Any]:
    study = _cut(SHARDS_OF_THE_ANSWER, 1000)
    for stored in plan(study, directory):
        point_folder(directory, stored).mkdir(parents=True)
        for block, _ in stored.blocks():
            shard_path(directory, stored, block).touch()
    with Path("/dev/null").open("w") as nowhere:
        _, seconds = _timed(lambda: Console(file=nowhere).print(*status_told(status(directory))))
    return {"status_seconds_100k_shards": seconds}


def _tiny(directory: Path) -> dict[str, Any]:
    _write_whole(directory, _cut(SHARDS, 100))
    proof, seconds = _timed(lambda: verify(directory))
    if proof.read != SHARDS or proof.damaged:
        raise RuntimeError(f"{proof.read} of {SHARDS} shards were read, {len(proof.damaged)} are damaged")
    return {"verify_seconds_100k_shards": seconds * SHARDS_OF_THE_ANSWER / SHARDS}


def _write_whole(directory: Path, study: Study) -> None:
    """Write its samples, and a manifest of each point, as of a study that has been sampled to its end."""
    write_samples(directory, study)
    for stored in cut_up(study):
        write_manifest(directory, stored, study.thresholds)


def _cut(shards: int, points: int) -> Study:
    """A study of so many blocks of a replicate or two, and so many design points."""
    gains = [round(0.5 + i / points, 6) for i in range(points)]
    entry = {"cell": "lstm", "width": 1024, "init": {"recurrent": {"gaussian": gains}, "input": {"gaussian": 1.0}}}
    study = _study(entry, 1)
    replicates = partition(study.points[0].point).block * shards // points
    return study.model_copy(
        update={"points": tuple(one.model_copy(update={"replicates": replicates}) for one in study.points)}
    )


def _large(directory: Path) -> dict[str, Any]:
    _write_whole(directory, made_up_study(ROWS_OF_LARGE_SHARDS, 10))
    size = sum(path.stat().st_size for path in directory.rglob("samples/**/*.parquet"))
    proof, seconds = _timed(lambda: verify(directory))
    if proof.damaged or proof.missing:
        raise RuntimeError("a shard is not whole")
    return {"verify_seconds_a_gigabyte": seconds / size * 1e9, "bytes_a_shard": size / proof.read}


def _study(entry: dict[str, Any], replicates: int) -> Study:
    return read_study({"study": "made-up", "replicates": replicates, "points": [entry]}, "benchmark")


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begin = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
