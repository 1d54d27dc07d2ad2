"""The chain on a GPU: with its steps recorded once and replayed, and launched one by one.

As many tiles run together as a block has and memory allows. Microseconds of a sample-step in float32 (no TF32), beside
the GPU's own float32 matrix products; `full`: the same of `run_block`, with draws on the CPU and norms.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import machine
import torch
from chain_speed import Choice, product_flop
from chains import GRAPHED, HORIZON, design_point, starter, steps_within
from sheets import NONE, Sheet, number, percent, with_spread
from timing import RUNS, Measured, measured, seconds, timed

from rnnmc.engine.block import partition, run_block
from rnnmc.engine.choice import plain_kernel
from rnnmc.engine.graphed import RECORDED
from rnnmc.study.point import DesignPoint

ENTRIES = 1 << 27  # of the directions of all replicates together
PRODUCT_SIZE = 8192
RUN_SECONDS, FULL_SECONDS = 0.2, 3.0
FULL_UP_TO = 256


def measure(choice: Choice, tell: Callable[[str], None]) -> dict[str, Any] | None:
    """Every row; None where there is no GPU."""
    if not torch.cuda.is_available():
        return None
    rows = []
    for cell, width in choice.grid():
        tell(f"GPU: {cell}, width {width}")
        rows.append(_row(design_point(cell, width)))
        gc.collect()
        torch.cuda.empty_cache()
    rate = machine.product_rate(device="cuda", size=PRODUCT_SIZE)
    return {"gpu": torch.cuda.get_device_name(), "product_float32": rate, "rows": rows}


def _row(point: DesignPoint) -> dict[str, Any]:
    cut = partition(point)
    tiles = max(1, min(cut.block // cut.tile, ENTRIES // (cut.tile * point.state_size**2)))
    flop, rate = product_flop(point.cell, point.width), machine.product_rate(device="cuda", size=PRODUCT_SIZE)
    graphed, plain = (_chain(point, kernel, tiles) for kernel in (GRAPHED, plain_kernel(point)))
    replicates = tiles * cut.tile
    return {
        "cell": point.cell,
        "width": point.width,
        "replicates": replicates,
        "flop": flop,
        "graphed": graphed,
        "plain": plain,
        "times_plain": plain["median"] / graphed["median"],
        "share_of_products": flop / graphed["median"] / rate if flop else None,
        "full": _full(point, replicates) if point.width <= FULL_UP_TO else None,
    }


@torch.no_grad()
def _chain(point: DesignPoint, kernel: str, tiles: int) -> Measured:
    """Seconds of a sample-step; all steps are of whole recordings, which are made before the clock starts."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    replicates, begin = starter(point, kernel, tiles, device)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None

    def started() -> Callable[[int], None]:
        advance = begin()
        advance(RECORDED)
        wait()
        return lambda steps: (advance(steps), wait())[0]

    steps = max(RECORDED, steps_within(RUN_SECONDS, started) // RECORDED * RECORDED)
    found = []
    for _ in range(RUNS):
        advance = started()
        found.append(seconds(lambda: advance(steps)) / (replicates * steps))  # noqa: B023
    return measured(found)


def _full(point: DesignPoint, replicates: int) -> Measured:
    return timed(lambda: run_block(point, 0, replicates, "cuda"), replicates * HORIZON, RUNS, FULL_SECONDS)


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """A line for each cell and width."""
    head = (
        "cell",
        "width",
        "replicates",
        "us a step, recorded",
        "one by one",
        "times",
        "Gflop/s",
        "of products",
        "full us",
    )
    rows = [
        [
            row["cell"],
            str(row["width"]),
            f"{row['replicates']:,}",
            with_spread(row["graphed"], scale=1e6),
            with_spread(row["plain"], scale=1e6),
            number(row["times_plain"]),
            number(row["flop"] / row["graphed"]["median"], scale=1e-9) if row["flop"] else NONE,
            percent(row["share_of_products"]),
            with_spread(row["full"], scale=1e6),
        ]
        for row in found["rows"]
    ]
    return [Sheet("gpu", f"Microseconds of a sample-step on {found['gpu']}, float32", head, rows)]
