"""How fast rnnmc samples, against the limit of the machine and against what one would do without it.

For each cell and width, in microseconds per sample-step (one step of one replicate) on one thread:

rnnmc   `run_block` as a study calls it: draws, 1,000 steps of the chain, and norms at 8 horizons per decade.
limit   the machine's own rate of float32 matrix multiplication, measured here before each cell; the share counts only
        the matrix products of the chain, so it also shows what draws, norms and elementwise work cost.
peer    the same weights and drives, already drawn, through batched torch.func Jacobians (forward or reverse mode, small
        or large batch, whichever is fastest) and a product in the log domain, with one norm at the end. The two must
        agree before they are timed.

Medians of several runs, with half the range between the fastest and the slowest as spread. Prints a table and writes
benchmarks/results.json. Run by `make bench`; `make bench BENCH=--quick` takes some of the cells and widths.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import peer
import torch
from rich.console import Console
from rich.table import Table

from rnnmc.block import partition, run_block
from rnnmc.cells import cells
from rnnmc.draws import Draws
from rnnmc.layout import Rows
from rnnmc.study import DesignPoint, horizons_up_to
from rnnmc.weights import Weights

WIDTHS = (1, 4, 16, 64, 128)
PEER_BATCH = 64  # the large batch holds at least so many replicates, the small one a tile of rnnmc
TRIAL_STEPS = 3
PEER_SECONDS = 0.15  # about what one run of the peer takes
HORIZON = 1000
RUNS = 3
QUICK_CELLS, QUICK_WIDTHS, QUICK_RUNS = ["tanh", "lstm", "gru_reset_after"], (1, 16, 64), 2
CHECKED_STEPS = 10
AGREEMENT = 1e-6  # nats, in float64 over CHECKED_STEPS steps
PEAK_SIZE = 1024
MODES: tuple[peer.Mode, ...] = ("forward", "reverse")

Steps = list[tuple[Weights, Mapping[str, torch.Tensor]]]


@dataclass(frozen=True)
class Timing:
    """Median and spread of several runs, in the unit of the field that holds it."""

    median: float
    spread: float

    @classmethod
    def of(cls, run: Callable[[], object], runs: int, per: float) -> Timing:
        """Call `run` once to warm up, then time it `runs` times; microseconds divided by `per`."""
        run()
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) * 1e6 / per)
        return cls(statistics.median(times), (max(times) - min(times)) / 2)


@dataclass(frozen=True)
class Peer:
    """How torch.func was run: which way it differentiated, and how many replicates at a time."""

    mode: peer.Mode
    batch: int


@dataclass(frozen=True)
class Row:
    """One line of the table. Times in microseconds per sample-step; flop of the chain's matrix products alone."""

    cell: str
    width: int
    rnnmc: Timing
    flop: int
    share_of_peak: float
    peer: Timing
    peer_way: Peer
    ratio: float


class Counting(Rows):
    """The layout of the wide chains, counting the floating-point operations of its matrix products."""

    def __init__(self) -> None:
        self.flop = 0

    def product(self, rows: torch.Tensor, matrix: torch.Tensor, plus: torch.Tensor | None = None) -> torch.Tensor:
        self.flop += 2 * rows.shape[1] * matrix.shape[1] * matrix.shape[2]
        return super().product(rows, matrix, plus)


def design_point(cell: str, width: int, horizons: tuple[int, ...], dtype: str = "float32") -> DesignPoint:
    """This cell as PyTorch initialises it, driven by white noise."""
    init = {"recurrent": {"ring": 1.0}} if cells()[cell].diagonal else "pytorch"
    return DesignPoint(cell=cell, width=width, init=init, drive="white", horizons=horizons, dtype=dtype)


def product_flop(cell: str, width: int) -> int:
    """Floating-point operations of the matrix products in one step of one replicate."""
    point, layout = design_point(cell, width, (1,)), Counting()
    draws = Draws(point, [(0, 0)], 1, layout, "cpu")
    weights, drive = next(draws.steps())
    layout.flop = 0
    _, push = point.cell_object.linearise(weights, drive, draws.state())
    push(tuple(torch.zeros(1, point.state_size, width) for _ in point.cell_object.parts))
    return layout.flop


def peak_rate() -> float:
    """Floating-point operations per second of a large float32 matrix multiplication, one thread, best of several."""
    a, b = torch.randn(PEAK_SIZE, PEAK_SIZE), torch.randn(PEAK_SIZE, PEAK_SIZE)
    best = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * PEAK_SIZE**3 / best


def time_rnnmc(cell: str, width: int, runs: int) -> Timing:
    """Microseconds per sample-step of one tile, the least that a block computes."""
    point = design_point(cell, width, horizons_up_to(HORIZON))
    tile = partition(point).tile
    return Timing.of(lambda: run_block(point, 0, tile), runs, tile * HORIZON)


