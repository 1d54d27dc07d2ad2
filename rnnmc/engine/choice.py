"""Which kernel runs a design point, by a small model of what a step costs: nominal seconds on one core.

The model counts the work of the traced cell. It need not know the machine at hand: it says which route is cheapest, how
large a block is and how points compare, from the point alone. What a study takes here and now is measured
(`rnnmc.run.forecast`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rnnmc.cells import cell as cell_of
from rnnmc.engine.compiled.symbols import FUNCTIONS, MATRIX, ROWS, VECTOR, Untraceable
from rnnmc.engine.compiled.trace import traced, units_are_alone
from rnnmc.engine.swept.plan import MOST_STORED, MOST_STORED_IF_NARROW, narrows, row_steps, stored_bytes
from rnnmc.study.point import DesignPoint

TILE_ENTRIES = 1 << 17  # directions of a tile that fit the second-level cache, with what is made of them
LARGEST_TILE = 4096
COMPILED = "compiled "  # before the name of the layout
FEW_DIRECTIONS, CONDITIONAL = "few directions", "conditional draw"
SWEPT, UNITS = COMPILED + FEW_DIRECTIONS, COMPILED + "units"
FEW_ROWS = (FEW_DIRECTIONS, SWEPT, UNITS)  # kernels that carry no whole product
UNIT_LANES, LEAST_UNIT_TILE = 4096, 16  # units of a tile where each is a network of its own; replicates, if several
MOST_UNIT_ENTRIES = 1 << 22  # of weights, or of P_t if an observable looks at it, of LEAST_UNIT_TILE replicates
UNIT_BLOCK_SECONDS = 1.0  # of a block: an observable that looks at all of P_t takes up to as many times that as units
UNIT_STEP, UNIT_NORM = 1.6e-9, 1e-7  # seconds of a unit: of a step beside what the cell does, and at a horizon
UNIT_INPUTS = 3e10  # flop a second of what comes in
COMPILING = 0.4  # seconds; a kernel that does not save as much in MANY replicates is not compiled
MANY = 1 << 17
COLUMNS_UP_TO_WIDTH = 8  # measured on one thread: wider than this, a batched matrix multiply is faster
COMPILED_ROWS_UP_TO_WIDTH = 512  # wider, directions outgrow the caches, which the multiply of the library minds less
COMPILED_COLUMNS_UP_TO_WIDTH = 16  # what a lane of replicates needs must fit the stack and the caches
LANE_BYTES = 64  # nominal: where a lane holds units, the width is rounded up to whole lanes
NORMAL = 2.5e-9  # seconds to draw a normal number
CONDITIONAL_FROM_WIDTH = 2048  # untied Gaussian matrices are drawn as far as they are seen; tied ones could be, but the
# rows that they have met add up: the sweeps for a norm take longer than whole matrices do (benchmarks/wide_tied.py)
CONDITIONAL_BYTES = 1 << 30  # that a replicate may keep of what is seen on the way forward
ROWS_SEEN, CONDITIONAL_SWEEPS = 9, 3
FEW_FROM_HORIZON = 100  # shorter products have many singular values that are nearly the largest
ROWS_SWEPT, FEW_RATE, FEW_CALLS = 50, 4e10, 1e-4  # few directions: rows a step, flop a second, seconds of calls a step
SWEPT_FROM = 32  # units: below it the few directions are most of the state
SWEPT_UP_TO = 1024  # units: beyond them the full product, on which sweeps fall back, takes longer than torch's rounds
NARROWED_UP_TO = 512  # units: beyond them the few directions of torch are as fast at many horizons (measured)
SWEPT_RATE, SWEPT_AGAIN = 1.15e11, 1.1  # flop a second of the sweeps; all that some replicates need beyond the others
SWEPT_CALLS = 1.5e-4, 1.5e-5  # seconds of a replicate, and of each horizon, to judge what sweeps have found
NARROWING = 4e-9  # seconds, times the cube of half the state, of the linear algebra that makes columns fewer
SWEPT_MARGIN = 1.05  # by which sweeps must be cheaper, as they leave an error of their own
OF_A_DIRECTION = 1.2e-8  # seconds to find its size among units in lanes, where each has one of its own
CALLS_A_STEP = 10  # of the engine itself: looking at the size, drives
NO_WORK = ("input", "number", "identity", "width", "constant")


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
    "columns": Rates(5e9, 2e-9, 4e-10, 6e-6),
    "rows": Rates(8e10, 2e-9, 3e-10, 6e-6),
    "compiled columns": Rates(6.5e10, 8e-10, 6e-11, 0.0),
    "compiled rows": Rates(9.5e10, 1.5e-9, 3e-11, 0.0),
}


@dataclass(frozen=True)
class Work:
    """Of one step of one replicate. products: flop. functions: evaluations. entries, operations: of all others."""

    products: float
    functions: float
    entries: float
    operations: int


def cached_tile(point: DesignPoint) -> int:
    """How many replicates run together: a power of two, such that their directions fit the caches."""
    return min(LARGEST_TILE, 1 << max(0, (TILE_ENTRIES // (point.state_size * point.width)).bit_length() - 1))


def kernel_of(point: DesignPoint) -> str:
    """The name of the kernel that the model finds cheapest; a function of the point alone.

    One that leaves an error of its own must save half, and one of compiled sweeps, whose error is small, a little.
    """
    if _is_of_units(point):
        return UNITS
    full = full_kernel(point)
    if point.units_apart or work_of(point) is None:
        return full
    if point.weights == "untied":
        return CONDITIONAL if _is_drawn_as_seen(point) else full
    if point.horizons[-1] < FEW_FROM_HORIZON:
        return full
    few = SWEPT if _can_be_swept(point) else FEW_DIRECTIONS
    margin = SWEPT_MARGIN if few == SWEPT else 2
    return few if margin * chain_seconds(point, few) < chain_seconds(point, full) else full


@cache
def _has_units_alone(cell: str) -> bool:
    """Whether each unit of a layer of this cell is a network of its own."""
    found = cell_of(cell)
    try:
        return not found.has_matrices and units_are_alone(traced(found))
    except Untraceable:
        return False


def _is_of_units(point: DesignPoint) -> bool:
    return point.layers == 1 and point.width > 1 and _has_units_alone(point.cell)


def tile_of_units(point: DesignPoint) -> int:
    """How many replicates run together where each unit is a network of its own: whole lanes of them, or one."""
    inputs = 0 if point.drive.is_field else point.drive.dimension
    entries = point.width * max(1 + inputs * len(point.cell_object.gates), point.state_size)
    if LEAST_UNIT_TILE * entries > MOST_UNIT_ENTRIES:
        return 1
    return max(LEAST_UNIT_TILE, 1 << (UNIT_LANES // point.width).bit_length() >> 1)


def _can_be_swept(point: DesignPoint) -> bool:
    """Whether the cell has sweeps, what they keep fits, and there are not too many columns at many horizons."""
    units = point.width * point.layers
    if not SWEPT_FROM <= units <= SWEPT_UP_TO or (units > NARROWED_UP_TO and narrows(point.horizons)):
        return False
    stored = stored_bytes(point)
    return stored is not None and stored <= (MOST_STORED if units >= NARROWED_UP_TO else MOST_STORED_IF_NARROW)


def _is_drawn_as_seen(point: DesignPoint) -> bool:
    """Whether untied matrices are Gaussian, wide, and what is seen of them on the way forward can be kept."""
    if point.width < CONDITIONAL_FROM_WIDTH or seen_bytes(point) > CONDITIONAL_BYTES:
        return False
    from rnnmc.engine.conditional.chain import applies  # needs torch, which takes a second that few plans need

    return applies(point)


def seen_bytes(point: DesignPoint) -> float:
    """What one replicate keeps of untied matrices that are drawn as far as they are seen, on the way forward."""
    size, gates = 4 if point.dtype == "float32" else 8, len(point.cell_object.recurrent)
    return float(point.horizons[-1]) * (ROWS_SEEN + 1) * size * point.width * (gates + 1)


def full_kernel(point: DesignPoint) -> str:
    """The cheapest of those that carry all directions."""
    plain, compiled = plain_kernel(point), compiled_kernel(point)
    if compiled is None:
        return plain
    saved = step_seconds(point, plain) - step_seconds(point, compiled)
    return compiled if saved * point.horizons[-1] * MANY > COMPILING else plain


def compiled_or_plain(point: DesignPoint) -> str:
    """The one for chains that come a few at a time, over and over: compiled wherever it can be, with all directions."""
    return compiled_kernel(point) or plain_kernel(point)


def compiled_kernel(point: DesignPoint) -> str | None:
    """The cheaper of the compiled kernels of this point; None where the cell has no trace, or it is too wide."""
    units = point.width * point.layers
    if work_of(point) is None or units > COMPILED_ROWS_UP_TO_WIDTH:
        return None
    narrow = units <= COMPILED_COLUMNS_UP_TO_WIDTH
    names = ("compiled columns", "compiled rows") if narrow else ("compiled rows",)
    return min(names, key=lambda kernel: step_seconds(point, kernel))


def plain_kernel(point: DesignPoint) -> str:
    """The kernel of this point where none is compiled."""
    return "columns" if point.width <= COLUMNS_UP_TO_WIDTH else "rows"


def replicate_seconds(point: DesignPoint, kernel: str) -> float:
    """Nominal seconds of one replicate: its draws, all steps, and the norms at every horizon."""
    n, gates = point.width, len(point.cell_object.gates)
    recurrent = len(point.cell_object.recurrent) * n * (1 if point.cell_object.diagonal else n)
    drive = gates * n if point.drive.is_field else point.drive.dimension
    recurrent = 0 if kernel == CONDITIONAL else recurrent
    a_step = drive + (recurrent if point.weights == "untied" else 0)
    return chain_seconds(point, kernel) + NORMAL * (recurrent + a_step * point.horizons[-1])


def chain_seconds(point: DesignPoint, kernel: str) -> float:
    """Nominal seconds of the chain of one replicate to its last horizon, with its norms."""
    last, logged, d = point.horizons[-1], len(point.horizons), point.state_size
    if kernel == CONDITIONAL:
        seen = point.width * len(point.cell_object.recurrent) * ROWS_SEEN
        return last * (CONDITIONAL_SWEEPS * 1.1e-8 * seen + 1e-3)
    if kernel == SWEPT:
        return _swept_seconds(point)
    if kernel == UNITS:
        return _unit_seconds(point)
    if kernel == FEW_DIRECTIONS:
        recurrent, size = len(point.cell_object.recurrent), 1 if point.dtype == "float32" else 2
        swept = 2.0 * ROWS_SWEPT * recurrent * point.width**2 / FEW_RATE
        return last * size * (swept + FEW_CALLS * (1 + recurrent))
    return last * step_seconds(point, kernel) + logged * (1e-8 + 2.2e-9 * d**2 + 1e-11 * float(d) ** 3)


def _unit_seconds(point: DesignPoint) -> float:
    """Nominal seconds of one replicate whose units are networks of their own: steps, what comes in, norms of each."""
    one = point.model_copy(update={"width": 1})
    inputs = 0 if point.drive.is_field else 2.0 * point.drive.dimension * len(point.cell_object.gates)
    a_step = step_seconds(one, "compiled columns") + UNIT_STEP + inputs / UNIT_INPUTS
    return point.width * (point.horizons[-1] * a_step + UNIT_NORM * len(point.horizons))


def _swept_seconds(point: DesignPoint) -> float:
    """Nominal seconds of one replicate by compiled sweeps: the state, all directions, and what judges them."""
    recurrent, size = len(point.cell_object.recurrent), 4 if point.dtype == "float32" else 8
    rates, counted = KERNELS["compiled rows"], work_of(point) or _guessed(point)
    a_row = 2.0 * recurrent * point.width**2 / SWEPT_RATE + 10 * rates.entry * point.state_size
    a_state = 3 * a_row + counted.functions * rates.function  # a single row is far from the rate of several
    rows = SWEPT_AGAIN * row_steps(point.horizons, point.state_size)
    replicate, horizon = SWEPT_CALLS
    if narrows(point.horizons):
        replicate += NARROWING * (point.state_size / 2) ** 3
    steps = rows * a_row + point.horizons[-1] * a_state
    return steps * size / 4 + replicate + horizon * len(point.horizons)


def step_seconds(point: DesignPoint, kernel: str) -> float:
    """Nominal seconds of one step of the chain of one replicate, its draws apart."""
    rates, size = KERNELS[kernel], 4 if point.chain_dtype == "float32" else 8
    lanes = LANE_BYTES // size if kernel == "compiled rows" else 1
    counted = work_of(point, lanes) or _guessed(point)
    a_replicate = counted.products / rates.product + counted.functions * rates.function + counted.entries * rates.entry
    if point.units_apart and kernel == "compiled rows":
        a_replicate += OF_A_DIRECTION * point.state_size
    together = min(4096, max(1, (1 << 17) // (point.state_size * point.width)))  # a tile, as in rnnmc.engine.block
    return a_replicate * size / 4 + rates.call * (CALLS_A_STEP + counted.operations) / together


def work_of(point: DesignPoint, lanes: int = 1) -> Work | None:
    """The work of a step as traced, the width rounded up to whole lanes; None where the cell has no trace."""
    return work(point.cell, point.width, lanes, point.layers, point.residual)


@cache
def work(cell: str, width: int, lanes: int = 1, layers: int = 1, residual: bool = False) -> Work | None:
    """`work_of` a cell by name, in so many layers."""
    try:
        program = traced(cell_of(cell, layers, residual))
    except Untraceable:
        return None
    across = -(-width // lanes) * lanes
    rows = {VECTOR: 1, MATRIX: width, ROWS: len(program.cell.parts) * width}
    sizes = {node: rows[node.kind] * across for node in program.nodes() if node.op not in NO_WORK}
    products = sum(2.0 * size * width for node, size in sizes.items() if node.op == "product")
    functions = sum(size for node, size in sizes.items() if node.op in FUNCTIONS)
    entries = sum(size for node, size in sizes.items() if node.op not in (*FUNCTIONS, "product"))
    return Work(products, functions, entries, len(sizes))


def _guessed(point: DesignPoint) -> Work:
    n, d, gates = point.width, point.state_size, len(point.cell_object.gates)
    return Work(2.0 * d * n * n * len(point.cell_object.parts), 3.0 * gates * n, 2.0 * gates * n * n, 20 * gates)
