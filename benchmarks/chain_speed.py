"""How fast the chain runs, by cell and width: beside the machine's limits and beside plain PyTorch.

Microseconds of a sample-step (one step of one replicate) on one thread in float32, on the kernel that the point takes
in a study. The chain alone: weights and drive are drawn before, no norm is taken. Each of its runs is preceded by the
machine's own matrix products, so that a share compares two moments that lie beside each other. `full`: the same of
`run_block` on one tile to 1,000 steps, with draws and with norms at 8 horizons a decade.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import against
import machine
import peer
import torch
from chains import HORIZON, design_point, full_kernel, starter, steps_within
from sheets import Sheet, number, percent, with_spread
from timing import RUNS, Measured, measured, seconds, timed
from torch.overrides import TorchFunctionMode

from rnnmc.cells import cells
from rnnmc.engine.block import Partition, partition, run_block
from rnnmc.engine.choice import UNITS, work_of
from rnnmc.engine.draws import Draws
from rnnmc.numerics.layout import Rows
from rnnmc.study.point import DesignPoint

WIDTHS = tuple(2**i for i in range(11))
QUICK = ("tanh", "lstm"), (1, 16, 64, 256)
ARTICLES = ("tanh", "relu", "lstm", "gru", "gru_tied", "gru_output_gated")
USUAL = (*ARTICLES, "gru_reset_after", "linear", "lru", "min_gru", "minimal_rnn")  # all fifty take hours
RUN_SECONDS = 0.15  # about what one run of the chain takes
FULL_UP_TO, FULL_SECONDS = 256, 1.0
SMALL = 4  # widths up to this are held against the squashing functions
FUNCTIONS = ("sigmoid", "tanh")


@dataclass(frozen=True)
class Choice:
    """What is asked for on the command line. quick: less of everything. every: also what takes minutes."""

    quick: bool = False
    every: bool = False
    cells: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()

    def grid(self) -> list[tuple[str, int]]:
        """(cell, width) of every row."""
        names, widths = QUICK if self.quick else (tuple(cells()) if self.every else USUAL, WIDTHS)
        return [(cell, width) for cell in self.cells or names for width in self.widths or widths]


class Counting(Rows):
    """A layout that counts the floating-point operations of its matrix products."""

    def __init__(self) -> None:
        self.flop = 0

    def product(self, rows: torch.Tensor, matrix: torch.Tensor, plus: torch.Tensor | None = None) -> torch.Tensor:
        self.flop += 2 * rows.shape[1] * matrix.shape[1] * matrix.shape[2]
        return super().product(rows, matrix, plus)


class CountingFunctions(TorchFunctionMode):
    """Counts the calls of torch's squashing functions."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, int] = dict.fromkeys(FUNCTIONS, 0)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__ in self.calls:
            self.calls[func.__name__] += 1
        return func(*args, **(kwargs or {}))


def product_flop(cell: str, width: int) -> int:
    """Floating-point operations of the matrix products in one step of one replicate."""
    point, layout = design_point(cell, width, (1,)), Counting()
    draws = Draws(point, [(0, 0)], 1, layout, "cpu")
    weights, drive = next(draws.steps())
    layout.flop = 0
    _, push = point.cell_object.linearise(weights, drive, draws.state())
    push(tuple(torch.zeros(1, point.state_size, width) for _ in point.cell_object.parts))
    return layout.flop


def evaluations(cell: str) -> dict[str, int]:
    """How often a unit's step evaluates each squashing function, by the cell's formula."""
    point = design_point(cell, 1, (1,))
    given = peer.by_name(*next(Draws(point, [(0, 0)], 1, Rows(), "cpu").steps()))
    u, x = ({name: value[0] for name, value in named.items()} for named in given)
    with CountingFunctions() as counting:
        peer.step_of(cell)(u, x, torch.zeros(point.state_size))
    return counting.calls


