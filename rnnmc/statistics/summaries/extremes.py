"""How large states become, and how often they leave [-1, 1]."""

from __future__ import annotations

import polars as pl

from rnnmc.common.arrays import Floats
from rnnmc.statistics.summaries.summary import Summary, probability, rectangle, rows_a_replicate

ROUNDING = 1e-4  # lifts a GRU's state above 1, where all its gates are saturated: by 2e-6 in float32, measured


class ExtremesSummary(Summary):
    """The usual one, with the share of replicates whose state was ever above one."""

    name = "extremes"

    def summarise(self, observable, samples, settings):
        """As `Summary.summarise`; above_count, p_above, p_above_low and p_above_high: how many were above 1.

        Above by more than rounding can do, that is above 1.0001. doubled_count: how many have a largest state at least
        twice that at a tenth of the horizon, which is not zero; null where that is not stored.
        """
        largest = rectangle(samples, "largest", rows_a_replicate(samples))
        above = pl.DataFrame(probability("above", largest > 1 + ROUNDING, settings))
        usual = super().summarise(observable, samples, settings)
        rows = {(row["part"], row["horizon"]): place for place, row in enumerate(usual.iter_rows(named=True))}
        before = [rows.get((part, horizon // 10)) for part, horizon in rows]
        doubled = [
            None if past is None or horizon % 10 else _doubled(largest[:, past], largest[:, now])
            for now, ((_, horizon), past) in enumerate(zip(rows, before, strict=True))
        ]
        return usual.with_columns(*above, pl.Series("doubled_count", doubled, dtype=pl.Int64))


def _doubled(past: Floats, now: Floats) -> int:
    return int(((now >= 2 * past) & (past > 0)).sum())


SUMMARY = ExtremesSummary()
