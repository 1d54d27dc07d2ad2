"""What Ray adds to blocks of about a second, and how two workers compare with one.

Blocks of one design point, about a second each, are fanned out as in a study, shards written, over a local Ray with
one worker and then with two; the workers have imported everything before. Some blocks, and then four times as many:
cost is what the wall time times workers has grown by over what the seconds of the blocks within the workers have
grown by, less one; and to begin is what remains for no block at all, which a job of the workflow pays once. The
speed-up is in blocks a second.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chain_speed import Choice
from chains import design_point
from sheets import Sheet, number, percent, with_spread
from timing import measured, seconds

from rnnmc.common.granted import own_cpus
from rnnmc.engine.block import partition, run_block
from rnnmc.run.cluster import connected
from rnnmc.run.dispatcher import fan_out
from rnnmc.run.fanout import Done, Job
from rnnmc.store.stored_point import StoredPoint
from rnnmc.study.study import PlannedPoint

CELL, WIDTH = "lstm", 16
BLOCK_SECONDS = 1.0
BLOCKS, BLOCKS_IF_QUICK = 4, 2  # of one worker, and four times as many; two take twice as many
WARM_UP = 4  # tiny blocks a worker


def measure(choice: Choice, tell: Callable[[str], None]) -> dict[str, Any]:
    """Cost with one worker and with as many as there are cores, up to two."""
    point = design_point(CELL, WIDTH)
    tile = partition(point).tile
    replicates = tile * max(1, round(BLOCK_SECONDS / _block_seconds(point, tile)))
    blocks = BLOCKS_IF_QUICK if choice.quick else BLOCKS
    rows = []
    for workers in range(1, min(2, own_cpus()) + 1):
        tell(f"Ray: {5 * blocks * workers} blocks of about a second over {workers} workers")
        rows.append(_fanned_out(point, min(replicates, partition(point).block), blocks * workers, workers))
    return {"rows": rows, "speed_up": rows[-1]["blocks_a_second"] / rows[0]["blocks_a_second"]}


def _block_seconds(point: Any, tile: int) -> float:
    run_block(point, 0, tile)
    return min(seconds(lambda: run_block(point, 0, tile)) for _ in range(3))


def _fanned_out(point: Any, replicates: int, blocks: int, workers: int) -> dict[str, Any]:
    stored = StoredPoint.of(PlannedPoint(point=point, replicates=replicates))

    def sample(first: int, last: int, count: int) -> list[Done]:
        jobs = [Job(stored.first(count * last), block, count) for block in range(first, last)]
        return list(fan_out(cluster, jobs, Path(folder), "cpu"))

    with tempfile.TemporaryDirectory(prefix="rnnmc-") as folder:
        begin = time.perf_counter()
        with connected(cpus=workers) as cluster:
            started = time.perf_counter() - begin
            warm = WARM_UP * workers
            sample(0, warm, 1)
            walls, done = [], []
            for first, last in ((warm, warm + blocks), (warm + blocks, warm + 5 * blocks)):
                begin = time.perf_counter()
                done.append(sample(first, last, replicates))
                walls.append(time.perf_counter() - begin)
    if wrong := [one.error for some in done for one in some if one.error]:
        raise SystemExit(wrong[0])
    few, many = (sum(one.seconds for one in some) for some in done)
    a_block = (walls[1] - walls[0]) / (3 * blocks)
    return {
        "workers": workers,
        "ray_start_seconds": started,
        "block_seconds": measured([one.seconds for one in done[1]]),
        "begin_seconds": walls[0] - blocks * a_block,
        "blocks_a_second": 1 / a_block,
        "cost": (walls[1] - walls[0]) * workers / (many - few) - 1,
    }


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """A row for each number of workers."""
    head = (
        "workers",
        "a block",
        "blocks a second",
        "against one worker",
        "cost of a block",
        "to begin",
        "start of Ray",
    )
    rows = [
        [
            str(row["workers"]),
            with_spread(row["block_seconds"], "s"),
            number(row["blocks_a_second"]),
            number(row["blocks_a_second"] / found["rows"][0]["blocks_a_second"]),
            percent(row["cost"]),
            number(row["begin_seconds"], "s"),
            number(row["ray_start_seconds"], "s"),
        ]
        for row in found["rows"]
    ]
    return [Sheet("ray", "Blocks over Ray", head, rows)]
