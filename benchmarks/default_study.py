"""A whole study by Snakemake and Ray, beside the time that its blocks take by themselves.

The study runs in a folder of its own with nothing there, as `make study` runs it, its kernels compiled and the
populations that stand for laws of large width followed before, as they are on every run but the first. Then, in one
process on one core, without Ray or files, a quarter of the replicates of every design point (all with --all): what all
of them would take, divided by the cores, is what no arrangement could fall below. The same once more in a process for
each core at once: what cores take from each other of caches, memory and the clock, no arrangement gives back. Beside it
what compiling its kernels takes, what `rnnmc plan` expects, and what Snakemake takes to find that there is nothing to
do.
"""

from __future__ import annotations

import operator
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chain_speed import Choice
from children import told
from sheets import Sheet, number, percent
from timing import seconds

from rnnmc.common.granted import own_cpus

ROOT = Path(__file__).parents[1]
STUDIES = {False: "default", True: "smoke"}  # whether quick -> study
SHARE = 0.25  # of its replicates that each design point is timed by
FILES = {
    "plan": "results/*/points.parquet",
    "shards": "results/*/samples/*/*/*.parquet",
    "manifests": "results/*/samples/*/*/_manifest.json",
    "statistics": "results/*/statistics.csv",
    "page": "results/*/report.html",
}
BLOCKS = """
import json, sys, time
import torch
from rnnmc.engine.block import run_block
from rnnmc.run.sampling import jobs_of
from rnnmc.store.plan import cut_up
from rnnmc.study.study import load_study
points, share, total = cut_up(load_study(sys.argv[1])), float(sys.argv[2]), 0.0
run_block(points[0].point, 0, 1)
for one in points:
    cut = one.cut
    some = min(max(1, round(one.replicates * share / cut.tile)) * cut.tile, cut.block, one.replicates)
    begin = time.perf_counter()
    run_block(one.point, 0, some, cut=cut)
    total += (time.perf_counter() - begin) / some * one.replicates
print(json.dumps({"seconds": total, "blocks": len(jobs_of(points))}))
"""
COMPILE = """
import json, sys, time
import torch
from rnnmc.engine.run import made_by
from rnnmc.store.plan import cut_up
from rnnmc.study.study import load_study
points = cut_up(load_study(sys.argv[1]))
wanted = {(one.cut.kernel, one.cell, one.point.width, one.point.dtype): one for one in points}
begin = time.perf_counter()
for one in wanted.values():
    made_by(one.point, "cpu", one.cut.kernel)
print(json.dumps({"seconds": time.perf_counter() - begin, "kernels": len(wanted)}))
"""
THEORY = """
import json, sys
from rnnmc.store.plan import cut_up
from rnnmc.study.study import load_study
from rnnmc.theory import predictions
print(json.dumps(sum(len(predictions(one.point)) for one in cut_up(load_study(sys.argv[1])))))
"""
FORECAST = """
import json, sys
from rnnmc.run.forecast import costs
from rnnmc.store.plan import cut_up
from rnnmc.study.study import load_study
print(json.dumps(sum(one.seconds for one in costs(cut_up(load_study(sys.argv[1]))))))
"""


def measure(choice: Choice, tell: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of each."""
    name = STUDIES[choice.quick]
    config, cores = ROOT / "config" / f"{name}.yaml", own_cpus()
    tell(f"kernels of study {name}")
    with tempfile.TemporaryDirectory(prefix="rnnmc-") as folder:
        kernels = told(COMPILE, str(config), XDG_CACHE_HOME=folder)
    told(COMPILE, str(config))
    tell(f"theory of study {name}")
    told(THEORY, str(config))
    tell(f"study {name}")
    whole = _study(config, cores)
    tell(f"blocks of study {name}, one after another")
    words = str(config), str(1.0 if choice.every else SHARE)
    blocks = told(BLOCKS, *words)
    tell(f"blocks of study {name}, on all cores at once")
    with ThreadPoolExecutor(cores) as pool:
        beside = list(pool.map(lambda _: told(BLOCKS, *words)["seconds"], range(cores)))
    tell(f"forecast of study {name}")
    forecast = told(FORECAST, str(config))
    return {
        "study": name,
        "cores": cores,
        "kernels": kernels["kernels"],
        "compile_seconds": kernels["seconds"],
        "blocks": blocks["blocks"],
        "core_seconds": blocks["seconds"],
        "core_seconds_beside": sum(beside) / cores,
        "over_least": whole["seconds"] * cores / blocks["seconds"],
        "forecast_core_seconds": forecast,
        "forecast_over_truth": forecast / blocks["seconds"],
    } | whole


def _study(config: Path, cores: int) -> dict[str, Any]:
    """Seconds of the study from nothing and of asking again, and of each stage by the times of the files it leaves."""
    with tempfile.TemporaryDirectory(prefix="rnnmc-") as folder:
        command = [str(Path(sys.executable).parent / "rnnmc"), "study", str(config), "--jobs", str(cores)]
        run = lambda: subprocess.run(command, check=True, capture_output=True, cwd=folder)  # noqa: E731
        begin = time.time()
        whole = seconds(run)
        stages = _stages(Path(folder), begin, begin + whole)
        return {"seconds": whole, "stages": stages, "seconds_again": seconds(run)}


def _stages(folder: Path, begin: float, end: float) -> dict[str, float]:
    """Stage -> seconds from the end of the one before."""
    times = {stage: [path.stat().st_mtime for path in folder.glob(pattern)] for stage, pattern in FILES.items()}
    ends = {
        "until the plan is written": max(times["plan"]),
        "until the first block is stored": min(times["shards"]),
        "sampling, to the last manifest": max(times["manifests"]),
        "statistics": max(times["statistics"]),
        "figures and page": max(times["page"]),
        "until Snakemake has ended": end,
    }
    return dict(zip(ends, map(operator.sub, ends.values(), [begin, *ends.values()]), strict=False))


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """One row each."""
    cores = found["cores"]
    rows = [
        [f"all blocks, one after another on one core ({found['blocks']:,})", number(found["core_seconds"], "s")],
        [f"the same over {cores} cores", number(found["core_seconds"] / cores, "s")],
        ["the same where every core is at work", number(found["core_seconds_beside"] / cores, "s")],
        [f"study {found['study']} end to end, Snakemake and Ray on {cores} cores", number(found["seconds"], "s")],
        *([f"- {stage}", number(value, "s")] for stage, value in found["stages"].items()),
        ["ratio of end to end to the least", number(found["over_least"])],
        [
            "the same to the least where every core is at work",
            number(found["seconds"] * cores / found["core_seconds_beside"]),
        ],
        [f"compiling its {found['kernels']} kernels, once on a machine", number(found["compile_seconds"], "s")],
        ["again, with nothing to do", number(found["seconds_again"], "s")],
        ["core time that `rnnmc plan` expects", number(found["forecast_core_seconds"], "s")],
        ["of what the blocks take", percent(found["forecast_over_truth"])],
    ]
    return [Sheet("study", "A whole study", ("what", "time"), rows)]
