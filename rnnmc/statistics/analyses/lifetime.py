"""After how many steps so many networks have lost the gradient, or blown it up."""

from __future__ import annotations

import polars as pl

from rnnmc.statistics.analyses.analysis import Analysis, spectral_rows
from rnnmc.statistics.first_passage import first_reached, guaranteed

LIFETIME_PERCENTS = (50, 99)


class Lifetime(Analysis):
    """First horizons by which half, and 99 of 100, of all replicates have left the thresholds, whichever way."""

    name = "lifetime"
    says = "After how many steps half of the networks, and 99 of 100, have lost the gradient or blown it up"
    source = "docs/physics.md section 3.6"

    def table(self, points, statistics):
        """One row a (point, percent): the columns of `rnnmc.statistics.first_passage` for the event "left", and
        vanished.

        They have left by `by`, and after infinitely many replicates by a stored horizon from earliest to latest, with
        95 % confidence. vanished: of those that have left by the last horizon the share whose norm has vanished first.
        """
        left = guaranteed(spectral_rows(points, statistics), ["stable"]).with_columns(
            (pl.col("replicates") - pl.col("stable_by_count")).alias("left_by_count"),
            (1 - pl.col("p_stable_by_high")).alias("p_left_by_low"),
            (1 - pl.col("p_stable_by_low")).alias("p_left_by_high"),
        )
        gone = pl.col("vanish_by_count").last() + pl.col("explode_by_count").last()
        vanished = pl.when(gone > 0).then(pl.col("vanish_by_count").last() / gone).alias("vanished")
        curves = left.group_by("point", maintain_order=True)
        frames = [
            curves.agg(*first_reached("left", percent), vanished).with_row_index() for percent in LIFETIME_PERCENTS
        ]
        return pl.concat(frames).sort("index", maintain_order=True).drop("index")

    def found(self, table):
        """By when half of the networks have left, over all design points."""
        half = table.filter(pl.col("percent") == 50)
        gone = half.drop_nulls("by")
        if gone.is_empty():
            return ["At no design point have half of the networks left the thresholds by the last horizon."]
        middle = int(gone["by"].quantile(0.5, "lower"))  # pyright: ignore[reportArgumentType]
        said = (
            f"At {gone.height} of {half.height} design points half of the networks have left the thresholds by the "
            f"last horizon, at half of these within {middle:,} steps."
        )
        return [said]


ANALYSIS = Lifetime()
