"""The norms of a point by less than whole products, beside the kernel whose place that takes, in CPU time of a thread.

Both measure the same point in turns, and the fastest of each counts, so that a busy machine changes the ratio little:

    python benchmarks/sweeps.py [CELL WIDTH [HORIZON ...]]

By compiled sweeps, and unit by unit where no unit reads another. The last row is of the ten largest Lyapunov exponents
of a wide network, beside the same with all columns carried.
"""

from __future__ import annotations

import sys
import time

from rnnmc.engine.block import Partition, observe_block, partition, run_block
from rnnmc.engine.choice import COMPILED_ROWS_UP_TO_WIDTH, FEW_DIRECTIONS, SWEPT, compiled_kernel
from rnnmc.observables.spectrum import LyapunovSpectrum
from rnnmc.study.point import DesignPoint, horizons_up_to

TURNS = 3
ONE, MANY = (1000,), horizons_up_to(1000)
ROWS = [
    *(("lstm", width, horizons) for width in (32, 64, 128, 256, 512) for horizons in (ONE, MANY)),
    *((cell, width, horizons) for cell in ("tanh", "gru") for width in (64, 256) for horizons in (ONE, MANY)),
    *((cell, width, MANY) for cell in ("min_gru", "lru", "s6") for width in (8, 16, 64, 256)),
]
ENTRIES = 512  # units of a tile of the kernel that is replaced


def seconds(point: DesignPoint, kernel: str, replicates: int) -> float:
    """CPU seconds of a replicate."""
    before = time.process_time()
    run_block(point, 0, cut=Partition(replicates, replicates, kernel))
    return (time.process_time() - before) / replicates


def compared(point: DesignPoint) -> tuple[float, float]:
    """CPU seconds of a replicate on the other kernel, and on its own."""
    narrow = point.width < COMPILED_ROWS_UP_TO_WIDTH
    other = (compiled_kernel(point) if narrow else None) or FEW_DIRECTIONS
    replicates = max(1, ENTRIES // point.width)
    short, own = point.model_copy(update={"horizons": (2, 110)}), partition(point)
    for kernel in (other, own.kernel):  # what is compiled is not counted
        seconds(short, kernel, 1)
    times = [(seconds(point, other, replicates), seconds(point, own.kernel, own.tile)) for _ in range(TURNS)]
    return min(first for first, _ in times), min(second for _, second in times)


class WithColumns(LyapunovSpectrum):
    """Exponents as they were found when all columns of the chain were carried beside them."""

    name, whole_chain = "with_columns", True


def exponents(steps: int = 200) -> tuple[float, float]:
    """CPU seconds of 2,000 steps of a tanh network of 1,024 units, its norm and ten exponents, before and now."""
    point, found = DesignPoint(cell="tanh", width=1024, horizons=(steps,)), []
    for kind in (WithColumns, LyapunovSpectrum):
        watched, cut = (kind(exponents=10),), Partition(1, 1, SWEPT)
        observe_block(point.model_copy(update={"horizons": (3,)}), 0, watched, cut=cut)
        before = time.process_time()
        observe_block(point, 0, watched, cut=cut)
        found.append((time.process_time() - before) * 2000 / steps)
    return found[0], found[1]


def main() -> None:
    """Print a row for each point."""
    cell, width, *horizons = sys.argv[1:] or ("", "0")
    rows = [(cell, int(width), tuple(int(one) for one in horizons) or MANY)] if cell else ROWS
    print("| cell | width | horizons | before | now | times faster |")
    for name, units, some in rows:
        before, after = compared(DesignPoint(cell=name, width=units, horizons=some))
        figures = f"{1e3 * before:.3g} ms | {1e3 * after:.3g} ms | {before / after:.3g} |"
        print(f"| `{name}` | {units} | {len(some)} | {figures}", flush=True)
    if not cell:
        before, after = exponents()
        print(f"| `tanh` | 1024 | 10 exponents | {before:.3g} s | {after:.3g} s | {before / after:.3g} |")


if __name__ == "__main__":
    main()
