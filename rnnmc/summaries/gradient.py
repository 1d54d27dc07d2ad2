"""How large the parameter gradient is by lag, and how much of it truncated back-propagation would lose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import polars as pl
import pyarrow as pa

from rnnmc.observables.gradient import Gradient
from rnnmc.summaries.summary import Summary, probability, rectangle, rows_a_replicate

SHARE = "share_further"


class _WithShare(Gradient):
    columns: ClassVar[Mapping[str, pa.DataType]] = {**Gradient.columns, SHARE: pa.float64()}


class GradientSummary(Summary):
    """The usual one, of the share of the gradient from further back too."""

    name = "gradient"

    def summarise(self, observable, samples, settings):
        """As `Summary.summarise`, with the quantity share_further = exp(log_further - log_total) as a fourth.

        It is the ratio of two norms of vectors, and above 1 where what is further back cancels what is nearer; null
        where the whole gradient is exactly zero or has overflowed. On its rows alone: threshold (that of vanishing),
        and negligible_count, p_negligible, p_negligible_low and p_negligible_high: how many of all replicates have a
        share below it.
        """
        share = (pl.col("log_further") - pl.col("log_total")).exp().fill_nan(None).alias(SHARE)
        samples = samples.with_columns(share)
        summary = super().summarise(_WithShare(), samples, settings)
        below = rectangle(samples, SHARE, rows_a_replicate(samples)) < settings.vanish
        of_share = summary.filter(pl.col("quantity") == SHARE).with_columns(
            pl.lit(settings.vanish).alias("threshold"), *pl.DataFrame(probability("negligible", below, settings))
        )
        return pl.concat([summary.filter(pl.col("quantity") != SHARE), of_share], how="diagonal")


SUMMARY = GradientSummary()
