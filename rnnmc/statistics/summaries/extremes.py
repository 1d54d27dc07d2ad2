"""How large states become, and how often they leave [-1, 1]."""

from __future__ import annotations

import polars as pl

from rnnmc.statistics.summaries.summary import Summary, probability, rectangle, rows_a_replicate

ROUNDING = 1e-4  # lifts a GRU's state above 1, where all its gates are saturated: by 2e-6 in float32, measured


class ExtremesSummary(Summary):
    """The usual one, with the share of replicates whose state was ever above one."""

    name = "extremes"

    def summarise(self, observable, samples, settings):
        """As `Summary.summarise`; above_count, p_above, p_above_low and p_above_high: how many were above 1.

        Above by more than rounding can do, that is above 1.0001.
        """
        largest = rectangle(samples, "largest", rows_a_replicate(samples))
        above = pl.DataFrame(probability("above", largest > 1 + ROUNDING, settings))
        return super().summarise(observable, samples, settings).with_columns(*above)


SUMMARY = ExtremesSummary()
