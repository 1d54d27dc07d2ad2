"""Norms of wide cells from a few directions, beside the full product; and untied Gaussian weights drawn as seen.

Spectral norm at 1,000 steps, one replicate, one thread: seconds of `wide_norms`, with this horizon alone and with the
usual ones, 8 a decade. Against it the chain of all columns of P_T on the faster of the plain and the compiled kernel,
timed over some steps and taken 1,000 times (its norms not counted). The error of log ||P_T||_2 is against the full
product of the same engine along the very same trajectory, which a chaotic one asks for: at 1,000 steps where that takes
seconds, else at fewer. Of it products: what one run spends in products of directions with matrices.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from chain_speed import Choice, product_flop
from chains import HORIZON, full_kernel, starter, steps_within
from children import told
from sheets import Sheet, number, with_spread
from timing import finite, measured, seconds, timed

from rnnmc.chain.norms import log_norms
from rnnmc.chain.product import follow
from rnnmc.engine.choice import plain_kernel
from rnnmc.engine.draws import Draws
from rnnmc.engine.few_directions import dense as wide_dense
from rnnmc.numerics.layout import Rows
from rnnmc.study.point import DesignPoint, horizons_up_to

POINTS = {
    "tanh, gain 1.5, no input": {
        "cell": "tanh",
        "init": {"recurrent": {"gaussian": 1.5}},
        "drive": "none",
        "state_std": 1.0,
    },
    "lstm, pytorch, white": {"cell": "lstm", "init": "pytorch", "drive": "white"},
}
WIDTHS, WIDEST = (512, 1024), 4096
FULL_SECONDS = 1.0  # of timing the full product
FEW_SECONDS = 10.0  # of timing the few directions
CHECK_FLOP, CHECK_FLOP_IF_QUICK = 2.2e12, 5e10  # of the full product whose norm is compared
UNTIED = {
    "tanh, gain 1, white": {"cell": "tanh", "init": {"recurrent": {"gaussian": 1.0}}, "drive": "white"},
    "lstm, gain 1, white": {"cell": "lstm", "init": {"recurrent": {"gaussian": 1.0}}, "drive": "white"},
}
UNTIED_WIDTH, UNTIED_HORIZON = 100_000, 100
PROCESS = """
import json, sys, time
import torch
from rnnmc.engine.conditional.norms import conditional_norms
from rnnmc.study.point import DesignPoint
torch.set_num_threads(1)
point = DesignPoint(**json.loads(sys.argv[1]))
times, found = [], None
for tile in range(int(sys.argv[2])):
    begin = time.perf_counter()
    with torch.no_grad():
        found = conditional_norms(point, [(0, tile)], 1)
    times.append(time.perf_counter() - begin)
