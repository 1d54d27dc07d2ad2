"""An observable against what every observable promises: it looks on, its rows, and that no replicate feels another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from rnnmc.common.checks import CheckResult, Mistake, checked, described, hold, written
from rnnmc.common.errors import UsageError
from rnnmc.observables.observable import KEYS, Observable
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import PlannedPoint

if TYPE_CHECKING:
    from rnnmc.chain.product import Moment

REPLICATES = 6
SeenByPoint = dict[str, dict[str, pa.Table]]  # key of a design point -> its samples and what an observable saw
INIT = {"recurrent": {"gaussian": 1.2}, "input": {"gaussian": 0.5}}
RING = {"recurrent": {"ring": {"outer": 1.0, "inner": 0.9}}}
SAID: dict[str, Any] = {"width": 24, "state_std": 0.5, "drive": "white", "dtype": "float64", "horizons": (1, 4, 12)}
EXAMPLES: tuple[dict[str, Any], ...] = (  # what it does not take, it refuses
    *(SAID | {"cell": cell, "init": INIT} for cell in ("lstm", "gru", "tanh")),
    SAID | {"cell": "lru", "init": RING},
    SAID | {"cell": "gru_output_gated", "init": INIT, "weights": "untied"},
)


def check_observable(observable: Observable, points: tuple[dict[str, Any], ...] = EXAMPLES) -> list[CheckResult]:
    """The results of every check of this observable; never raises for a mistake of it.

    points: where it is to look, as a study file says them, beside its own examples; those that it refuses are left out.
    Chains are of float64.
    """
    fit: list[DesignPoint] = []
    seen: SeenByPoint = {}

    def accepted() -> None:
        fit.extend(
            point for said in (*observable.examples, *points) if (point := _looking(observable, said)) is not None
        )
        hold(bool(fit), "it refuses every point of these checks")

    def over(check, *more: SeenByPoint) -> Any:
        def each() -> Iterator[float]:
            hold(bool(fit), "there is no point to look at")
            for point in fit:
                yield from check(observable, point, *more) or ()

        return each

    small = 1e-9  # of rounding, in chains of float64
    return [
        described(observable, "name", "formula", "source"),
        written(observable),
        checked("points", "it serves some design points, and refuses others by ValueError", accepted),
        checked("rows", "`index` gives each label, as many rows as it has, each another", over(_rows)),
        checked("schema", "`values` gives the columns of the schema, a value a row of the index", over(_schema, seen)),
        checked("looks on", "the samples are the same bits as without it", over(_looks_on, seen)),
        checked("draws", "looking twice gives the same bits", over(_twice)),
        checked("batch", "no replicate feels the others of its batch", over(_batch), small),
        checked("layouts", "the order of the axes in memory changes nothing", over(_layouts), small),
        checked("summary", "its samples come to a table of statistics", over(_summary, seen)),
    ]


def looked(
    said: Mapping[str, Any], observables: tuple[Observable, ...], replicates: int = REPLICATES
) -> tuple[PlannedPoint, dict[str, pa.Table]]:
    """(the planned point that a study file would say so, what these observables see there and its samples).

    Raises UsageError where one of them refuses the point.
    """
    from rnnmc.engine.block import observe_block

    planned = PlannedPoint.checked(point=DesignPoint(**said), replicates=replicates, observables=observables)
    return planned, observe_block(planned.point, 0, planned.observables, replicates)


def _looking(observable: Observable, said: dict[str, Any]) -> DesignPoint | None:
    point = DesignPoint(**said)
    try:
        observable.check(point)
    except ValueError:
        return None
    return point


def _seen(observable: Observable, point: DesignPoint, known: SeenByPoint) -> dict[str, pa.Table]:
    """What `looked` gives; asked for once a point."""
    if point.key in known:
        return known[point.key]
    said = {name: getattr(point, name) for name in DesignPoint.model_fields}
    try:
        known[point.key] = looked(said, (observable,))[1]
    except UsageError as error:
        raise Mistake(str(error)) from None
    return known[point.key]


def _rows(observable: Observable, point: DesignPoint) -> None:
    index = observable.index(point)
    hold(set(index) == set(observable.labels), f"the labels are {', '.join(index)}, not {', '.join(observable.labels)}")
    hold(not {*KEYS, *observable.labels} & set(observable.columns), "a column has the name of a key or label")
    hold(len({len(values) for values in index.values()}) == 1, "its labels have not the same number of rows")
    rows = list(zip(*(list(values) for values in index.values()), strict=True))
    hold(len(rows) > 0, f"it has no rows at {point.label}")
    hold(len(set(rows)) == len(rows), f"two rows have the same labels at {point.label}")


def _schema(observable: Observable, point: DesignPoint, seen: SeenByPoint) -> None:
    values, rows = _watched(observable, point, [0]), len(next(iter(observable.index(point).values())))
    names = set(values) - {"resolved"}
    hold(names == set(observable.columns), f"the columns are {', '.join(sorted(names))}")
    for name in names:
        shape = values[name].shape[:2]
        hold(shape == (REPLICATES, rows), f"{name} is {shape} at {point.label}, not {(REPLICATES, rows)}")
    table = _seen(observable, point, seen)[observable.name]
    hold(table.schema == observable.schema(), f"what is stored has the columns {', '.join(table.schema.names)}")


def _looks_on(observable: Observable, point: DesignPoint, seen: SeenByPoint) -> None:
    from rnnmc.engine.block import run_block

    samples = _seen(observable, point, seen)["samples"]
    hold(samples.equals(run_block(point, 0, REPLICATES)), f"the samples of {point.label} are others")
    # a compiled chain keeps its state to itself; on the plain engine the watch is shown the chain's own tensors
    (alone, _), (beside, _) = (_followed(one, point, [0], "rows") for one in (None, observable))
    same = alone.product.equal(beside.product) and alone.exponent.equal(beside.exponent)
    hold(same, f"the chain of {point.label} is another on the plain engine")


def _twice(observable: Observable, point: DesignPoint) -> Iterator[float]:
    yield from _apart(_watched(observable, point, [0]), _watched(observable, point, [0]))


def _batch(observable: Observable, point: DesignPoint) -> Iterator[float]:
    """Beside other replicates, which come after them, or alone."""
    alone = _watched(observable, point, [0])
    for others in ([1], [2, 3]):
        beside = _watched(observable, point, [0, *others])
        yield from _apart({name: found[:REPLICATES] for name, found in beside.items()}, alone)


def _layouts(observable: Observable, point: DesignPoint) -> Iterator[float]:
    yield from _apart(_watched(observable, point, [0], "columns"), _watched(observable, point, [0], "rows"))


def _summary(observable: Observable, point: DesignPoint, seen: SeenByPoint) -> None:
    import polars as pl

    from rnnmc.statistics.summaries import Settings, summed_up

    samples = pl.DataFrame(pl.from_arrow(_seen(observable, point, seen)[observable.name]))
    table = summed_up(observable, samples, Settings(1e-3, 1e3), point)
    hold(table.height > 0 and "point" in table.columns, "the summary has no rows with their point")


def _watched(
    observable: Observable, point: DesignPoint, tiles: list[int], layout: str = "rows"
) -> dict[str, np.ndarray]:
    """column -> (R, m): what it sees on the plain engine over these tiles of REPLICATES replicates each."""
    return _followed(observable, point, tiles, layout)[1]


def _followed(
    observable: Observable | None, point: DesignPoint, tiles: list[int], layout: str
) -> tuple[Moment, dict[str, np.ndarray]]:
    """(the chain at its last horizon, what the observable has seen of it)."""
    import torch

    from rnnmc.chain.product import follow
    from rnnmc.engine.draws import Draws
    from rnnmc.numerics.layout import Columns, Rows

    with torch.no_grad():
        laid = Rows() if layout == "rows" else Columns()
        draws = Draws(point, [(0, tile) for tile in tiles], REPLICATES, laid, "cpu")
        start = draws.state()
        watches = [] if observable is None else [observable.watch(point, laid, start, draws.streams(observable.name))]
        *_, last = follow(point.cell_object, laid, draws.steps(), start, point.horizons, watches, apart=draws.apart)
        return last, {name: values for watch in watches for name, values in watch.values().items()}


def _apart(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> Iterator[float]:
    """Errors of one replicate after the other, relative where values are above 1; what is not finite must agree."""
    for name, values in wanted.items():
        hold(found[name].shape == values.shape, f"{name} has the shape {found[name].shape}, not {values.shape}")
        one, other = found[name].astype(float), values.astype(float)
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        with np.errstate(invalid="ignore"):
            error = np.where(same, 0.0, np.abs(one - other) / np.maximum(1.0, np.abs(other)))
        yield float(np.where(np.isnan(error), np.inf, error).max(initial=0.0))