def drawn(point: DesignPoint, at_least: int) -> tuple[int, Steps]:
    """(replicates, weights and drive of each step up to the point's last horizon), the same draws as rnnmc's."""
    cut = partition(point)
    tiles = [(0, tile) for tile in range(min(-(-at_least // cut.tile), cut.block // cut.tile))]
    steps = Draws(point, tiles, cut.tile, Rows(), "cpu").steps()
    return cut.tile * len(tiles), [step for _, step in zip(range(point.horizons[-1]), steps, strict=False)]


def check_peer(cell: str, width: int) -> None:
    """Stop where rnnmc and torch.func differ: in float64, for a Jacobian near zero by cancellation is no mistake."""
    point = design_point(cell, width, (CHECKED_STEPS,), dtype="float64")
    replicates, given = drawn(point, 1)
    ours = run_block(point, 0, replicates)["log_spectral"].to_numpy()
    for mode in MODES:
        size = point.state_size
        theirs = peer.log_spectral(cell, given, replicates, size, CHECKED_STEPS, mode, torch.float64).numpy()
        if not np.allclose(ours, theirs, rtol=0, atol=AGREEMENT):
            worst = np.nanmax(np.abs(ours - theirs))
            raise SystemExit(
                f"{cell} n={width}: rnnmc and torch.func ({mode}) differ by {worst:.2g} nats; mend that first"
            )


def time_peer(cell: str, width: int, runs: int) -> tuple[Peer, Timing]:
    """(fastest way, microseconds per sample-step) of batched torch.func: both modes, and a small and a large batch."""
    point = design_point(cell, width, (CHECKED_STEPS,))
    batches = dict(drawn(point, at_least) for at_least in (1, PEER_BATCH))

    def run(way: Peer, steps: int) -> None:
        again = (batches[way.batch][i % CHECKED_STEPS] for i in range(steps))
        peer.log_spectral(cell, again, way.batch, point.state_size, steps, way.mode)

    ways = [Peer(mode, batch) for mode in MODES for batch in batches]
    trials = {way: Timing.of(lambda way=way: run(way, TRIAL_STEPS), 2, way.batch * TRIAL_STEPS) for way in ways}
    best = min(ways, key=lambda way: trials[way].median)
    seconds = trials[best].median * 1e-6 * best.batch
    steps = int(np.clip(PEER_SECONDS / seconds, TRIAL_STEPS, HORIZON))
    return best, Timing.of(lambda: run(best, steps), runs, best.batch * steps)


def measure(names: list[str], widths: tuple[int, ...], runs: int, peaks: list[float]) -> Iterator[Row]:
    """Measure every cell at every width; the machine's rates are added to `peaks`."""
    for cell in names:
        peaks.append(peak_rate())
        for width in widths:
            check_peer(cell, width)
            ours, flop = time_rnnmc(cell, width, runs), product_flop(cell, width)
            way, theirs = time_peer(cell, width, runs)
            share = flop / (ours.median * 1e-6) / max(peaks)
            yield Row(cell, width, ours, flop, share, theirs, way, theirs.median / ours.median)


def as_table(rows: list[Row], peak: float) -> Table:
    """The rows for people."""
    title = f"Microseconds per sample-step, one thread, float32; matrix multiplication reaches {peak / 1e9:.0f} Gflop/s"
    table = Table(title=title)
    for name in ("cell", "width", "rnnmc", "share of limit", "torch.func", "times faster"):
        table.add_column(name, justify="left" if name == "cell" else "right")
    for row in rows:
        times = [f"{t.median:.3g} ± {t.spread / t.median:.0%}" for t in (row.rnnmc, row.peer)]
        table.add_row(row.cell, str(row.width), times[0], f"{row.share_of_peak:.1%}", times[1], f"{row.ratio:.3g}")
    return table


def processor() -> str:
    """The processor's own name for itself, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """Parse the command line, measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="some cells and widths, two runs: about a minute")
    parser.add_argument("--cells", nargs="+", choices=list(cells()), metavar="CELL", help="only these cells")
    parser.add_argument("--widths", nargs="+", type=int, metavar="N", help="only these widths")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("results.json"), help="where to write")
    chosen = parser.parse_args()
    names = chosen.cells or (QUICK_CELLS if chosen.quick else list(cells()))
    widths = tuple(chosen.widths or (QUICK_WIDTHS if chosen.quick else WIDTHS))
    runs = QUICK_RUNS if chosen.quick else RUNS
    torch.set_num_threads(1)
    console = Console() if sys.stdout.isatty() else Console(width=110)
    rows, peaks = [], []
    with Console(stderr=True).status("Measuring") as status:
        for row in measure(names, widths, runs, peaks):
            rows.append(row)
            status.update(f"Measured {row.cell} n={row.width}")
    console.print(as_table(rows, max(peaks)))
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    machine = {"processor": processor(), "peak_flop_per_second": max(peaks), "threads": 1} | versions
    settings = {"horizon": HORIZON, "runs": runs, "quick": chosen.quick}
    content = {"machine": machine, "settings": settings, "sampling": [asdict(row) for row in rows]}
    chosen.output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    console.print(f"Wrote {chosen.output}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
