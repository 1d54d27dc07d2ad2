"""When replicates first vanish or explode: quantiles of first passage, vanishing and exploding as competing risks.

A replicate has done whichever its norm did first. All are followed to the last horizon, so that nothing is
censored and the cumulative incidence is the plain share of all replicates, as Aalen and Johansen's estimator gives it;
1 - Kaplan-Meier of one risk alone would be too high. physics.md sections 3.6 and 8.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rnnmc.resampling import share_intervals, shares
from rnnmc.statistics import MEASURES, PERCENTS, first_excursions, rectangle, refuse_impossible

PASSAGES = ("vanish", "explode")


def first_passage(
    samples: pl.DataFrame,
    vanish: float,
    explode: float,
    level: float = 0.95,
    interval: str = "wilson",
    group: int = 1,
    percents: Sequence[float] = PERCENTS,
) -> pl.DataFrame:
    """Horizons by which given percentages of replicates have vanished, or exploded, first: one design point.

    samples, vanish, explode, group: as of `rnnmc.statistics.point_statistics`. percents: of all replicates,
    each above 0 and at most 100.

    One row a (measure, event, percent), event "vanish" or "explode". Columns: point, measure, event, percent; after and
    by (steps), for the incidence reaches the percentage in (after, by], two neighbouring stored horizons, or step 0 and
    the first; earliest and latest (steps), the stored horizons between which the `by` of infinitely many replicates
    lies with confidence `level`; replicates. Null stands for "not by the last horizon": by with after, and earliest
    and latest each alone. Where every step is stored, by is the quantile of first passage itself.

    earliest is where the upper bounds of the incidence reach the percentage first, latest from where on its lower
    bounds stay there. Pointwise bounds are enough, for each side errs only if the bound at one fixed horizon does: the
    true one for earliest, and that before it for latest.

    Raises ValueError as `point_statistics` does, and for an impossible percentage.
    """
    refuse_impossible(vanish, explode, interval, level, group)
    shown = np.asarray(percents, dtype=np.float64)
    if not np.all((shown > 0) & (shown <= 100)):
        raise ValueError(f"percents: {list(percents)}; give percentages above 0 and up to 100")
    replicates = rectangle(samples)
    frames = []
    for measure in MEASURES:
        found = shares(first_excursions(replicates.log_norms[measure], vanish, explode), group)
        low, high = share_intervals(found, (1 - level) / 2, interval)
        kept = np.minimum.accumulate(low[:, ::-1], axis=1)[:, ::-1]
        for i, event in enumerate(PASSAGES):
            # Counts and percentages are compared without a division, which could miss a whole number.
            by = _first(found.count[i] * 100 >= shown[:, np.newaxis] * found.replicates)
            columns = {
                "after": _horizon(np.insert(replicates.horizons, 0, 0), by),
                "by": _horizon(replicates.horizons, by),
                "earliest": _horizon(replicates.horizons, _first(high[i] * 100 >= shown[:, np.newaxis])),
                "latest": _horizon(replicates.horizons, _first(kept[i] * 100 >= shown[:, np.newaxis])),
            }
            frame = pl.DataFrame({"percent": shown} | columns)
            frames.append(frame.with_columns(measure=pl.lit(measure, pl.Enum(MEASURES)), event=pl.lit(event)))
    return pl.concat(frames).select(
        pl.lit(replicates.point).alias("point"),
        "measure",
        pl.col("event").cast(pl.Enum(PASSAGES)),
        "percent",
        "after",
        "by",
        "earliest",
        "latest",
        pl.lit(len(replicates.dead), pl.Int64).alias("replicates"),
    )


def _first(reached: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Index of the first horizon that is reached, (percents,), or -1; reached: (percents, horizons)."""
    return np.where(reached.any(axis=1), reached.argmax(axis=1), -1)


def _horizon(horizons: NDArray[np.int64], index: NDArray[np.int64]) -> pl.Series:
    """Horizons at these indices, null at -1."""
    return pl.Series([int(horizons[i]) if i >= 0 else None for i in index], dtype=pl.Int32)
