"""A study of random walks, for checks that need tables of statistics but no recurrent network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from rnnmc.statistics.point import point_statistics
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import PlannedPoint
from rnnmc.theory.beside import COLUMNS

HORIZONS = (1, 10, 100, 1000)
REPLICATES = 200
VANISH, EXPLODE = 1e-3, 1e3
Tables = tuple[pl.DataFrame, pl.DataFrame]  # rows of points.parquet, of statistics.parquet


def planned(point: DesignPoint) -> PlannedPoint:
    """The design point with as many replicates as a study that is made up has of it."""
    return PlannedPoint(point=point, replicates=REPLICATES)


def rows_of_points(points: Iterable[PlannedPoint]) -> pl.DataFrame:
    """Rows of points.parquet, but for how the work was cut up."""
    rows = [one.row() for one in points]
    return pl.DataFrame(rows, schema_overrides={"half_width": pl.Float64}, infer_schema_length=None)


def samples_of(log_norm: np.ndarray, horizons: Sequence[int], key: str) -> pl.DataFrame:
    """Samples with these finite log-norms, (replicates, horizons) in nats; the RMS norm is half a nat less."""
    replicates, number = log_norm.shape
    return pl.DataFrame(
        {
            "point": pl.Series([key], dtype=pl.Categorical).new_from_index(0, replicates * number),
            "block": pl.Series([0], dtype=pl.Int32).new_from_index(0, replicates * number),
            "replicate": pl.Series(np.repeat(np.arange(replicates), number), dtype=pl.Int32),
            "horizon": pl.Series(np.tile(horizons, replicates), dtype=pl.Int32),
            "log_spectral": log_norm.ravel(),
            "log_rms": log_norm.ravel() - 0.5,
            "status": pl.Series(["ok"] * replicates * number, dtype=pl.Enum(["ok", "dead", "overflow"])),
        }
    )


def study_of(points: Sequence[PlannedPoint], rate: Callable[[DesignPoint], float], spread: float = 0.2) -> Tables:
    """Points, and statistics of walks: `rate(point)` nats a step, spread nats a root step.

    Theory says of each its rate, and the onset 1.5.
    """
    tables, rng = [], np.random.default_rng(0)
    for point in (one.point for one in points):
        steps, drift = np.array(point.horizons, float), rate(point)
        noise = rng.standard_normal((REPLICATES, len(steps))) * np.sqrt(np.diff(steps, prepend=0.0))
        walk = drift * steps + spread * noise.cumsum(axis=1)
        theory: dict[str, Any] = dict.fromkeys(COLUMNS) | {
            "theory_growth_rate": drift, "theory_growth_rate_error": 0.0, "theory_growth_law": "walk",
            "theory_growth_exact": False, "theory_onset_gain": 1.5,
        }  # fmt: skip
        told = [pl.lit(value, COLUMNS[name]).alias(name) for name, value in theory.items()]
        samples = samples_of(walk, point.horizons, point.key)
        tables.append(point_statistics(samples, VANISH, EXPLODE).with_columns(told))
    return rows_of_points(points), pl.concat(tables)


@cache
def varied() -> Tables:
    """A study over gains, fields, widths, weights and initialisations: an analysis finds in it what it needs."""
    points = [
        DesignPoint(
            cell=cell, width=width, drive="field", weights=weights, horizons=HORIZONS,
            init={"recurrent": {"gaussian": gain}, "input": {"gaussian": field}},
        )
        for cell, weights in (("tanh", "tied"), ("lstm", "untied"))
        for width in (4, 8, 16)
        for gain in (0.5, 1.0, 2.0, 4.0)
        for field in (0.25, 0.5, 1.0)
    ]  # fmt: skip
    points += [DesignPoint(cell=cell, width=8, init="pytorch", horizons=HORIZONS) for cell in ("tanh", "gru")]

    def rate(point: DesignPoint) -> float:
        law = point.init.roles.get("recurrent", {}).get("every")
        gain = float(getattr(law, "gain", 1.0))
        return 0.02 * np.log(gain / 1.5) + 0.01 / point.width

    return study_of([planned(point) for point in points], rate)


def without_rows(tables: Tables) -> Tables:
    """The same tables, empty."""
    return tables[0].clear(), tables[1].clear()
