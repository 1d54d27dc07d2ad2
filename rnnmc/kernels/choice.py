"""Which kernel runs a design point, by a small model of what a step costs: nominal seconds on one core.

The model counts the work of the traced cell. It need not know the machine at hand: it says which route is cheapest, how
large a block is and how points compare, from the point alone. What a study takes here and now is measured
(`rnnmc.forecast`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from rnnmc.cells import cell as cell_of
from rnnmc.kernels.trace import FUNCTIONS, MATRIX, ROWS, VECTOR, Node, Program, Untraceable, traced
from rnnmc.study import DesignPoint

COMPILED = "compiled "  # before the name of the layout
COMPILING = 0.4  # seconds; a kernel that does not save as much in MANY replicates is not compiled
MANY = 1 << 17
COLUMNS_UP_TO_WIDTH = 8  # measured on one thread: wider than this, a batched matrix multiply is faster
COMPILED_COLUMNS_UP_TO_WIDTH = 16  # what a lane of replicates needs must fit the stack and the caches
LANE_BYTES = 64  # nominal: where a lane holds units, the width is rounded up to whole lanes
NORMAL = 2.5e-9  # seconds to draw a normal number
NO_WORK = ("input", "number", "identity")


@dataclass(frozen=True)
class Rates:
    """Nominal float32 rates of a kernel, as benchmarks/bench.py finds them on one core of a present processor.

    product: flop a second. function, entry: seconds for one evaluation, and for one other operation on one entry.
    call: seconds for an operation as such.
    """

    product: float
    function: float
    entry: float
    call: float


KERNELS = {
    "columns": Rates(5e9, 2e-9, 4e-10, 2e-6),
    "rows": Rates(8e10, 2e-9, 3e-10, 2e-6),
    "compiled columns": Rates(3.3e10, 1e-9, 1e-10, 0.0),
    "compiled rows": Rates(9.5e10, 1.5e-9, 3e-11, 1e-8),
}


@dataclass(frozen=True)
class Work:
    """Of one step of one replicate. products: flop. functions: evaluations. entries, operations: of all others."""

    products: float
    functions: float
    entries: float
    operations: int


def kernel_of(point: DesignPoint) -> str:
    """The name of the kernel that the model finds cheapest; a function of the point alone."""
    plain = plain_kernel(point)
    if work(point.cell, point.width) is None:
        return plain
    narrow = point.width <= COMPILED_COLUMNS_UP_TO_WIDTH
    names = ("compiled columns", "compiled rows") if narrow else ("compiled rows",)
    compiled = min(names, key=lambda kernel: step_seconds(point, kernel))
    saved = step_seconds(point, plain) - step_seconds(point, compiled)
    return compiled if saved * point.horizons[-1] * MANY > COMPILING else plain


def plain_kernel(point: DesignPoint) -> str:
    """The kernel of this point where none is compiled."""
    return "columns" if point.width <= COLUMNS_UP_TO_WIDTH else "rows"


def replicate_seconds(point: DesignPoint, kernel: str) -> float:
    """Nominal seconds of one replicate: its draws, all steps, and the norms at every horizon."""
    n, gates, d = point.width, len(point.cell_object.gates), point.state_size
    recurrent = len(point.cell_object.recurrent) * n * (1 if point.cell_object.diagonal else n)
    drive = gates * n if point.drive.is_field else point.drive.dimension
    a_step = step_seconds(point, kernel) + NORMAL * (drive + (recurrent if point.weights == "untied" else 0))
    norms = 1e-8 + 2.2e-9 * d**2 + 1e-11 * float(d) ** 3
    return point.horizons[-1] * a_step + len(point.horizons) * norms + NORMAL * recurrent


def step_seconds(point: DesignPoint, kernel: str) -> float:
    """Nominal seconds of one step of the chain of one replicate, its draws apart."""
    rates, size = KERNELS[kernel], 4 if point.dtype == "float32" else 8
    lanes = LANE_BYTES // size if kernel == "compiled rows" else 1
    counted = work(point.cell, point.width, lanes) or _guessed(point)
    a_replicate = counted.products / rates.product + counted.functions * rates.function + counted.entries * rates.entry
    together = 1 if kernel == "compiled rows" else max(1, (1 << 17) // (point.state_size * point.width))
    return a_replicate * size / 4 + rates.call * counted.operations / together


@cache
def work(cell: str, width: int, lanes: int = 1) -> Work | None:
    """The work of a step as traced, the width rounded up to whole lanes; None where the cell has no trace."""
    try:
        program = traced(cell_of(cell))
    except Untraceable:
        return None
    across = -(-width // lanes) * lanes
    rows = {VECTOR: 1, MATRIX: width, ROWS: len(program.cell.parts) * width}
    sizes = {node: rows[node.kind] * across for node in _nodes(program) if node.op not in NO_WORK}
    products = sum(2.0 * size * width for node, size in sizes.items() if node.op == "product")
    functions = sum(size for node, size in sizes.items() if node.op in FUNCTIONS)
    entries = sum(size for node, size in sizes.items() if node.op not in (*FUNCTIONS, "product"))
    return Work(products, functions, entries, len(sizes))


def _guessed(point: DesignPoint) -> Work:
    n, d, gates = point.width, point.state_size, len(point.cell_object.gates)
    return Work(2.0 * d * n * n * len(point.cell_object.parts), 3.0 * gates * n, 2.0 * gates * n * n, 20 * gates)


def _nodes(program: Program) -> Iterator[Node]:
    seen: set[Node] = set()
    todo = [*program.state, *program.pushed]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += node.args
            yield node
