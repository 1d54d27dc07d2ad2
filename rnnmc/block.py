"""A design point and a block number become an Arrow table: pure, on one thread, the same bits at every call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rnnmc.errors import UsageError
from rnnmc.study import DesignPoint

TILE_ENTRIES = 1 << 17  # directions of a tile that fit the second-level cache, with what is made of them
LARGEST_TILE = 4096
COLUMNS_UP_TO_WIDTH = 8  # measured on one thread: wider than this, a batched matrix multiply is faster
FLOP_A_BLOCK = 1.2e11  # a few seconds on one core
LARGEST_BLOCK = 1 << 16
LARGEST_NUMBER = 2**31 - 1  # of a replicate, a block or a horizon: they are stored in 32 bits

SCHEMA = pa.schema(
    [
        ("point", pa.dictionary(pa.int32(), pa.string())),
        ("block", pa.int32()),
        ("replicate", pa.int32()),
        ("horizon", pa.int32()),
        ("log_spectral", pa.float64()),
        ("log_rms", pa.float64()),
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
        measured = [_run_tiles(point, some, cut.tile, device) for some in together]
    columns = {name: np.concatenate([part[name] for part in measured])[:count] for name in measured[0]}
    return _table(point, block, block * cut.block, columns)


def _run_tiles(point: DesignPoint, tiles: list[tuple[int, int]], replicates: int, device: str) -> dict[str, np.ndarray]:
    """name -> (replicates, horizons) for some tiles that run together.

    Replicates that a float32 chain could not resolve (every unit so saturated that a step's derivative underflows)
    are taken from the same chain in float64: no replicate may seem dead that is not.
    """
    measured = _run_chain(point, tiles, replicates, device, point.dtype)
    lost = ~measured.pop("resolved")[:, -1]
    if point.dtype == "float32" and lost.any():
        again = _run_chain(point, tiles, replicates, device, "float64")
        measured = {name: np.where(lost[:, None], again[name], values) for name, values in measured.items()}
    return measured


def _run_chain(
    point: DesignPoint, tiles: list[tuple[int, int]], replicates: int, device: str, dtype: str
) -> dict[str, np.ndarray]:
    from rnnmc.chain import follow
    from rnnmc.draws import Draws
    from rnnmc.layout import Columns, Rows
    from rnnmc.observables.norms import OBSERVABLE

    layout = Columns() if partition(point).kernel == "columns" else Rows()
    draws = Draws(point, tiles, replicates, layout, device, dtype)
    moments = follow(point.cell_object, layout, draws.steps(), draws.state(), point.horizons)
    measured = [OBSERVABLE.measure(moment) for moment in moments]
    return {name: np.stack([part[name] for part in measured], axis=1) for name in measured[0]}


def _table(point: DesignPoint, block: int, first: int, columns: dict[str, np.ndarray]) -> pa.Table:
    from rnnmc.observables.norms import STATUS

    count, horizons = columns["status"].shape
    rows = count * horizons
    logs = {name: columns[name].ravel() for name in ("log_spectral", "log_rms")}
    if point.dtype == "float32":  # no more digits than were computed, in the one type that every shard has
        logs = {name: values.astype(np.float32).astype(np.float64) for name, values in logs.items()}
    return pa.table(
        {
            "point": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [point.key]),
            "block": np.full(rows, block, np.int32),
            "replicate": np.repeat(np.arange(first, first + count, dtype=np.int32), horizons),
            "horizon": np.tile(np.array(point.horizons, np.int32), count),
            **logs,
            "status": pa.DictionaryArray.from_arrays(columns["status"].ravel(), list(STATUS)),
        },
        schema=SCHEMA,
    )


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
