"""The norm of each path over replicates: how far it reaches, how fast it grows, how probably it is gone."""

from __future__ import annotations

import numpy as np
import polars as pl

from rnnmc.common.arrays import Floats
from rnnmc.statistics.point import growth_rate
from rnnmc.statistics.rates import rate_columns
from rnnmc.statistics.summaries.summary import Settings, Summary, probability, rectangle, rows_a_replicate

CLOSE = 0.01  # nats a step


class PathsSummary(Summary):
    """Of log-norms by horizon and path."""

    name = "paths"

    def summarise(self, observable, samples, settings):
        """One row for each (measure, horizon, path).

        The columns of `Summary.summarise`, `quantity` being called `measure`; then growth_rate and growth_rate_error,
        in nats a step, over the last decade before the horizon (see `rnnmc.statistics.point.growth_rate`), with
        Student's interval growth_rate_low to growth_rate_high; less_joint, less_joint_error, less_joint_low and
        less_joint_high, the same for the path less the joint chain of the same replicate, of those that live along
        both; and for the events
        vanish_at and explode_at, the norm being below or above its threshold at the horizon, `<event>_count`,
        `p_<event>`, `p_<event>_low` and `p_<event>_high`; and close_count, the replicates whose growth rate along the
        path is within CLOSE of that of the joint chain, or that are dead along both. From the first horizon on at which
        the log-norm of a path is not known in any replicate, all of these are null: the rest are no fair sample.
        """
        usual = super().summarise(observable, samples, settings)
        rows = rows_a_replicate(samples)
        horizons = samples["horizon"][:rows].to_numpy().astype(np.int64)
        more = [_more(rectangle(samples, name, rows), horizons, settings) for name in observable.columns]
        return usual.rename({"quantity": "measure"}).hstack(pl.concat(more))


def _more(values: Floats, horizons: np.ndarray, settings: Settings) -> pl.DataFrame:
    """values: (replicates, rows), horizons: (rows,), with all paths of a horizon next to each other."""
    paths = np.count_nonzero(horizons == horizons[0])
    rates = [_rates(values[:, path::paths], horizons[::paths], settings) for path in range(paths)]
    apart = [_apart(values[:, path::paths], values[:, ::paths]) for path in range(paths)]  # the joint chain comes first
    rates_apart = [_rates(one, horizons[::paths], settings) for one in apart]
    columns = {
        f"{name}{end}": pl.Series(np.stack(some, axis=1).ravel(), nan_to_null=True)
        for name, of in (("growth_rate", rates), ("less_joint", rates_apart))
        for end, some in zip(("", "_error", "_low", "_high"), zip(*of, strict=True), strict=True)
    }
    found = pl.DataFrame(
        {
            **columns,
            "close_count": pl.Series(_close(values, horizons, int(paths)), nan_to_null=True).cast(pl.Int64),
            **probability("vanish_at", values < np.log(settings.vanish), settings),
            **probability("explode_at", values > np.log(settings.explode), settings),
        }
    )
    known = pl.Series(np.all(~np.isnan(values), axis=0))
    return found.select(pl.when(known).then(pl.col(name)).alias(name) for name in found.columns)


def _apart(path: Floats, joint: Floats) -> Floats:
    """Log-norms of a path less those of the joint chain; NaN where either is dead, else infinite where not known."""
    with np.errstate(invalid="ignore"):
        known = np.where((path == np.inf) | (joint == np.inf), np.inf, path - joint)
    return np.where((path == -np.inf) | (joint == -np.inf), np.nan, known)


def _rates(values: Floats, horizons: np.ndarray, settings: Settings) -> tuple[Floats, Floats, Floats, Floats]:
    """Growth rate, its error, and the ends of its interval, (horizons,) each."""
    rate, error = growth_rate(values, horizons, settings.group)
    more = rate_columns(values, horizons, rate, error, settings.group, settings.interval, settings.level)
    return rate, error, more["growth_rate_low"], more["growth_rate_high"]


def _close(values: Floats, horizons: np.ndarray, paths: int) -> Floats:
    """(rows,) how many replicates have the growth rate of the joint chain within CLOSE; NaN where there is none."""
    ends = horizons[::paths]
    found = np.full((len(ends), paths), np.nan)
    shaped = values.reshape(len(values), len(ends), paths)
    for j, start in enumerate(np.searchsorted(ends, ends / 10, side="right") - 1):
        if start >= 0:
            with np.errstate(invalid="ignore"):
                slope = (shaped[:, j] - shaped[:, start]) / (ends[j] - ends[start])
                near = np.abs(slope - slope[:, :1]) < CLOSE
            gone = shaped[:, j] == -np.inf
            found[j] = (near | (gone & gone[:, :1])).sum(axis=0)
    return found.ravel()


SUMMARY = PathsSummary()
