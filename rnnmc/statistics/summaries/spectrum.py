"""The Lyapunov spectrum over replicates, and what follows from it: share positive, dimension, entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.interpolate import CubicSpline

from rnnmc.statistics.summaries.summary import (
    Floats,
    Settings,
    Summary,
    moments,
    quantiles,
    rectangle,
    rows_a_replicate,
)
from rnnmc.theory import predictions

if TYPE_CHECKING:
    from rnnmc.observables.observable import Observable
    from rnnmc.study.point import DesignPoint
    from rnnmc.theory.spectrum import Spectrum

DERIVED = ("share_positive", "kaplan_yorke", "entropy")


class SpectrumSummary(Summary):
    """Each exponent, and what follows from all of them, with the errors over replicates and in time kept apart."""

    name = "spectrum"

    def summarise(self, observable: Observable, samples: pl.DataFrame, settings: Settings) -> pl.DataFrame:
        """One row for each exponent (quantity `exponent`, at `index`), then one for each of DERIVED (index null).

        DERIVED are taken of each replicate, then summarised, and are per dimension of the state, that is divided by
        d = state_size (by n where the state is one vector of n units): the share of exponents above zero, the
        Kaplan-Yorke dimension, and the sum of the positive exponents in nats a step. Their mean is null unless they
        follow from the exponents that are known, as where the last of these is below zero.

        Columns: point, horizon, state_size, quantity, index, replicates, finite, mean, deviation (ddof = 1),
        error_over_replicates (of the mean, from the means of weight draws), error_in_time (of the same mean, from the
        errors of the replicates, each by batch means), q05 to q95. Over finite values, quantiles over all, as in
        `Summary`; but all null where any replicate is: those are not known because of their size. The dead (-inf)
        stay out of the mean.
        """
        rows = rows_a_replicate(samples)
        names = ("exponent", "error_in_time", "error_of_sum")
        exponents, error, error_of_sum = (rectangle(samples, name, rows) for name in names)
        d = samples["state_size"][0]
        values = np.column_stack([exponents, *derived(exponents, d)])
        errors = np.column_stack([error, *_errors(exponents, error, error_of_sum, d)])
        finite = np.isfinite(values)
        values[:, np.isnan(values).any(axis=0)] = np.nan
        numbers = moments(values, settings.group)
        with np.errstate(invalid="ignore", divide="ignore"):
            in_time = np.sqrt((np.where(finite, errors, 0.0) ** 2).sum(axis=0)) / np.isfinite(values).sum(axis=0)
        labels = {
            "quantity": pl.Series(["exponent"] * rows + list(DERIVED)),
            "index": pl.Series([*samples["index"][:rows], *(None for _ in DERIVED)], dtype=pl.Int32),
            "replicates": pl.Series([len(values)] * values.shape[1]),
            "finite": pl.Series(finite.sum(axis=0)),
            "mean": numbers["mean"],
            "deviation": numbers["deviation"],
            "error_over_replicates": numbers["error"],
            "error_in_time": pl.Series(np.where(np.isfinite(in_time), in_time, np.nan), nan_to_null=True),
        } | quantiles(values)
        head = (pl.lit(samples[name][0], samples[name].dtype).alias(name) for name in ("horizon", "state_size"))
        point = pl.lit(str(samples["point"][0])).alias("point")
        return pl.DataFrame(labels).select(point, *head, *labels)

    def beside(self, point: DesignPoint, summary: pl.DataFrame) -> pl.DataFrame:
        """The summary of this point with what theory says: theory, theory_law (its name), theory_exact.

        The exponent at `index` i is the curve at (i - 1/2) / n where theory knows a curve. All null without a law.
        """
        found = next(((law, said.spectrum) for law, said in predictions(point) if said.spectrum is not None), None)
        if found is None:
            columns = {"theory": pl.Float64, "theory_law": pl.String, "theory_exact": pl.Boolean}
            return summary.with_columns(pl.lit(None, kind).alias(name) for name, kind in columns.items())
        law, spectrum = found
        exponents = _listed(spectrum, point.state_size)
        says = [
            exponents[row["index"] - 1] if row["quantity"] == "exponent" else getattr(spectrum, row["quantity"])
            for row in summary.iter_rows(named=True)
        ]
        return summary.with_columns(
            pl.Series("theory", says, pl.Float64),
            pl.lit(law.name).alias("theory_law"),
            pl.lit(law.exact).alias("theory_exact"),
        )


def _listed(spectrum: Spectrum, n: int) -> Floats:
    if spectrum.listed:
        return spectrum.exponents
    return CubicSpline(spectrum.share, spectrum.exponents)((np.arange(n) + 0.5) / n)


def derived(exponents: Floats, d: int) -> tuple[Floats, Floats, Floats]:
    """(share positive, Kaplan-Yorke dimension, entropy) of each replicate, all divided by d; NaN where not known.

    exponents: (replicates, k), the first k of d, NaN from where on they are not known. As in
    `rnnmc.theory.spectrum.Spectrum`: the dimension is where the cumulative sum, a broken line, returns to zero; 0 if
    the first exponent is not positive, and 1 if the sum of all is not negative.
    """
    unknown = np.isnan(np.column_stack([exponents, np.full(len(exponents), np.nan)]))
    known, each = unknown.argmax(axis=1), np.arange(len(exponents))
    last = np.where(known > 0, exponents[each, np.maximum(known - 1, 0)], np.inf)
    whole = (known == d) | (last < 0)
    positive = exponents > 0
    share = np.where(whole, positive.sum(axis=1), np.nan)
    entropy = np.where(whole, np.where(positive, exponents, 0.0).sum(axis=1), np.nan)
    sums = exponents.cumsum(axis=1)
    below = sums < 0
    at = below.argmax(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        dimension = at + sums[each, at - 1] / np.abs(exponents[each, at])
    dimension = np.where(below.any(axis=1), dimension, np.where(known == d, d, np.nan))
    dimension = np.where(exponents[:, 0] <= 0, 0.0, dimension)
    return share / d, dimension / d, entropy / d


def _errors(exponents: Floats, error: Floats, error_of_sum: Floats, d: int) -> tuple[Floats, Floats, Floats]:
    """Standard errors in time of what `derived` gives, to first order.

    The share moves by the exponents that are within their error of zero; the entropy as the sum of those above zero;
    the dimension as the sum before it returns to zero, over the exponent there, and not at all where it never does.
    """
    each = np.arange(len(exponents))
    share = (np.abs(exponents) < error).sum(axis=1) / 2
    above = (exponents > 0).sum(axis=1)
    entropy = np.where(above > 0, error_of_sum[each, above - 1], 0.0)
    below = exponents.cumsum(axis=1) < 0
    at, returns = below.argmax(axis=1), below.any(axis=1) & (exponents[:, 0] > 0)
    dimension = np.where(returns, error_of_sum[each, at - 1] / np.abs(exponents[each, at]), 0.0)
    too_short = np.where(np.isnan(error[:, 0]), np.nan, 0.0)
    return share / d + too_short, dimension / d + too_short, entropy / d + too_short


SUMMARY = SpectrumSummary()
