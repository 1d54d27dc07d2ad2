"""How many replicates have passed each threshold, by when, and whether vanishing or exploding came first."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rnnmc.observables.passage import BELOW
from rnnmc.statistics.summaries.summary import Summary, probability, quantiles, rectangle, rows_a_replicate


class PassageSummary(Summary):
    """Of first passages, in steps."""

    name = "passage"

    def summarise(self, observable, samples, settings):
        """One row for each (measure, threshold, direction).

        Columns: point, the labels, quantity ("first"), replicates; passed_count, p_passed, p_passed_low and
        p_passed_high: the share that has passed by the last horizon, with its interval; q05 to q95 of the first
        passage over all replicates, null where it lies beyond the last horizon; smallest and largest of those that
        passed. opposite: the threshold as far along the other ladder, null where that is shorter; first_count, p_first,
        p_first_low and p_first_high: the share that passed this threshold before that one. Those of a pair are the
        cumulative incidences of competing risks: all replicates are followed to the last horizon, so that counting is
        Aalen and Johansen's estimate, where 1 - Kaplan-Meier would be too high.
        """
        rows = rows_a_replicate(samples)
        labels = samples.head(rows).select(pl.col("point").cast(pl.String), *observable.labels)
        first = rectangle(samples, "first", rows)
        first = np.where(np.isnan(first), np.inf, first)
        passed = np.isfinite(first)
        steps = quantiles(first) | {
            "smallest": pl.Series(first.min(axis=0)),
            "largest": pl.Series(np.where(passed, first, -np.inf).max(axis=0)),
        }
        whole = pl.when(pl.col(*steps).is_finite()).then(pl.col(*steps)).cast(pl.Int32)
        mirror = _mirror(labels)
        competing = probability("first", first < first[:, mirror], settings)
        alone = pl.Series(mirror) == pl.Series(np.arange(rows))
        of_pairs = pl.DataFrame({"opposite": labels["threshold"].gather(mirror), **competing})
        return labels.with_columns(
            pl.lit("first").alias("quantity"),
            pl.lit(len(first), pl.Int64).alias("replicates"),
            *pl.DataFrame(probability("passed", passed, settings)),
            *pl.DataFrame(steps).select(whole),
            *of_pairs.select(pl.when(~alone).then(pl.all())),
        )


def _mirror(labels: pl.DataFrame) -> NDArray[np.int64]:
    """Row with the threshold as far along the other ladder, for each row; the row itself where there is none."""
    sides = (pl.col("direction") == BELOW).alias("side")
    place = labels.with_row_index("row").with_columns(sides, rung=pl.int_range(pl.len()).over("measure", "direction"))
    pairs = place.join(
        place.select("measure", "rung", ~pl.col("side"), other="row"), on=["measure", "rung", "side"], how="left"
    ).sort("row")
    return pairs["other"].fill_null(pairs["row"]).to_numpy().astype(np.int64)


SUMMARY = PassageSummary()
