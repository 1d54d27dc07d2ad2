"""How large the one-step derivative of the memory is, and what of it is not the main term, over random networks."""

from __future__ import annotations

import numpy as np
import polars as pl

from rnnmc.common.arrays import Floats
from rnnmc.statistics.medians import median_interval
from rnnmc.statistics.resampling import sums_by_draw
from rnnmc.statistics.summaries.summary import Summary, rectangle, rows_a_replicate
from rnnmc.statistics.summaries.terms import QUANTILES, quantile

SQUEEZE = 0.45  # the article's bound of |c| sech^2 c


class OneStepSummary(Summary):
    """Of the other terms together beside the main one, and of how often a derivative is above 1."""

    name = "one_step"

    def summarise(self, observable, samples, settings):
        """One row for each horizon, over the pairs (step, unit) of the steps since the horizon before.

        Columns: point, horizon, quantity ("others"), replicates, pairs; q05 to q95 of the ratio of the other terms'
        sizes, added up, to the main one, over all pairs, read off the histogram (`TermsSummary`); share_expanding, of
        pairs whose derivative is longer than 1. Then over weight draws, each with an exact interval, <name>_low to
        <name>_high (`rnnmc.statistics.medians`): typical, the median of the mean log ratio of one, in nats; expanding,
        that of the share of its pairs whose derivative is longer than 1. squeezed_count: replicates in which |c| sech^2
        c has been above SQUEEZE, and squeezed_most, the largest value seen, both null in a cell that does not squash
        its memory.
        """
        rows = rows_a_replicate(samples)
        counts = samples["counts"].to_numpy().reshape(len(samples) // rows, rows, -1)
        longer, logs, squeezed = (rectangle(samples, name, rows) for name in ("longer", "log_ratio_sum", "squeezed"))
        pairs = counts.sum(axis=2, dtype=np.int64)
        pooled, draws = counts.sum(axis=0, dtype=np.float64), sums_by_draw(pairs, settings.group)
        known = pl.Series("known", [not np.isnan(column).any() for column in squeezed.T])
        squeeze = {
            "squeezed_count": (squeezed > SQUEEZE).sum(axis=0),
            "squeezed_most": np.nan_to_num(squeezed).max(axis=0),
        }
        return (
            samples.head(rows)
            .select(pl.col("point").cast(pl.String), *observable.labels)
            .with_columns(
                pl.lit("others").alias("quantity"),
                pl.lit(len(counts), pl.Int64).alias("replicates"),
                pl.Series("pairs", pairs.sum(axis=0)),
                *(pl.Series(name, quantile(pooled, percent / 100)) for name, percent in QUANTILES.items()),
                pl.Series("share_expanding", longer.sum(axis=0) / np.maximum(pairs.sum(axis=0), 1)),
                *_medians("typical", sums_by_draw(logs, settings.group), draws),
                *_medians("expanding", sums_by_draw(longer, settings.group), draws),
                *(pl.when(known).then(pl.lit(pl.Series(values))).alias(name) for name, values in squeeze.items()),
            )
        )


def _medians(name: str, sums: Floats, pairs: Floats) -> list[pl.Series]:
    """Over weight draws, of the mean a pair, for each row; without a pair a network is beyond any number."""
    mean = np.where(pairs > 0, sums / np.maximum(pairs, 1), np.inf)
    found = np.array([median_interval(row) for row in mean.T])
    return [pl.Series(f"{name}{end}", found[:, i]) for i, end in enumerate(("", "_low", "_high"))]


SUMMARY = OneStepSummary()
