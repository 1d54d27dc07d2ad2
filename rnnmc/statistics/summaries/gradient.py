"""How large the parameter gradient is by lag, and how much of it truncated back-propagation would lose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import polars as pl
import pyarrow as pa

from rnnmc.observables.gradient import Gradient
from rnnmc.statistics.summaries.summary import Summary, probability, rectangle, rows_a_replicate

SHARE = "share_further"


class _WithShare(Gradient):
    columns: ClassVar[Mapping[str, pa.DataType]] = {**Gradient.columns, SHARE: pa.float64()}


class GradientSummary(Summary):
    """The usual one, of the share of the gradient from further back too."""

    name = "gradient"

    def summarise(self, observable, samples, settings):
        """As `Summary.summarise`, with the quantity share_further = exp(log_further - log_total) as a fourth.

        It is the ratio of two norms of vectors, and above 1 where what is further back cancels what is nearer; null
        where the whole gradient is exactly zero or has overflowed. Besides threshold (that of vanishing), and
        negligible_count, p_negligible, p_negligible_low and p_negligible_high: in how many of all replicates the norm,
        or the share, is below it.
        """
        share = (pl.col("log_further") - pl.col("log_total")).exp().fill_nan(None).alias(SHARE)
        samples = samples.with_columns(share)
        summary = super().summarise(_WithShare(), samples, settings)
        rows, parts = rows_a_replicate(samples), []
        for name in _WithShare.columns:
            cut = settings.vanish if name == SHARE else math.log(settings.vanish)
            below = pl.DataFrame(probability("negligible", rectangle(samples, name, rows) < cut, settings))
            parts.append(summary.filter(pl.col("quantity") == name).with_columns(*below))
        return pl.concat(parts).with_columns(pl.lit(settings.vanish).alias("threshold"))


SUMMARY = GradientSummary()
