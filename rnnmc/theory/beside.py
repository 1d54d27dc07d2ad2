"""Theory beside statistics: what the laws say about every row of one design point."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress

import polars as pl

from rnnmc.chain.norms import MEASURES
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import Thresholds
from rnnmc.theory import predictions
from rnnmc.theory.law import Law, Prediction

FORETOLD = ("vanish", "stable", "explode", "dead")
COLUMNS: dict[str, type[pl.DataType]] = {
    "theory_growth_rate": pl.Float64,
    "theory_growth_rate_error": pl.Float64,
    "theory_growth_law": pl.String,
    "theory_growth_exact": pl.Boolean,
    "theory_onset_gain": pl.Float64,
    "theory_onset_gain_error": pl.Float64,
    "theory_mean": pl.Float64,
    "theory_deviation": pl.Float64,
    **{f"theory_p_{event}_at": pl.Float64 for event in FORETOLD},
    "theory_p_explode_at_most": pl.Float64,
    "theory_law": pl.String,
}


def beside(point: DesignPoint, statistics: pl.DataFrame) -> pl.DataFrame:
    """The statistics of one design point with the columns COLUMNS added; null where no law speaks.

    statistics: rows (horizon, measure) with threshold_vanish and threshold_explode, as `rnnmc.statistics.point` makes
    them. theory_growth_rate: nats a step, by the law theory_growth_law. The errors of it and of theory_onset_gain are
    those of a law that samples, and 0 elsewhere. theory_mean, theory_deviation: of the log-norms of the living, nats;
    with the probabilities at the row's thresholds they are by theory_law. theory_p_explode_at_most: a bound. Exact laws
    come before large-width ones. Measures that no law knows, and growth of other measures than the two norms, are null.
    """
    found = predictions(point)
    rows = [
        _row(found, horizon, measure, Thresholds(vanish=vanish, explode=explode))
        for horizon, measure, vanish, explode in statistics.select(
            "horizon", pl.col("measure").cast(pl.String), "threshold_vanish", "threshold_explode"
        ).iter_rows()
    ]
    return statistics.hstack(pl.DataFrame(rows, schema=COLUMNS, orient="row").fill_nan(None))


def _row(
    found: list[tuple[Law, Prediction]], horizon: int, measure: str, thresholds: Thresholds
) -> dict[str, float | str | bool | None]:
    row: dict[str, float | str | bool | None] = dict.fromkeys(COLUMNS)
    if measure in MEASURES:  # these grow as the top Lyapunov exponent says, whatever the law
        if growth := _first(found, lambda prediction: prediction.growth_rate is not None):
            law, prediction = growth
            row["theory_growth_rate"], row["theory_growth_rate_error"] = prediction.growth_rate, prediction.growth_error
            row["theory_growth_law"], row["theory_growth_exact"] = law.name, law.exact
        if onset := _first(found, lambda prediction: prediction.onset_gain is not None):
            row["theory_onset_gain"], row["theory_onset_gain_error"] = onset[1].onset_gain, onset[1].onset_error
        bounds = [prediction.explode_at_most for _, prediction in found if prediction.explode_at_most]
        if bounds:  # of the spectral norm, which the RMS norm does not exceed
            row["theory_p_explode_at_most"] = min(bound(math.log(thresholds.explode), horizon) for bound in bounds)
    if norm := _first(found, lambda prediction: measure in prediction.log_norm):
        with suppress(ArithmeticError):  # beyond the floating-point range
            row |= _of_norm(*norm, horizon, measure, thresholds)
    return row


def _of_norm(
    law: Law, prediction: Prediction, horizon: int, measure: str, thresholds: Thresholds
) -> dict[str, float | str | bool | None]:
    row: dict[str, float | str | bool | None] = {"theory_law": law.name}
    if (moments := prediction.moments(horizon, measure)) is not None:  # pyright: ignore[reportArgumentType]
        row["theory_mean"], row["theory_deviation"] = moments[0], math.sqrt(max(moments[1], 0.0))
    for event in FORETOLD:
        row[f"theory_p_{event}_at"] = prediction.probability(event, horizon, thresholds, measure)  # pyright: ignore
    return row


def _first(found: list[tuple[Law, Prediction]], speaks: Callable[[Prediction], bool]) -> tuple[Law, Prediction] | None:
    return next((one for one in found if speaks(one[1])), None)
