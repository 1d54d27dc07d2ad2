"""A design point and a block number become an Arrow table: pure, on one thread, the same bits at every call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rnnmc.errors import UsageError
from rnnmc.norms import MEASURES, STATUS
from rnnmc.observables.observable import KEYS, Observable
from rnnmc.study import DesignPoint

TILE_ENTRIES = 1 << 17  # directions of a tile that fit the second-level cache, with what is made of them
LARGEST_TILE = 4096
COLUMNS_UP_TO_WIDTH = 8  # measured on one thread: wider than this, a batched matrix multiply is faster
FLOP_A_BLOCK = 1.2e11  # a few seconds on one core
LARGEST_BLOCK = 1 << 16
LARGEST_NUMBER = 2**31 - 1  # of a replicate, a block or a horizon: they are stored in 32 bits

SAMPLES = "samples"  # the log-norms, beside what the observables of a point give
SCHEMA = pa.schema(
    [
        *KEYS.items(),
        ("horizon", pa.int32()),
        *((measure, pa.float64()) for measure in MEASURES),
        ("status", pa.dictionary(pa.int8(), pa.string())),
    ]
)


@dataclass(frozen=True)
class Partition:
    """How the replicates of a design point are cut up; fixed by the point alone, and part of what is recorded.

    tile: replicates drawn and carried together. block: replicates of a block, a whole number of tiles.
    kernel: the layout that the chain runs in.
    """

    tile: int
    block: int
    kernel: str


def blocks(replicates: int, size: int) -> list[tuple[int, int]]:
    """(block number, replicates wanted of it) for each block of `size` replicates that `replicates` need."""
    return [(i, min(size, replicates - i * size)) for i in range(-(-replicates // size))]


def step_flop(point: DesignPoint) -> float:
    """Rough floating-point work of one step of one replicate, for cutting blocks and for comparing points."""
    n, d, gates = point.width, point.state_size, len(point.cell_object.gates)
    product = 2.0 * d * n * n * (len(point.cell_object.parts) + (gates > 1))
    drawing = 40.0 * gates * n * n if point.weights == "untied" else 0.0
    return product + 60.0 * d * gates + 8.0 * gates * n * n + drawing


def partition(point: DesignPoint) -> Partition:
    """Tile and block sizes of this design point."""
    tile = min(LARGEST_TILE, 1 << max(0, (TILE_ENTRIES // (point.state_size * point.width)).bit_length() - 1))
    group = point.nested.group
    tile = max(1, tile // group) * group  # replicates of one weight draw run together
    wanted = FLOP_A_BLOCK / (step_flop(point) * point.horizons[-1])
    tiles = max(1, round(min(wanted, LARGEST_BLOCK) / tile))
    return Partition(tile, tiles * tile, "columns" if point.width <= COLUMNS_UP_TO_WIDTH else "rows")


def run_block(point: DesignPoint, block: int, replicates: int | None = None, device: str = "cpu") -> pa.Table:
    """The samples of one block: one row for each (replicate, horizon), by replicate, then horizon. Columns: SCHEMA.

    replicates: keep only the first so many of the block; they are the same bits as in the whole block. Log-norms are
    in nats; with a float32 point they are rounded to float32. device: "cpu" or "cuda"; weights and drives are drawn
    on the CPU either way; on a GPU the tiles of a block run together, and equal bits hold for equal counts only.
    Raises UsageError for a block or count that cannot be, or a device that is not there.
    """
    return _tables(point, block, replicates, device, ())[SAMPLES]


def observe_block(
    point: DesignPoint, block: int, replicates: int | None = None, device: str = "cpu"
) -> dict[str, pa.Table]:
    """The samples of one block, under "samples", and what each observable of the point saw, under its name.

    The samples are those of `run_block`, bit by bit, and arguments and errors are the same. Rows are by replicate,
    then as `Observable.index` says.
    """
    return _tables(point, block, replicates, device, point.observables if isinstance(point, DesignPoint) else ())


def _tables(
    point: DesignPoint, block: int, replicates: int | None, device: str, observables: tuple[Observable, ...]
) -> dict[str, pa.Table]:
    if not isinstance(point, DesignPoint):
        raise UsageError(f"run_block: {point!r} is not a design point; give an rnnmc.DesignPoint")
    cut = partition(point)
    count = cut.block if replicates is None else replicates
    last = LARGEST_NUMBER // cut.block - 1
    if type(block) is not int or type(count) is not int or not (0 <= block <= last and 1 <= count <= cut.block):
        raise UsageError(
            f"run_block: block {block!r}, replicates {count!r} is not possible; "
            f"give a block from 0 to {last} and from 1 to {cut.block} replicates"
        )
    with _one_thread(device):
        tiles = [(block, tile) for tile in range(-(-count // cut.tile))]
        together = [tiles] if device == "cuda" else [[tile] for tile in tiles]
        measured = [_run_tiles(point, some, cut.tile, device, observables) for some in together]
    kinds = {
        kind: {
            column: np.concatenate([part[kind][column] for part in measured])[:count] for column in measured[0][kind]
        }
        for kind in measured[0]
    }
    replicate = np.arange(block * cut.block, block * cut.block + count, dtype=np.int32)
    index = {"horizon": np.array(point.horizons, np.int32)}
    tables = {SAMPLES: _table(point, block, replicate, index, kinds[SAMPLES], SCHEMA)}
    for observable in observables:
        columns, schema = kinds[observable.name], observable.schema()
        tables[observable.name] = _table(point, block, replicate, observable.index(point), columns, schema)
    return tables


Kinds = dict[str, dict[str, np.ndarray]]  # samples or observable -> column -> (replicates, rows a replicate, ...)


def _run_tiles(
    point: DesignPoint, tiles: list[tuple[int, int]], replicates: int, device: str, observables: tuple[Observable, ...]
) -> Kinds:
    """What some tiles that run together give.

    Replicates that a float32 chain could not resolve (every unit so saturated that a step's derivative underflows), or
    that an observable could not, are taken from the same chain in float64: none may seem dead that is not.
    """
    measured, lost = _run_chain(point, tiles, replicates, device, point.dtype, observables)
    if point.dtype == "float32" and lost.any():
        again, _ = _run_chain(point, tiles, replicates, device, "float64", observables)
        for kind, columns in measured.items():
            for name, values in columns.items():
                values[lost] = again[kind][name][lost]
    return measured


def _run_chain(
    point: DesignPoint,
    tiles: list[tuple[int, int]],
    replicates: int,
    device: str,
    dtype: str,
    observables: tuple[Observable, ...],
) -> tuple[Kinds, np.ndarray]:
    """(what was measured, (R,) bool: replicates that the dtype could not resolve)."""
    from rnnmc.chain import follow
    from rnnmc.draws import Draws
    from rnnmc.layout import Columns, Rows
    from rnnmc.norms import norms

    layout = Columns() if partition(point).kernel == "columns" else Rows()
    draws = Draws(point, tiles, replicates, layout, device, dtype)
    start = draws.state()
    watches = {one.name: one.watch(point, layout, start, draws.streams(one.name)) for one in observables}
    moments = follow(point.cell_object, layout, draws.steps(), start, point.horizons, list(watches.values()))
    measured = [norms(moment) for moment in moments]
    samples = {name: np.stack([part[name] for part in measured], axis=1) for name in measured[0]}
    lost = ~samples.pop("resolved")[:, -1]
    kinds = {SAMPLES: samples} | {name: watch.values() for name, watch in watches.items()}
    for columns in kinds.values():
        lost = lost | ~columns.pop("resolved", np.array(True))
    return kinds, lost


def _table(
    point: DesignPoint,
    block: int,
    replicate: np.ndarray,
    index: dict[str, np.ndarray],
    values: dict[str, np.ndarray],
    schema: pa.Schema,
) -> pa.Table:
    """Rows by replicate, then as `index` goes; floating-point values with no more digits than were computed."""
    rows = len(next(iter(index.values())))
    columns: dict[str, pa.Array] = {
        "point": pa.DictionaryArray.from_arrays(np.zeros(len(replicate) * rows, np.int32), [point.key]),
        "block": pa.array(np.full(len(replicate) * rows, block, np.int32)),
        "replicate": pa.array(np.repeat(replicate, rows)),
    }
    for name, labels in index.items():
        columns[name] = pa.array(np.tile(labels, len(replicate)), schema.field(name).type)
    for name, numbers in values.items():
        columns[name] = _column(numbers, schema.field(name).type, point.dtype)
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _column(numbers: np.ndarray, kind: pa.DataType, dtype: str) -> pa.Array:
    """(replicates, rows, ...) as one Arrow column; null where an observable gives NaN, or -1 for a whole number."""
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(numbers.ravel(), list(STATUS))
    if numbers.dtype.kind == "f" and dtype == "float32":
        numbers = numbers.astype(np.float32).astype(np.float64)
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel(), kind.value_type), kind.list_size)
    flat = numbers.ravel()
    return pa.array(flat, kind, mask=np.isnan(flat) if numbers.dtype.kind == "f" else flat == -1)


@contextmanager
def _one_thread(device: str) -> Iterator[None]:
    """One thread, no gradients: a split over threads would move vector tails, and with them the last bits."""
    import torch

    if device not in ("cpu", "cuda"):
        raise UsageError(f"device: {device!r} is not known; give cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "no CUDA device on this machine; run with --device cpu, or give RAY_ADDRESS of a cluster that has one"
        )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(threads)
