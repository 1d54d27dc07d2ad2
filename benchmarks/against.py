"""The chain of plain PyTorch (`peer`), timed from the same weights and drives as ours, once the two agree."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import peer
import torch
from chains import HORIZON
from timing import Measured, timed
from torch import Tensor

from rnnmc.engine.block import partition
from rnnmc.engine.draws import Draws
from rnnmc.engine.run import layout_of, moments
from rnnmc.numerics.layout import Rows
from rnnmc.numerics.weights import Weights
from rnnmc.study.point import DesignPoint

STEPS = 10  # that are drawn, and taken again and again; the two are compared after so many, or if wide
STEPS_IF_WIDE, WIDE = 2, 256
MODES: tuple[peer.Mode, ...] = ("forward", "reverse")
BATCH = 64  # the large batch holds so many replicates or more, the small one a tile of ours
ENTRIES = 1 << 22  # of all Jacobians of a large batch, at most
RUNS, RUN_SECONDS = 3, 0.15
FULLY_COMPARED = 64  # widths up to this are compared in float64
AGREEMENT = {torch.float64: 1e-4, torch.float32: 1e-3}  # torch loses digits where a unit is saturated

Steps = list[tuple[Weights, Mapping[str, Tensor]]]


def compare(point: DesignPoint, kernel: str) -> None:
    """Stop where plain PyTorch and rnnmc differ.

    In float64 on the plain engine no replicate may; in float32 on the kernel that is timed the middle one may not, for
    a Jacobian near zero by cancellation is no mistake.
    """
    double, single = point.model_copy(update={"dtype": "float64"}), point
    with torch.no_grad():
        for mode in MODES if point.width <= FULLY_COMPARED else ():
            _refuse(double, mode, float(_difference(double, "rows", mode).max()))
        _refuse(single, MODES[0], float(_difference(single, kernel, MODES[0]).median()))


def func(point: DesignPoint) -> dict[str, Any]:
    """Seconds a sample-step of batched torch.func, in the fastest of both modes and a small and a large batch."""
    batches = dict(_drawn(point, replicates) for replicates in (1, min(BATCH, ENTRIES // point.state_size**2)))

    def time(mode: peer.Mode, batch: int, steps: int, runs: int) -> Measured:
        again = itertools.cycle(batches[batch])
        work = lambda: peer.product(point.cell, again, batch, point.state_size, steps, mode)  # noqa: E731
        return timed(work, batch * steps, runs, RUNS * RUN_SECONDS)

    with torch.no_grad():
        ways: list[tuple[peer.Mode, int]] = list(itertools.product(MODES, batches))
        trials = {way: time(*way, 1, 1) for way in ways}
        mode, batch = min(ways, key=lambda way: trials[way]["median"])
        steps = int(RUN_SECONDS / (trials[mode, batch]["median"] * batch))
        best = time(mode, batch, min(steps, HORIZON), RUNS) if steps > 1 else trials[mode, batch]
    return {"seconds": best, "mode": mode, "batch": batch}


def loop(point: DesignPoint) -> Measured:
    """Seconds a sample-step of torch.autograd.functional.jacobian, one replicate after another."""
    steps = Draws(point, [(0, 0)], 1, Rows(), "cpu").steps()
    given = list(itertools.islice(steps, STEPS))
    one = timed(lambda: peer.product_in_a_loop(point.cell, given, 1, point.state_size, 1), 1, 1, RUN_SECONDS)
    count = int(RUN_SECONDS / one["median"])
    if count <= 1:
        return one
    again = itertools.cycle(given)
    work = lambda: peer.product_in_a_loop(point.cell, again, 1, point.state_size, count)  # noqa: E731
    return timed(work, count, RUNS, RUNS * RUN_SECONDS)


def _drawn(point: DesignPoint, at_least: int) -> tuple[int, Steps]:
    """(replicates, weights and drive of a few steps), the same draws as ours, of whole tiles."""
    cut = partition(point)
    tiles = [(0, tile) for tile in range(min(-(-at_least // cut.tile), cut.block // cut.tile))]
    steps = Draws(point, tiles, cut.tile, Rows(), "cpu").steps()
    return cut.tile * len(tiles), list(itertools.islice(steps, STEPS))


def _difference(point: DesignPoint, kernel: str, mode: peer.Mode) -> Tensor:
    """(replicates,) largest difference of an entry of P, over its largest entry, and in the log of that."""
    replicates, steps = min(partition(point).tile, BATCH), STEPS if point.width < WIDE else STEPS_IF_WIDE
    given = Draws(point, [(0, 0)], replicates, Rows(), "cpu").steps()
    (moment,) = moments(kernel, Draws(point, [(0, 0)], replicates, layout_of(kernel), "cpu"), (steps,))
    ours, log = peer.rescaled(moment.product.mT)
    log = log + moment.exponent * math.log(2)
    theirs, their_log = peer.product(point.cell, given, replicates, point.state_size, steps, mode, ours.dtype)
    apart = (ours - theirs).abs().amax((1, 2)).double()
    return torch.where(apart == 0, 0.0, torch.maximum(apart, (log - their_log).abs()))


def _refuse(point: DesignPoint, mode: peer.Mode, apart: float) -> None:
    limit = AGREEMENT[getattr(torch, point.dtype)]
    if not apart <= limit:
        raise SystemExit(
            f"{point.label} in {point.dtype}: rnnmc and torch.func ({mode}) differ by {apart:.2g}; mend that first"
        )