def bound_seconds(point: DesignPoint, kernel: str, product_rate: float, function_seconds: float) -> float | None:
    """What a step of one replicate would take if nothing waited for anything; None where the cell is not traced.

    Each of its multiplications and additions takes the place of one in a product at `product_rate` (flop a second, two
    for each place), and so do two for each entry of P_t that is carried, whose size is looked at; functions take what
    they take.
    """
    times = point.width if kernel == UNITS else 1
    one = point.model_copy(update={"width": point.width // times})
    work = work_of(one)
    if work is None:
        return None
    places = work.products / 2 + work.entries + 2 * one.state_size**2
    return times * (2 * places / product_rate + work.functions * function_seconds)


def measure(choice: Choice, tell: Callable[[str], None]) -> dict[str, Any]:
    """Every row."""
    rows = []
    for cell, width in choice.grid():
        tell(f"chain: {cell}, width {width}")
        rows.append(_row(cell, width))
        gc.collect()
    return {"rows": rows}


def _row(cell: str, width: int) -> dict[str, Any]:
    point = design_point(cell, width)
    kernel = full_kernel(point)
    flop, evaluated = product_flop(cell, width), evaluations(cell)
    step, shares = _chain(point, kernel, flop, evaluated if width <= SMALL else {})
    against.compare(point, kernel)
    func, loop = against.func(point), against.loop(point)
    return {
        "cell": cell,
        "width": width,
        "kernel": kernel,
        "tile": partition(point).tile,
        "flop": flop,
        "functions": evaluated,
        "seconds": step,
        **{f"share_of_{of}": share for of, share in shares.items()},
        "func": func,
        "times_func": func["seconds"]["median"] / step["median"],
        "loop": loop,
        "times_loop": loop["median"] / step["median"],
        "full": _full(point, kernel) if width <= FULL_UP_TO else None,
    }


@torch.no_grad()
def _chain(
    point: DesignPoint, kernel: str, flop: int, evaluated: dict[str, int]
) -> tuple[Measured, dict[str, Measured | None]]:
    """(seconds a sample-step, shares of the limits of the same moments; None where there is nothing of the kind)."""
    replicates, begin = starter(point, kernel)
    steps = steps_within(RUN_SECONDS, begin)
    found: list[float] = []
    shares: dict[str, list[float]] = {"products": [], "functions": [], "bound": []}
    for _ in range(RUNS):
        rate, seconds_of = machine.product_rate(), {name: machine.function_seconds(name) for name in FUNCTIONS}
        advance = begin()
        found.append(seconds(lambda: advance(steps)) / (replicates * steps))  # noqa: B023
        least = point.width * sum(count * seconds_of[name] for name, count in evaluated.items())
        bound = bound_seconds(point, kernel, rate, min(seconds_of.values())) or 0.0
        for of, share in (("products", flop / rate), ("functions", least), ("bound", bound)):
            shares[of].append(share / found[-1])
    return measured(found), {of: measured(some) if any(some) else None for of, some in shares.items()}


def _full(point: DesignPoint, kernel: str) -> Measured:
    tile = partition(point).tile
    cut = Partition(tile, tile, kernel)
    return timed(lambda: run_block(point, 0, cut=cut), tile * HORIZON, RUNS, FULL_SECONDS)


def sheets(found: dict[str, Any]) -> list[Sheet]:
    """One table with a line for each cell and width, and for the page one for each quantity."""
    rows = found["rows"]
    told: list[tuple[str, str, Callable[[dict[str, Any]], str]]] = [
        ("chain-time", "Microseconds of a sample-step, the chain alone", lambda row: _microseconds(row, "seconds")),
        ("chain-share", "Share of the rate of matrix products", lambda row: percent(_share(row, "products"))),
        ("chain-bound", "Share of the bound of all operations", lambda row: percent(_share(row, "bound"))),
        ("chain-functions", "Share of the rate of squashing functions", lambda row: percent(_share(row, "functions"))),
        ("chain-func", "Times faster than batched torch.func", lambda row: number(row["times_func"])),
        ("chain-loop", "Times faster than torch.autograd in a loop", lambda row: number(row["times_loop"])),
        ("chain-full", "Microseconds with draws and norms", lambda row: _microseconds(row, "full")),
    ]
    return [
        _every_row(rows),
        _limits(rows),
        _spreads(rows),
        *(_matrix(name, title, rows, one) for name, title, one in told),
    ]


def _limits(rows: list[dict[str, Any]]) -> Sheet:
    """What batched torch.func takes, beside what the squashing functions alone would take at torch's own rate."""
    lines = []
    for row in rows:
        if (share := _share(row, "functions")) is not None:
            alone, func = share * row["seconds"]["median"], row["func"]["seconds"]["median"]
            times = [number(func, "us", 1e6), number(alone, "ns", 1e9), number(func / alone), number(row["times_func"])]
            lines.append([f"`{row['cell']}`", str(row["width"]), *times])
    head = ("cell", "width", "torch.func", "functions alone, by torch", "times faster", "rnnmc: times faster")
    return Sheet("chain-limits", "Torch.func and the functions of a step", head, lines, on_terminal=False)


def _spreads(rows: list[dict[str, Any]]) -> Sheet:
    """How far the runs of one row lie apart."""
    lines = []
    for what, get in (("chain", lambda row: row["seconds"]), ("torch.func", lambda row: row["func"]["seconds"])):
        apart = [one["spread"] / one["median"] for row in rows if (one := get(row))["runs"] > 1]
        ends = [percent(statistics.median(apart)), percent(max(apart))] if apart else [number(None)] * 2
        lines.append([what, *ends])
    head = ("half the range over the median", "median of all rows", "largest")
    return Sheet("chain-spread", "Spread of the runs of a row", head, lines, on_terminal=False)


def _share(row: dict[str, Any], of: str) -> float | None:
    found = row.get(f"share_of_{of}")
    return found and found["median"]


def _microseconds(row: dict[str, Any], name: str) -> str:
    return number(row[name] and row[name]["median"], scale=1e6)


def _every_row(rows: list[dict[str, Any]]) -> Sheet:
    head = (
        "cell",
        "width",
        "kernel",
        "us a step",
        "Gflop/s",
        "of products",
        "of functions",
        "of the bound",
        "torch.func",
        "in a loop",
        "full us",
    )
    lines = []
    for row in rows:
        rate = number(row["flop"] / row["seconds"]["median"], scale=1e-9) if row["flop"] else number(None)
        shares = [percent(_share(row, of)) for of in ("products", "functions", "bound")]
        times = [f"{number(row[name])} x" for name in ("times_func", "times_loop")]
        step, full = (with_spread(row[name], scale=1e6) for name in ("seconds", "full"))
        lines.append([row["cell"], str(row["width"]), row["kernel"], step, rate, *shares, *times, full])
    return Sheet("", "Microseconds of a sample-step on one thread, float32", head, lines)


def _matrix(name: str, title: str, rows: list[dict[str, Any]], told: Callable[[dict[str, Any]], str]) -> Sheet:
    """A line for each cell and a column for each width; lines and columns with nothing to tell are left out."""
    said = {(row["cell"], row["width"]): text for row in rows if (text := told(row)) != number(None)}
    names, widths = (list(dict.fromkeys(key[i] for key in said)) for i in (0, 1))
    lines = [[f"`{cell}`", *(said.get((cell, width), number(None)) for width in widths)] for cell in names]
    return Sheet(name, title, ["cell", *map(str, widths)], lines, on_terminal=False)
