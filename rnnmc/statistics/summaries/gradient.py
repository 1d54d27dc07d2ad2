"""How large the parameter gradient is by lag, and how much of it truncated back-propagation would lose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import polars as pl
import pyarrow as pa

from rnnmc.observables.gradient import Gradient
from rnnmc.statistics.summaries.summary import Summary, probability, rectangle, rows_a_replicate

SHARE, HERE = "share_further", "share_here"
SINGLE = math.log(float(np.finfo(np.float32).max))  # nats: beyond it a norm in float32 is infinite


class _WithShare(Gradient):
    columns: ClassVar[Mapping[str, pa.DataType]] = {
        **Gradient.columns,
        SHARE: pa.float64(),
        HERE: pa.float64(),
    }


class GradientSummary(Summary):
    """The usual one, of the shares of the gradient from further back and from the lags of the row too."""

    name = "gradient"

    def summarise(self, observable, samples, settings):
        """As `Summary.summarise`, with two more quantities, share_further and share_here.

        They are exp(log_further - log_total) and exp(log_contribution - log_total), ratios of two norms of vectors, and
        above 1 where what is further back cancels what is nearer; null where the whole gradient is exactly zero or has
        overflowed, in unknown_count of all replicates. Besides threshold (that of vanishing), and negligible_count,
        p_negligible, p_negligible_low and p_negligible_high: in how many of all replicates the norm, or the share, is
        below it; and beyond_count, in how many the norm is beyond the largest number of float32, null for shares.
        """
        samples = samples.with_columns(
            (pl.col(part) - pl.col("log_total")).exp().fill_nan(None).alias(name)
            for name, part in ((SHARE, "log_further"), (HERE, "log_contribution"))
        )
        summary = super().summarise(_WithShare(), samples, settings)
        rows, parts = rows_a_replicate(samples), []
        for name in _WithShare.columns:
            values, share = rectangle(samples, name, rows), name in (SHARE, HERE)
            cut = settings.vanish if share else math.log(settings.vanish)
            below = pl.DataFrame(probability("negligible", values < cut, settings))
            beyond = pl.Series("beyond_count", (values > SINGLE).sum(axis=0), dtype=pl.Int64)
            unknown = pl.Series("unknown_count", np.isnan(values).sum(axis=0), dtype=pl.Int64)
            own = summary.filter(pl.col("quantity") == name).with_columns(*below, beyond, unknown)
            parts.append(own.with_columns(pl.lit(None, pl.Int64).alias("beyond_count")) if share else own)
        return pl.concat(parts).with_columns(pl.lit(settings.vanish).alias("threshold"))


SUMMARY = GradientSummary()
