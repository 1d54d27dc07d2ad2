"""The usual summary of an observable: mean, deviation and quantiles over replicates, for each of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rnnmc.common.arrays import Floats
from rnnmc.observables.observable import Observable
from rnnmc.statistics.point import PERCENTS
from rnnmc.statistics.resampling import share_intervals, shares, sums_by_draw
from rnnmc.study.point import DesignPoint


@dataclass(frozen=True)
class Settings:
    """How to count: thresholds on the norm, kind and level of intervals, replicates that share one weight draw."""

    vanish: float
    explode: float
    interval: str = "wilson"
    level: float = 0.95
    group: int = 1


class Summary:
    """Subclass it for an observable that needs more, with the name of that observable; the instance is `SUMMARY`."""

    name: ClassVar[str]

    def summarise(self, observable: Observable, samples: pl.DataFrame, settings: Settings) -> pl.DataFrame:
        """One row for each (row of a replicate, value column) of one design point.

        samples: whole replicates one after another, each with the same rows. Columns: point, the labels,
        quantity (name of the value column), replicates, finite (how many are finite numbers), mean, deviation
        (ddof = 1), error (of the mean, from the means of weight draws), all three over finite values; q05 to q95
        over all values, infinities included (order statistics that never interpolate). All are null where a value is:
        the rest are no fair sample; and so are the first three where a value is +inf, an overflow.
        """
        rows = rows_a_replicate(samples)
        labels = samples.head(rows).select(pl.col("point").cast(pl.String), *observable.labels)
        frames = []
        for name in observable.columns:
            values = rectangle(samples, name, rows)
            numbers = moments(values, settings.group) | quantiles(values)
            quantity = pl.lit(name).alias("quantity")
            counts = pl.lit(len(values), pl.Int64).alias("replicates")
            frames.append(labels.with_columns(quantity, counts, *(pl.Series(k, v) for k, v in numbers.items())))
        return pl.concat(frames)

    def beside(self, point: DesignPoint, summary: pl.DataFrame) -> pl.DataFrame:
        """The summary of one design point with what theory says of it; as it is where no law is known."""
        return summary


def rows_a_replicate(samples: pl.DataFrame) -> int:
    """How many rows each replicate has. Raises ValueError where they are not whole replicates one after another."""
    replicates = samples.select(pl.struct("block", "replicate").n_unique()).item()
    rows = samples.height // max(replicates, 1)
    owner = samples["replicate"].to_numpy()
    if not replicates or samples.height % rows or np.any(owner.reshape(-1, rows) != owner[::rows, None]):
        raise ValueError("not every replicate has the same rows; a block is missing or cut off (rnnmc verify names it)")
    return rows


def rectangle(samples: pl.DataFrame, column: str, rows: int) -> Floats:
    """(replicates, rows) values of one column, NaN where null."""
    return samples[column].cast(pl.Float64).to_numpy().reshape(-1, rows)


def moments(values: Floats, group: int = 1) -> dict[str, pl.Series]:
    """finite, mean, deviation and error of the mean over the finite values, each (rows,); null where undefined.

    values: (replicates, rows), NaN where not known. error: from weight draws of `group` replicates each, which are
    independent; of those with a finite value, of which there must be two.
    """
    finite, unknown = np.isfinite(values), (np.isnan(values) | (values == np.inf)).any(axis=0)
    number = finite.sum(axis=0)
    kept = np.where(finite, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = kept.sum(axis=0) / number
        away = np.where(finite, values - mean, 0.0)
        deviation = np.where(number > 1, np.sqrt((away**2).sum(axis=0) / (number - 1)), np.nan)
        by_draw = sums_by_draw(away, group)
        draws = np.count_nonzero(sums_by_draw(finite, group), axis=0)
        error = np.where(draws > 1, np.sqrt((by_draw**2).sum(axis=0) * draws / (draws - 1)) / number, np.nan)
    numbers = {"mean": mean, "deviation": deviation, "error": error}
    known = {
        name: pl.Series(np.where(np.isfinite(found) & ~unknown, found, np.nan), nan_to_null=True)
        for name, found in numbers.items()
    }
    return {"finite": pl.Series(number.astype(np.int64)), **known}


def quantiles(values: Floats) -> dict[str, pl.Series]:
    """`q05` ... `q95`, each (rows,): the smallest value that at least this share does not exceed; null beside a NaN."""
    ordered = np.sort(values, axis=0)  # NaN last
    unknown = np.isnan(ordered[-1])
    ranks = {percent: max(-(-len(values) * percent // 100) - 1, 0) for percent in PERCENTS}
    return {
        f"q{percent:02d}": pl.Series(np.where(unknown, np.nan, ordered[rank]), nan_to_null=True)
        for percent, rank in ranks.items()
    }


def probability(name: str, flags: NDArray[np.bool_], settings: Settings) -> dict[str, NDArray]:
    """`<name>_count`, `p_<name>`, `p_<name>_low`, `p_<name>_high` of an event over replicates, each (rows,).

    flags: (replicates, rows). The interval is of the settings' kind and level, and heeds shared weight draws.
    """
    found = shares([flags], settings.group)
    low, high = share_intervals(found, (1 - settings.level) / 2, settings.interval)
    count = found.count[0]
    p = f"p_{name}"
    return {f"{name}_count": count.astype(np.int64), p: count / len(flags), f"{p}_low": low[0], f"{p}_high": high[0]}
