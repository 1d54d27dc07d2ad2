"""When replicates first vanish or explode: quantiles of first passage, vanishing and exploding as competing risks.

A replicate has done whichever its norm did first. All are followed to the last horizon, so that nothing is
censored and the cumulative incidence is the plain share of all replicates, as Aalen and Johansen's estimator gives it;
1 - Kaplan-Meier of one risk alone would be too high. docs/physics.md sections 3.6 and 8.
"""

from collections.abc import Sequence

import polars as pl

from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.point import PERCENTS

PASSAGES = ("vanish", "explode")


def first_passage(statistics: pl.DataFrame, percents: Sequence[float] = PERCENTS) -> pl.DataFrame:
    """Horizons by which given percentages of replicates have vanished, or exploded, first, for each design point.

    statistics: rows of `rnnmc.statistics.point.point_statistics`, of any number of design points, horizons rising;
    their shares `<event>_by` are the cumulative incidences. percents: of all replicates, each above 0 and at most 100.

    One row a (point, measure, event, percent), event "vanish" or "explode". Beside these columns after and by (steps),
    for the incidence reaches the percentage in (after, by], two neighbouring stored horizons, or step 0 and the first;
    earliest and latest (steps), the stored horizons between which the `by` of infinitely many replicates lies with the
    confidence of the statistics; replicates. Null stands for "not by the last horizon": by with after, and earliest
    and latest each alone. Where every step is stored, by is the quantile of first passage itself.

    earliest is where the upper bounds of the incidence reach the percentage first, latest from where on its lower
    bounds stay there. Pointwise bounds are enough, for each side errs only if the bound at one fixed horizon does: the
    true one for earliest, and that before it for latest. They are those of `guaranteed`: between order statistics.

    Raises ValueError for an impossible percentage.
    """
    if not all(0 < percent <= 100 for percent in percents):
        raise ValueError(f"percents: {list(percents)}; give percentages above 0 and up to 100")
    one_a_curve = guaranteed(statistics, PASSAGES).group_by("point", "measure", maintain_order=True)
    frames = [
        one_a_curve.agg(*first_reached(event, percent)).with_row_index() for event in PASSAGES for percent in percents
    ]
    table = pl.concat(frames).sort("index", maintain_order=True).drop("index")
    return table.with_columns(pl.col("event").cast(pl.Enum(PASSAGES)))


def guaranteed(statistics: pl.DataFrame, events: Sequence[str]) -> pl.DataFrame:
    """The statistics with the bounds of `p_<event>_by` of these events no narrower than Clopper and Pearson's.

    A quantile is judged near one fixed share, where Wilson's and Jeffreys' intervals cover as seldom as 84 %, each in
    its own places; with Clopper and Pearson's the quantile's interval is that between two order statistics of the
    times, as far as the stored horizons tell them apart. Those of few weight draws stay as they are, being wider.
    """
    total = statistics["replicates"].to_numpy()
    level = (statistics.get_column("level", default=pl.Series([None])).head(1).to_list() or [None])[0] or 0.95
    columns = []
    for event in events:
        name = f"p_{event}_by"
        low, high = binomial_interval(statistics[f"{event}_by_count"].to_numpy(), total, level, "clopper-pearson")
        columns.append(pl.min_horizontal(f"{name}_low", pl.Series(low)).alias(f"{name}_low"))
        columns.append(pl.max_horizontal(f"{name}_high", pl.Series(high)).alias(f"{name}_high"))
    return statistics.with_columns(columns)


def first_reached(event: str, percent: float) -> list[pl.Expr]:
    """The columns of one event and percentage, over the horizons of one curve.

    They need the columns `<event>_by_count`, `p_<event>_by_low` and `p_<event>_by_high`, horizon and replicates.
    """
    horizon, replicates = pl.col("horizon"), pl.col("replicates")
    # Counts and percentages are compared without a division, which could miss a whole number.
    reached = pl.col(f"{event}_by_count") * 100 >= percent * replicates
    possible = pl.col(f"p_{event}_by_high") * 100 >= percent
    sure = pl.col(f"p_{event}_by_low").reverse().cum_min().reverse() * 100 >= percent
    return [
        pl.lit(event).alias("event"),
        pl.lit(float(percent)).alias("percent"),
        horizon.shift(1, fill_value=0).filter(reached).first().alias("after"),
        horizon.filter(reached).first().alias("by"),
        horizon.filter(possible).first().alias("earliest"),
        horizon.filter(sure).first().alias("latest"),
        replicates.first(),
    ]
