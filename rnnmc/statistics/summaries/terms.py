"""How large the terms of the Jacobian are beside the main one, pooled over steps, units and replicates."""

from __future__ import annotations

import numpy as np
import polars as pl

from rnnmc.common.arrays import Floats
from rnnmc.observables.terms import AT_ONE, BOTTOM, MAIN, PER_NAT
from rnnmc.statistics.resampling import sums_by_draw
from rnnmc.statistics.summaries.summary import PERCENTS, Summary, rows_a_replicate

MINOR = 0.1  # a ratio below which a term hardly matters
QUANTILES = {f"q{percent:02d}": percent for percent in PERCENTS}


class TermsSummary(Summary):
    """Of the ratio of each term to the main one of its unit."""

    name = "terms"

    def summarise(self, observable, samples, settings):
        """One row for each (horizon, term), over the pairs (step, unit) of the steps since the horizon before.

        Columns: point, horizon, term, quantity ("ratio"), replicates, pairs, since (the horizon before, 0 at first);
        then numbers, each with its standard error over weight draws as `<number>_error`: q05 to q95 of the ratio,
        pooled over steps, units and replicates; log_ratio, the mean of the log ratio in nats, cut to the range of the
        histogram; share_above, of pairs in which the term is at least as large as the main one; share_largest, in
        which no other term is larger. All but the last are null for the main term. Then how many replicates are so:
        dominant_count, for the main term, that it is the largest in most of their pairs; minor_count, for the others,
        that their mean log ratio is below that of MINOR; mild_count, for the term "reset" of a GRU, that it is so
        beside the term "candidate": where n = 1 their ratio is |(1-r) h U_r| at every step.

        Quantiles are read off the histogram, the log ratio being taken as uniform within a bin: never off by more than
        the width of one, a factor of 1.28, and by about 1 % where the density is smooth; 0 and inf where they lie in
        the open ends. The errors are of the jackknife that leaves out one weight draw at a time; null where there is
        but one, and for a quantile that reaches an open end.
        """
        rows = rows_a_replicate(samples)
        labels = samples.head(rows).select(pl.col("point").cast(pl.String), *observable.labels)
        replicates = samples.height // rows
        counts = samples["counts"].to_numpy().reshape(replicates, rows, -1)
        tallies = [samples[name].to_numpy().reshape(replicates, rows) for name in ("largest", "log_ratio_sum")]
        found = [
            _with_errors(*(sums_by_draw(tally[:, row], settings.group) for tally in (counts, *tallies)))
            for row in range(rows)
        ]
        numbers = {name: pl.Series([one[name] for one in found], dtype=pl.Float64) for name in found[0]}
        main = pl.col("term") == MAIN
        known = [pl.when(~main | (name.startswith("share_largest"))).then(pl.col(name)) for name in numbers]
        horizons, place = np.unique(labels["horizon"].to_numpy(), return_inverse=True)
        return labels.with_columns(
            pl.lit("ratio").alias("quantity"),
            pl.lit(replicates, pl.Int64).alias("replicates"),
            pl.Series("pairs", counts.sum(axis=(0, 2), dtype=np.int64)),
            pl.Series("since", np.append(0, horizons)[place], dtype=pl.Int32),
            **numbers,
        ).with_columns(known + _networks(labels["term"].to_list(), counts.sum(axis=2), *tallies))


def _networks(terms: list[str], pairs: Floats, largest: Floats, log_sum: Floats) -> list[pl.Series]:
    """The counts of replicates, (rows,) each; pairs, largest, log_sum: (replicates, rows)."""
    found: dict[str, list[int | None]] = {name: [] for name in ("dominant_count", "minor_count", "mild_count")}
    little = np.log(MINOR)
    for row, term in enumerate(terms):
        candidate = row - 1 if term == "reset" and terms[row - 1] == "candidate" else None
        beside = log_sum[:, row] - log_sum[:, candidate] if candidate is not None else None
        found["dominant_count"].append(int((2 * largest[:, row] > pairs[:, row]).sum()) if term == MAIN else None)
        minor = (log_sum[:, row] < little * pairs[:, row]).sum()
        found["minor_count"].append(None if term == MAIN else int(minor))
        found["mild_count"].append(None if beside is None else int((beside < little * pairs[:, row]).sum()))
    return [pl.Series(name, values, dtype=pl.Int64) for name, values in found.items()]


def _with_errors(counts: Floats, largest: Floats, log_sum: Floats) -> dict[str, float | None]:
    """The numbers of all weight draws, and their errors by leaving out each in turn. counts: (draws, BINS)."""
    draws = [counts, largest, log_sum]
    numbers = _numbers(*(values.sum(axis=0, keepdims=True) for values in draws))
    others = _numbers(*(values.sum(axis=0) - values for values in draws))
    found = {}
    for name, number in numbers.items():
        with np.errstate(invalid="ignore"):
            square = ((others[name] - others[name].mean()) ** 2).mean() * (len(counts) - 1)
        known = len(counts) > 1 and np.isfinite(square) and not (name in QUANTILES and (others[name] == 0).any())
        found[name] = None if np.isnan(number[0]) else float(number[0])
        found[f"{name}_error"] = float(np.sqrt(square)) if known else None
    return found


def _numbers(counts: Floats, largest: Floats, log_sum: Floats) -> dict[str, Floats]:
    """name -> (m,) of m pooled histograms, (m, BINS); NaN without any pair."""
    pairs = counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            **{name: quantile(counts, percent / 100) for name, percent in QUANTILES.items()},
            "log_ratio": log_sum / pairs,
            "share_above": counts[:, AT_ONE:].sum(axis=1) / pairs,
            "share_largest": largest / pairs,
        }


def quantile(counts: Floats, share: float) -> Floats:
    """(m,) ratio below which this share of the pairs of each histogram lies; counts: (m, BINS)."""
    upto = counts.cumsum(axis=1)
    wanted = share * upto[:, -1:]
    place = np.minimum((upto < wanted).sum(axis=1), counts.shape[1] - 1)
    inside = np.take_along_axis(counts, place[:, None], axis=1)[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        left = (np.take_along_axis(upto, place[:, None], axis=1) - wanted)[:, 0] / inside
    ratio = np.exp(BOTTOM + (place + 1 - left) / PER_NAT)
    ends = [place == 0, place == counts.shape[1] - 1, np.isnan(ratio)]
    return np.select([ends[2], ends[0], ends[1]], [np.nan, 0.0, np.inf], ratio)


SUMMARY = TermsSummary()
