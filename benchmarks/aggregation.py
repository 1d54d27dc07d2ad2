"""How long the tables of statistics take, and how much memory: a study of made-up samples, in a process of its own.

The samples are random walks in the shards of a real study folder, written before the clock starts. What is timed is
what `rnnmc statistics` does once its modules are there: every shard proved and read, probabilities with intervals and
bands, quantiles, growth rates and first passage of every design point, theory beside them, and all tables written.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rnnmc.chain.norms import STATUS
from rnnmc.engine.block import SCHEMA
from rnnmc.run.pipeline import plan
from rnnmc.store.shards import write_shard
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.study import Study, read_study

POINTS = 100
DRIFTS = (-0.02, 0.02)  # nats a step, of the first design point and the last: from vanishing to exploding
SPREAD = 0.3  # nats a root step
DEAD = 1e-5  # chance a step of dying
PROCESS = """
import json, sys, time
from pathlib import Path
from rnnmc.run.aggregate import aggregate
from rnnmc.study.study import Thresholds
begin = time.perf_counter()
aggregate(Path(sys.argv[1]), Thresholds(), "wilson")
seconds = time.perf_counter() - begin
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "peak_bytes": int(peak.split()[1]) * 1024}))
"""


def measure(rows: int = 10**8, points: int = POINTS) -> dict[str, Any]:
    """seconds, peak_bytes (of the whole process) and rows of one aggregation of about so many rows.

    points: design points that the rows are shared out to.
    """
    with tempfile.TemporaryDirectory(prefix="rnnmc-") as folder:
        study = made_up_study(rows, points)
        stored = write_samples(Path(folder), study)
        return {"rows": stored, "points": points} | in_a_process(Path(folder))


def made_up_study(rows: int, points: int) -> Study:
    """A study of so many design points and about so many rows, on the usual horizons up to 1,000."""
    gains = [round(0.5 + i / points, 6) for i in range(points)]
    entry = {"cell": "tanh", "width": 16, "init": {"recurrent": {"gaussian": gains}}}
    study = read_study({"study": "made-up", "points": [entry]}, "benchmark")
    replicates = max(1, rows // (points * len(study.horizons)))
    return study.model_copy(
        update={"points": tuple(one.model_copy(update={"replicates": replicates}) for one in study.points)}
    )


def write_samples(directory: Path, study: Study) -> int:
    """Write the study and every shard of it; how many rows these hold."""
    points = plan(study, directory)
    rng, rows = np.random.default_rng(0), 0
    for stored, drift in zip(points, np.linspace(*DRIFTS, len(points)), strict=True):
        for block, count in stored.blocks():
            table = walks(stored, block, count, float(drift), rng)
            write_shard(directory, stored.design, block, table, {})
            rows += table.num_rows
    return rows


def walks(stored: StoredPoint, block: int, count: int, drift: float, rng: np.random.Generator) -> pa.Table:
    """A block of Gaussian random walks, with the few digits of float32 and some dead, as a shard has it."""
    steps = np.array(stored.horizons, np.int32)
    noise = rng.standard_normal((count, len(steps)), np.float32) * np.sqrt(np.diff(steps, prepend=0), dtype=np.float32)
    log_norm = np.float32(drift) * steps + np.float32(SPREAD) * noise.cumsum(axis=1)
    dead = steps >= rng.exponential(1 / DEAD, (count, 1))
    log_norm[dead] = -np.inf
    below = np.abs(rng.standard_normal(log_norm.shape, np.float32))
    first = block * stored.cut.block
    columns = {
        "point": pa.DictionaryArray.from_arrays(np.zeros(log_norm.size, np.int32), [stored.key]),
        "block": pa.array(np.full(log_norm.size, block, np.int32)),
        "replicate": pa.array(np.repeat(np.arange(first, first + count, dtype=np.int32), len(steps))),
        "horizon": pa.array(np.tile(steps, count)),
        "log_spectral": pa.array(log_norm.ravel().astype(np.float64)),
        "log_rms": pa.array((log_norm - below).ravel().astype(np.float64)),
        "status": pa.DictionaryArray.from_arrays(dead.ravel().astype(np.int8), list(STATUS)),
    }
    unsaid = {field.name: pa.nulls(log_norm.size, field.type) for field in SCHEMA if field.name not in columns}
    return pa.table([(columns | unsaid)[name] for name in SCHEMA.names], schema=SCHEMA)


def in_a_process(directory: Path) -> dict[str, Any]:
    """seconds and peak_bytes of the aggregation of a study folder."""
    done = subprocess.run([sys.executable, "-c", PROCESS, directory], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time the aggregation of a made-up study.")
    parser.add_argument("--rows", type=int, default=10**8)
    parser.add_argument("--points", type=int, default=POINTS)
    given = parser.parse_args()
    print(json.dumps(measure(given.rows, given.points)))
