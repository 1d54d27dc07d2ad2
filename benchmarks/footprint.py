"""Memory, start-up times and the writing of shards.

Memory: the peak of a whole process that runs one tile to the horizon, and what of it was there before the tile.
Start-up: whole processes, from nothing to their end; kernels: within one.
Shards: as a worker writes them, of about a megabyte, to a temporary folder; and read again with proof.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chain_speed import Choice
from chains import design_point
from children import told
from sheets import Sheet, number, with_spread
from timing import measured, seconds

from rnnmc.engine.block import BYTES_A_ROW, SHARD_BYTES, partition, run_block
from rnnmc.store.shards import read_shard, write_shard

ROOT = Path(__file__).parents[1]
HORIZONS = (1000, 10_000, 100_000)
MEMORY_CELL, MEMORY_WIDTH = "tanh", 16
MEMORY = """
import json, sys
import torch
from rnnmc.engine.block import partition, run_block
from rnnmc.study.point import DesignPoint, horizons_up_to
point = DesignPoint(cell=sys.argv[1], width=int(sys.argv[2]), horizons=horizons_up_to(int(sys.argv[3])))
run_block(point.model_copy(update={"horizons": (1,)}), 0, 1)
before = peak()
run_block(point, 0, partition(point).tile)
print(json.dumps({"peak_bytes": peak(), "before_bytes": before}))
"""
KERNEL = """
import json, sys, time
import torch
from rnnmc.engine.compiled.follow import kernel
begin = time.perf_counter()
kernel(sys.argv[1], int(sys.argv[2]), torch.float32, sys.argv[3] == "columns")
print(json.dumps(time.perf_counter() - begin))
"""
KERNELS = (("lstm", 4, "columns"), ("lstm", 64, "rows"))
RUNS, RUNS_IF_QUICK = 5, 2
SHARDS = 20


def measure(choice: Choice, tell: Callable[[str], None]) -> dict[str, Any]:
    """All of it."""
    runs = RUNS_IF_QUICK if choice.quick else RUNS
    memory = []
    for horizon in HORIZONS[: 2 if choice.quick else None]:
        tell(f"memory at horizon {horizon:,}")
        memory.append({"horizon": horizon} | told(MEMORY, MEMORY_CELL, str(MEMORY_WIDTH), str(horizon)))
    starts = {}
    for name, command in _commands().items():
        tell(f"start-up: {name}")
        work = lambda: subprocess.run(command, check=True, capture_output=True)  # noqa: B023, E731
        starts[name] = measured(seconds(work) for _ in range(runs))
    tell("kernels")
    kernels = [_kernel(*which) for which in KERNELS]
    tell("shards")
    return {"memory": memory, "starts": starts, "kernels": kernels, "shards": _shards()}


def _commands() -> dict[str, list[str]]:
    rnnmc = str(Path(sys.executable).parent / "rnnmc")
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import rnnmc": [sys.executable, "-c", "import rnnmc"],
        "import torch": [sys.executable, "-c", "import torch"],
        "rnnmc --help": [rnnmc, "--help"],
        "rnnmc plan config/smoke.yaml": [rnnmc, "plan", str(ROOT / "config" / "smoke.yaml")],
    }


def _kernel(cell: str, width: int, layout: str) -> dict[str, Any]:
    """Seconds to compile a kernel where none is on disk, and to load it where it is."""
    with tempfile.TemporaryDirectory(prefix="rnnmc-") as folder:
        cold, warm = (told(KERNEL, cell, str(width), layout, XDG_CACHE_HOME=folder) for _ in range(2))
    return {"cell": cell, "width": width, "layout": layout, "compile_seconds": cold, "load_seconds": warm}


def _shards() -> dict[str, Any]:
    """Seconds and bytes of a shard of about SHARD_BYTES, written and then read with proof."""
    point = design_point("tanh", 1)
    replicates = min(partition(point).block, int(SHARD_BYTES / BYTES_A_ROW / len(point.horizons)))
    table = run_block(point, 0, replicates)
    with tempfile.TemporaryDirectory(prefix="rnnmc-") as folder:
        path = write_shard(Path(folder), point, 0, table, {})
        write = measured(seconds(lambda i=i: write_shard(Path(folder), point, i, table, {})) for i in range(SHARDS))
        read = measured(seconds(lambda: read_shard(path, point.key)) for _ in range(SHARDS))
        return {"bytes": path.stat().st_size, "rows": table.num_rows, "write_seconds": write, "read_seconds": read}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """Memory, start-up, shards."""
    first = found["memory"][0]["peak_bytes"]
    memory = [
        [
            f"{row['horizon']:,}",
            number(row["peak_bytes"], "MB", 1e-6),
            number(row["before_bytes"], "MB", 1e-6),
            f"{row['peak_bytes'] / first:.3f}",
        ]
        for row in found["memory"]
    ]
    starts = [[f"`{name}`", with_spread(one, "ms", 1e3)] for name, one in found["starts"].items()]
    for one in found["kernels"]:
        of = f"kernel of `{one['cell']}`, width {one['width']} ({one['layout']})"
        starts.append([f"{of}, to compile", number(one["compile_seconds"], "ms", 1e3)])
        starts.append([f"{of}, to load", number(one["load_seconds"], "ms", 1e3)])
    shards, size = found["shards"], number(found["shards"]["bytes"], "MB", 1e-6)
    written = [
        [
            f"{word} a shard of {size}, {shards['rows']:,} rows",
            with_spread(one, "ms", 1e3),
            number(shards["bytes"] / one["median"], "MB/s", 1e-6),
        ]
        for word, one in (("write", shards["write_seconds"]), ("read with proof", shards["read_seconds"]))
    ]
    title = f"Memory of a process that runs one tile of {MEMORY_CELL}, width {MEMORY_WIDTH}"
    return [
        Sheet("memory", title, ("horizon", "peak", "of it before the tile", "against the first"), memory),
        Sheet("starts", "Start-up", ("what", "time"), starts),
        Sheet("shards", "Shards", ("what", "time", "rate"), written),
    ]
