"""A design point and a block number become an Arrow table: pure, on one thread, the same bits at every call."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from rnnmc.chain.norms import MEASURES, SPECTRAL, STATUS, TANGENT
from rnnmc.common.errors import UsageError
from rnnmc.engine.choice import (
    CONDITIONAL,
    CONDITIONAL_BYTES,
    CONDITIONAL_FROM_WIDTH,
    FEW_DIRECTIONS,
    SWEPT,
    UNIT_BLOCK_SECONDS,
    UNITS,
    cached_tile,
    compiled_or_plain,
    kernel_of,
    replicate_seconds,
    seen_bytes,
    tile_of_units,
)
from rnnmc.engine.splitting.population import KEEP, MOVES_A_STATE
from rnnmc.engine.swept.plan import tile_of
from rnnmc.numerics.threads import one_thread
from rnnmc.observables.observable import KEYS, Observable
from rnnmc.study.point import DesignPoint

if TYPE_CHECKING:
    from rnnmc.chain.product import Watch

ROWS_OF_UNITS = {FEW_DIRECTIONS: 2048, CONDITIONAL: 8192}  # units of a tile where a few directions are carried
LARGEST_BLOCK = 1 << 16
BLOCK_SECONDS = 3.0  # nominal, on one core: long beside what a task costs, short beside what a study takes
PATIENT_SECONDS = 10.0  # of a block whose shard would else be smaller than SHARD_BYTES
SHARD_BYTES = 1e6
BYTES_A_ROW = 8.0  # measured on the default study, compressed
LARGEST_NUMBER = 2**31 - 1  # of a replicate, a block or a horizon: they are stored in 32 bits

ERRORS = ("log_spectral_error", "log_rms_error")  # nats; null where nothing but rounding stands between it and the law,
# infinite where units are apart and a step has shrunk one beyond the range of float64: the norm may be higher
SAMPLES = "samples"  # the log-norms, beside what the observables of a point give
SCHEMA = pa.schema(
    [
        *KEYS.items(),
        ("horizon", pa.int32()),
        *((name, pa.float64()) for name in (*MEASURES, *ERRORS)),
        ("status", pa.dictionary(pa.int8(), pa.string())),
        (TANGENT, pa.float64()),
    ]
)


@dataclass(frozen=True)
class Partition:
    """How the replicates of a design point are cut up; fixed by the point alone, and part of what is recorded.

    tile: replicates drawn and carried together. block: replicates of a block, a whole number of tiles.
    kernel: that the chain runs on, see `rnnmc.engine`; without a C compiler, the plain engine in the same layout.
    """

    tile: int
    block: int
    kernel: str


def blocks(replicates: int, size: int) -> list[tuple[int, int]]:
    """(block number, replicates wanted of it) for each block of `size` replicates that `replicates` need."""
    return [(i, min(size, replicates - i * size)) for i in range(-(-replicates // size))]


def partition(point: DesignPoint, observables: tuple[Observable, ...] = ()) -> Partition:
    """Tile and block sizes of this design point, and the kernel that is planned for it; the same whatever looks on.

    Raises UsageError where these observables cannot look on as it runs.
    """
    tile = cached_tile(point)
    group = point.nested.group
    kernel = kernel_of(point)
    if kernel == CONDITIONAL and observables:
        raise UsageError(
            f"observables: {observables[0].name} needs whole recurrent matrices, and untied Gaussian ones of "
            f"width {point.width} are never formed; leave it out, or give a width below {CONDITIONAL_FROM_WIDTH}"
        )
    if point.splitting:  # a block is a population
        if observables:
            raise UsageError(f"observables: {observables[0].name} looks at plain replicates; leave it out of splitting")
        return Partition(point.splitting.particles, 1, compiled_or_plain(point))
    if few := ROWS_OF_UNITS.get(kernel):  # their rows are few, and more replicates share the calls
        tile = max(1, few // point.width)
    if kernel == SWEPT:  # what is kept of the steps of a tile must fit the cache
        tile = tile_of(point)
    if kernel == UNITS:
        tile = tile_of_units(point)
    if kernel == CONDITIONAL:  # what a tile keeps of its matrices must fit together
        tile = min(tile, int(CONDITIONAL_BYTES / seen_bytes(point)))
    tile = max(1, tile // group) * group  # replicates of one weight draw run together
    a_replicate = replicate_seconds(point, kernel)
    stored = SHARD_BYTES / (BYTES_A_ROW * len(point.horizons))
    if kernel == UNITS:
        wanted = UNIT_BLOCK_SECONDS / a_replicate
    else:
        wanted = max(BLOCK_SECONDS / a_replicate, min(PATIENT_SECONDS / a_replicate, stored))
    return Partition(tile, max(1, round(min(wanted, LARGEST_BLOCK) / tile)) * tile, kernel)


def block_seconds(point: DesignPoint, replicates: int, cut: Partition) -> float:
    """Nominal seconds of so many replicates of this point on one core, for comparing blocks."""
    return replicates * chains_of(point) * replicate_seconds(point, cut.kernel)


def chains_of(point: DesignPoint) -> int:
    """Chains that stand behind a replicate: of a population as many as the smallest probability takes."""
    if point.splitting is None:
        return 1
    levels = math.log(point.splitting.smallest) / math.log(KEEP)
    return round(point.splitting.particles * (1 + (1 - KEEP) * MOVES_A_STATE * levels))


def run_block(
    point: DesignPoint, block: int, replicates: int | None = None, device: str = "cpu", cut: Partition | None = None
) -> pa.Table:
    """The samples of one block: one row for each (replicate, horizon), by replicate, then horizon. Columns: SCHEMA.

    Of a point with splitting it is the population of this number: see `rnnmc.engine.splitting.run.population_table`.

    replicates: keep only the first so many of the block; they are the same bits as in the whole block. Log-norms are
    in nats; with a float32 point they are rounded to float32. device: "cpu" or "cuda"; weights and drives are drawn
    on the CPU either way; on a GPU the tiles of a block run together, and equal bits hold for equal counts only.
    cut: another partition than `partition` gives; other numbers of the same law. A cell of one's own is not checked
    here, as it is in `rnnmc.measure`. Raises UsageError for a block or count that cannot be, or a device that is not
    there.
    """
    return observe_block(point, block, (), replicates, device, cut)[SAMPLES]


def observe_block(
    point: DesignPoint,
    block: int,
    observables: tuple[Observable, ...],
    replicates: int | None = None,
    device: str = "cpu",
    cut: Partition | None = None,
    over: Callable[..., Iterable[Any]] = map,
) -> dict[str, pa.Table]:
    """The samples of one block, under "samples", and what each observable saw, under its name.

    The samples are those of `run_block`, bit by bit, and arguments and errors are the same. Rows are by replicate,
    then as `Observable.index` says. over: what runs a function over all tiles, and yields in their order what it gives;
    tiles know nothing of each other, so that a pool of threads gives the same.
    """
    if not isinstance(point, DesignPoint):
        raise UsageError(f"run_block: {point!r} is not a design point; give an rnnmc.DesignPoint")
    cut = cut or partition(point, observables)
    count = cut.block if replicates is None else replicates
    last = LARGEST_NUMBER // cut.block - 1
    if type(block) is not int or type(count) is not int or not (0 <= block <= last and 1 <= count <= cut.block):
        raise UsageError(
            f"run_block: block {block!r}, replicates {count!r} is not possible; "
            f"give a block from 0 to {last} and from 1 to {cut.block} replicates"
        )
    _check(device)
    if point.splitting:
        from rnnmc.engine.splitting.run import population_table

        return {SAMPLES: population_table(point, block)}

    def run(some: list[tuple[int, int]]) -> Kinds:
        with one_thread():
            return _run_tiles(point, some, cut, device, observables, count - some[0][1] * cut.tile)

    with one_thread():
        tiles = [(block, tile) for tile in range(-(-count // cut.tile))]
        measured = list(over(run, [tiles] if device == "cuda" else [[tile] for tile in tiles]))
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


def run_trial(
    point: DesignPoint, cut: Partition, horizons: tuple[int, ...], looking: tuple[Observable, ...] | None = None
) -> None:
    """One tile of this point to other horizons, on the kernel that the point has as it stands: for timing.

    looking: these observables look on, and where a few directions give the norms, no norm is found.
    """
    other = point.model_copy(update={"horizons": horizons})
    with one_thread():
        if looking is None:
            _run_chain(other, [(0, 0)], cut, "cpu", point.chain_dtype, (), cut.tile)
        else:
            _, watches = _followed(other, [(0, 0)], cut, cut.kernel, "cpu", point.chain_dtype, looking, cut.tile)
            for watch in watches.values():
                watch.values()


Kinds = dict[str, dict[str, np.ndarray]]  # samples or observable -> column -> (replicates, rows a replicate, ...)


def _run_tiles(
    point: DesignPoint,
    tiles: list[tuple[int, int]],
    cut: Partition,
    device: str,
    observables: tuple[Observable, ...],
    wanted: int,
) -> Kinds:
    """What some tiles that run together give; of the replicates after the first `wanted` nothing is kept.

    Replicates that a float32 chain could not resolve (units so saturated that a step's derivative underflows), or
    that an observable could not, are taken from the same chain in float64: none may seem dead that is not.
    """
    measured, lost = _run_chain(point, tiles, cut, device, point.chain_dtype, observables, wanted)
    if point.chain_dtype == "float32" and lost.any():
        again, _ = _run_chain(point, tiles, cut, device, "float64", observables, wanted)
        for kind, columns in measured.items():
            for name, values in columns.items():
                values[lost] = again[kind][name][lost]
    samples = measured[SAMPLES]
    wrong = (samples["status"] == STATUS.index("ok")) != np.isfinite(samples[SPECTRAL])
    if wrong.any():
        raise FloatingPointError(f"{SPECTRAL} contradicts status in {np.count_nonzero(wrong)} rows; tell us, please")
    return measured


def _run_chain(
    point: DesignPoint,
    tiles: list[tuple[int, int]],
    cut: Partition,
    device: str,
    dtype: str,
    observables: tuple[Observable, ...],
    wanted: int,
) -> tuple[Kinds, np.ndarray]:
    """(what was measured, (R,) bool: replicates that the dtype could not resolve)."""
    from rnnmc.engine.run import made_by, norms_without_columns

    kernel = made_by(point, device, cut.kernel, dtype)
    few = norms_without_columns(kernel)
    samples, watches = few(point, tiles, cut.tile, device, dtype) if few else {}, {}
    if observables or not few:
        followed, watches = _followed(point, tiles, cut, kernel, device, dtype, observables, wanted)
        samples = samples or followed
    samples = {name: np.full(samples["log_rms"].shape, np.nan) for name in ERRORS} | samples
    resolved = samples.pop("resolved")
    for name in ERRORS if point.units_apart else ():
        samples[name] = np.where(resolved, samples[name], np.inf)  # of float32 until float64 takes its place
    lost = ~resolved[:, -1]
    kinds = {SAMPLES: samples} | {name: watch.values() for name, watch in watches.items()}
    for columns in kinds.values():
        lost = lost | ~columns.pop("resolved", np.array(True))
    return kinds, lost


def _followed(
    point: DesignPoint,
    tiles: list[tuple[int, int]],
    cut: Partition,
    kernel: str,
    device: str,
    dtype: str,
    observables: tuple[Observable, ...],
    wanted: int,
) -> tuple[dict[str, np.ndarray], dict[str, Watch]]:
    """(norms, watches that have looked on) of these draws; where a few directions give the norms, there are none."""
    from rnnmc.chain.norms import log_norms
    from rnnmc.engine.draws import OWN_STREAMS, Draws
    from rnnmc.engine.run import layout_of, moments, norms_without_columns, state_alone
    from rnnmc.numerics.norms import norms_of

    draws = Draws(point, tiles, cut.tile, layout_of(kernel), device, dtype)
    start = draws.state()
    for one in observables:
        if one.name in OWN_STREAMS:
            raise UsageError(f"observables: {one.name} is the name of a stream of draws; give it another name")
    watches = {one.name: one.watch(point, draws.layout, start, draws.streams(one.name)) for one in observables}
    for watch in watches.values():
        if hasattr(watch, "wanted"):
            watch.wanted = wanted  # pyright: ignore[reportAttributeAccessIssue]
    looking, few = list(watches.values()), norms_without_columns(kernel)
    if few and not any(one.whole_chain for one in observables):
        state_alone(draws, point.horizons, looking)
        return {}, watches
    chain = moments(kernel, draws, point.horizons, looking)
    if few:
        deque(chain, maxlen=0)
        return {}, watches
    tangent = draws.tangent()
    measured = [log_norms(moment, norms_of, tangent) for moment in chain]
    return {name: np.stack([part[name] for part in measured], axis=1) for name in measured[0]}, watches


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


def _check(device: str) -> None:
    """Raise UsageError where there is no such device."""
    import torch

    if device not in ("cpu", "cuda"):
        raise UsageError(f"device: {device!r} is not known; give cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "no CUDA device on this machine; run with --device cpu, or give RAY_ADDRESS of a cluster that has one"
        )