print(json.dumps({"times": times, "peak_bytes": peak(), "error": float(found["log_spectral_error"].max())}))
"""


def measure(choice: Choice, tell: Callable[[str], None]) -> dict[str, Any]:
    """Rows of tied weights by few directions, and of untied ones drawn as they are seen."""
    asked = [(name, width) for name in POINTS for width in WIDTHS]
    if choice.quick:
        asked = asked[:1]
    if choice.every:
        asked.append((next(iter(POINTS)), WIDEST))
    tied, untied = [], []
    for name, width in asked:
        tell(f"wide: {name}, width {width}")
        tied.append({"point": name, "width": width} | _tied(POINTS[name] | {"width": width}, choice.quick))
        gc.collect()
    for name, said in list(UNTIED.items())[: 1 if choice.quick else None]:
        tell(f"untied: {name}, width {UNTIED_WIDTH}")
        untied.append({"point": name, "width": UNTIED_WIDTH} | _untied(said, runs=1 if choice.quick else 3))
    return {"horizon": HORIZON, "tied": tied, "untied_horizon": UNTIED_HORIZON, "untied": untied}


@torch.no_grad()
def _tied(said: dict[str, Any], quick: bool) -> dict[str, Any]:
    point = DesignPoint(**said, horizons=(HORIZON,))
    ladder = DesignPoint(**said, horizons=horizons_up_to(HORIZON))
    full, flop = _full_step(point)
    runs = 1 if quick or point.width >= WIDEST else 3
    few = timed(lambda: _few(point), 1, runs, FEW_SECONDS)
    return {
        "full_seconds": full * HORIZON,
        "products_seconds": _products(point),
        "seconds": few,
        "times_faster": full * HORIZON / few["median"],
        "seconds_of_ladder": measured([seconds(lambda: _few(ladder))]),
    } | _error(said, CHECK_FLOP_IF_QUICK if quick else CHECK_FLOP, flop)


def _products(point: DesignPoint) -> float:
    """Seconds that a run spends in products of its directions with packed matrices."""
    product, spent = wide_dense._linear, 0.0

    def clocked(*words: Any) -> torch.Tensor:
        nonlocal spent
        begin = time.perf_counter()
        found = product(*words)
        spent += time.perf_counter() - begin
        return found

    wide_dense._linear = clocked
    try:
        _few(point)
    finally:
        wide_dense._linear = product
    return spent


def _few(point: DesignPoint) -> dict[str, np.ndarray]:
    from rnnmc.engine.few_directions.norms import wide_norms

    return wide_norms(point, [(0, 0)], 1, "cpu", point.dtype)


def _full_step(point: DesignPoint) -> tuple[float, int]:
    """(seconds, floating-point operations) of a step of the full product, on the faster kernel."""
    times = []
    for kernel in {full_kernel(point), plain_kernel(point)}:
        replicates, begin = starter(point, kernel)
        steps, advance = steps_within(FULL_SECONDS, begin), begin()
        times.append(seconds(lambda: advance(steps)) / (steps * replicates))  # noqa: B023
    return min(times), product_flop(point.cell, point.width)


def _error(said: dict[str, Any], allowed: float, flop: int) -> dict[str, Any]:
    """Nats between the log-norm from a few directions and that of the full product, and the bound it came with."""
    horizon = min(HORIZON, int(allowed / flop))
    point = DesignPoint(**said, horizons=(horizon,))
    draws = Draws(point, [(0, 0)], 1, Rows(), "cpu")
    (moment,) = follow(draws.cell, draws.layout, draws.steps(), draws.state(), point.horizons, apart=draws.apart)
    truth, found = log_norms(moment), _few(point)
    return {
        "checked_horizon": horizon,
        "error": abs(float(truth["log_spectral"][0] - found["log_spectral"][0, 0])),
        "error_of_rms": abs(float(truth["log_rms"][0] - found["log_rms"][0, 0])),
        "bound": finite(found["log_spectral_error"][0, 0]),
    }


def _untied(said: dict[str, Any], runs: int) -> dict[str, Any]:
    point = said | {"width": UNTIED_WIDTH, "weights": "untied", "horizons": [UNTIED_HORIZON]}
    found = told(PROCESS, json.dumps(point), str(runs))
    return {"seconds": measured(found["times"]), "peak_bytes": found["peak_bytes"], "bound": finite(found["error"])}


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """Tied, then untied."""
    head = (
        "point",
        "width",
        "full product",
        "few directions",
        "of it products",
        "times faster",
        "at 8 horizons a decade",
        "error",
        "at T",
        "bound",
    )
    tied = [
        [
            row["point"],
            str(row["width"]),
            number(row["full_seconds"], "s"),
            with_spread(row["seconds"], "s"),
            number(row["products_seconds"], "s"),
            f"{number(row['times_faster'])} x",
            with_spread(row["seconds_of_ladder"], "s"),
            number(row["error"]),
            str(row["checked_horizon"]),
            number(row["bound"]),
        ]
        for row in found["tied"]
    ]
    untied = [
        [
            row["point"],
            f"{row['width']:,}",
            with_spread(row["seconds"], "s"),
            number(row["peak_bytes"], "GB", 1e-9),
            number(row["bound"]),
        ]
        for row in found["untied"]
    ]
    return [
        Sheet("wide-tied", f"Spectral norm at T = {found['horizon']:,}, one replicate", head, tied),
        Sheet(
            "wide-untied",
            f"Untied Gaussian weights, T = {found['untied_horizon']}, one replicate",
            ("point", "width", "time", "memory", "bound"),
            untied,
        ),
    ]
