"""From populations to the probability of a rare event: an estimate, an interval that holds, and whether to trust it.

Each population estimates P(score >= threshold) without bias (`rnnmc.engine.splitting.population`), as a product of many
shares, so that its logarithm is nearly normal and its mean lies below log P by half its variance. The estimate is the
mean of the estimates; the interval is Cox's for the mean of a lognormal law, m + s^2/2 +- t sqrt(s^2/M + s^4/(2 (M-1)))
with Student's t of M - 1 degrees of freedom (Zhou and Gao 1997; Olsson 2005), M populations of mean m and variance s^2
of the logarithm. How often it holds the truth is simulated in tests/statistics/test_rare.py. Up to the first level the
particles of all populations are independent replicates, and the interval is Clopper and Pearson's of all of them.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from scipy.special import chdtri, stdtrit

from rnnmc.chain.norms import MEASURES
from rnnmc.common.arrays import Floats
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.study.rare import Splitting

PLAIN, SPLITTING = "plain", "splitting"  # estimators
FEWEST = 3  # populations that say how far they are apart
MOST_ALIKE = 0.9  # rank correlation of the ends of chains
LEAST_TAKEN = 0.02  # of the moves at a level
FEWEST_ANCESTORS = 2.0  # that a population goes back to, on average
ALARM = 1e-5  # by chance, of populations that are too far apart or too near
SLACK = 1.5  # of the variance between populations over the one that each expects, where moves are poor
ONE_FOR_ALL = 0.7  # share of the largest of MANY estimates
MANY = 8
INTERVAL_LEVEL = 0.95  # of the intervals


def lognormal_mean(log_estimates: Floats, level: float = INTERVAL_LEVEL) -> tuple[float, float, float]:
    """(estimate, low, high) of a mean from independent estimates of it, (M,) logarithms, -inf where one is 0.

    Bounds are NaN of fewer than FEWEST, or where one is 0. Where estimates are so far apart that they follow no
    lognormal law, Cox's interval may leave out the estimate; it is widened to it.
    """
    largest = float(log_estimates.max())
    if largest == -math.inf:
        return 0.0, math.nan, math.nan
    mean = math.exp(largest) * float(np.exp(log_estimates - largest).mean())
    count = len(log_estimates)
    if count < FEWEST or not np.isfinite(log_estimates).all():
        return mean, math.nan, math.nan
    variance = float(log_estimates.var(ddof=1))
    centre = float(log_estimates.mean()) + variance / 2
    half = float(stdtrit(count - 1, (1 + level) / 2)) * math.sqrt(variance / count + variance**2 / (2 * (count - 1)))
    low, high = (math.exp(min(0.0, end)) for end in (centre - half, centre + half))
    return mean, min(low, mean), max(high, mean)


def rare_statistics(populations: pl.DataFrame) -> pl.DataFrame:
    """The probability at every threshold of one design point, by rising score; the last row is the event.

    populations: rows as `rnnmc.engine.splitting.run.population_table` has them, of all populations of one point.
    Columns: point, estimator ("splitting"), horizon, threshold (on the norm), score (nats), level (number, null between
    levels), p, p_low, p_high, relative_error (standard error over p), populations, particles, evaluations (of all
    together), and at levels the means over populations of acceptance, alike, ancestors, family and step;
    reached (whether the last row is the event, and not only as far as populations went); doubt, why not to trust the
    row, empty where nothing speaks against it. Raises ValueError where populations do not belong together.
    """
    ordered = populations.sort("block", "score")
    count = ordered["block"].n_unique()
    rows = len(ordered) // count
    if len(ordered) != rows * count or ordered["point"].n_unique() != 1:
        raise ValueError("populations of several design points, or of unlike plans; give those of one")
    first = ordered.head(rows)
    scores = ordered["score"].to_numpy().reshape(count, rows)
    if not (scores == scores[0]).all():
        raise ValueError(f"point {first['point'][0]}: populations of unlike plans; give those of one")
    logs = ordered["log_probability"].to_numpy().reshape(count, rows)
    found = np.array([lognormal_mean(column) for column in logs.T])
    drawn = _drawn_rows(first["level"])
    if count >= FEWEST:
        found[:drawn, 1:] = _of_fresh_particles(found[:drawn, 0], int(first["particles"][0]) * count)
    with np.errstate(over="ignore", invalid="ignore"):
        away = np.exp(logs - logs.max(axis=0))
        relative = (
            away.std(axis=0, ddof=1) / away.mean(axis=0) / math.sqrt(count) if count > 1 else found[:, 1] * np.nan
        )
    measured = [name for name in ("acceptance", "alike", "ancestors", "family", "step") if name in ordered]
    means = {name: _mean(ordered[name], count) for name in measured}
    within = _mean(1 / ordered["ancestors"] - 1 / ordered["particles"], count)
    doubts = [
        _doubt(logs[:, row], {name: of[: row + 1] for name, of in means.items()}, within[: row + 1])
        for row in range(rows)
    ]
    if not first["reached"][0]:
        gave_up = f"populations gave up at P = {found[-1, 0]:.2g}, before the event, which may be impossible"
        doubts[-1] = "; ".join(filter(None, [gave_up, doubts[-1]]))
    columns = {"estimator": SPLITTING, "p": found[:, 0], "p_low": found[:, 1], "p_high": found[:, 2]}
    columns |= {"relative_error": relative, "populations": count, "evaluations": _total(ordered)}
    return first.select(
        pl.col("point").cast(pl.String), "horizon", "threshold", "score", "level", "particles", "reached"
    ).with_columns(
        *(
            pl.Series(name, values, nan_to_null=True) if isinstance(values, np.ndarray) else pl.lit(values).alias(name)
            for name, values in (columns | means).items()
        ),
        pl.Series("doubt", doubts),
    )


def _drawn_rows(level: pl.Series) -> int:
    """How many rows, the first level the last of them, are of fresh particles, which nothing has selected or moved."""
    return int(level.is_not_null().to_numpy().argmax()) + 1


def _of_fresh_particles(p: Floats, particles: int) -> Floats:
    """(rows, 2): Clopper and Pearson's bounds, for so many particles are independent, be it that all have it."""
    return np.column_stack(binomial_interval(np.rint(p * particles), particles, INTERVAL_LEVEL, "clopper-pearson"))


def event_row(rare: pl.DataFrame, splitting: Splitting | None) -> pl.DataFrame:
    """The event of one design point as a row of its statistics; no probability where populations gave up before it.

    rare: of `rare_statistics`. splitting: of the design point, None where that is not known.
    """
    last = rare.tail(1)
    row = last.select("point", "horizon", replicates=pl.col("populations").cast(pl.Int64), estimator=pl.lit(SPLITTING))
    interval = "clopper-pearson" if _drawn_rows(rare["level"]) == rare.height else "lognormal"
    row = row.with_columns(last["doubt"], interval=pl.lit(interval), level=pl.lit(INTERVAL_LEVEL))
    if splitting is None:
        return row
    where = {"measure": splitting.norm, "threshold_vanish": splitting.vanish, "threshold_explode": splitting.explode}
    event = f"p_{splitting.event}"
    known = {f"{event}{end}": pl.when(last["reached"]).then(last[f"p{end}"]) for end in ("", "_low", "_high")}
    return row.with_columns(**known, **{name: pl.lit(value) for name, value in where.items()})


def with_split(statistics: pl.DataFrame, split: list[pl.DataFrame]) -> pl.DataFrame:
    """The statistics of plain replicates with the rows of events below them, if there are any, and `estimator`."""
    if not split:
        return statistics
    plain = statistics.with_columns(pl.col("measure").cast(pl.String), estimator=pl.lit(PLAIN))
    return pl.concat([plain, *split], how="diagonal_relaxed")


def plain_rows(statistics: pl.DataFrame) -> pl.DataFrame:
    """Without the rows of events."""
    if "estimator" not in statistics.columns:
        return statistics
    plain = statistics.filter(pl.col("estimator") == PLAIN).drop("estimator", "doubt", strict=False)
    return plain.with_columns(pl.col("measure").cast(pl.Enum(MEASURES)))


def _total(populations: pl.DataFrame) -> int:
    return int(populations.unique("block")["evaluations"].sum())


def _mean(values: pl.Series, count: int) -> Floats:
    """(rows,) over populations, NaN where there are none."""
    whole = values.cast(pl.Float64).fill_null(np.nan).to_numpy().reshape(count, -1)
    some = np.isfinite(whole)
    return np.where(some, whole, 0).sum(axis=0) / np.where(some.any(axis=0), some.sum(axis=0), np.nan)


def _doubt(logs: Floats, means: dict[str, Floats], within: Floats) -> str:
    """Why not to trust the estimates of M populations at a threshold, "" where nothing speaks against it.

    means, within: of the rows up to this one, by rising score; NaN at those that are no level.
    """
    found = []
    dead = int(np.isneginf(logs).sum())
    if dead:
        found.append(f"{dead} of {len(logs)} populations died out")
    before = {name: of[:-1][np.isfinite(of[:-1])] for name, of in means.items()}
    if len(before["acceptance"]) and before["acceptance"].min() < LEAST_TAKEN:
        found.append(f"moves are hardly ever taken ({before['acceptance'].min():.2g})")
    if len(before["alike"]) and before["alike"].max() > MOST_ALIKE:
        found.append(f"chains stay where they began (rank correlation {before['alike'].max():.2f})")
    known = means["ancestors"][np.isfinite(means["ancestors"])]
    if len(known) and known[-1] < FEWEST_ANCESTORS:
        found.append(f"populations go back to {known[-1]:.1f} ancestors; give more particles")
    if len(logs) < FEWEST:
        found.append(f"too few populations ({len(logs)}) to say how far they are apart; give at least {FEWEST}")
    elif not dead:
        found += _disagreement(logs, within[np.isfinite(within)])
    return "; ".join(found)


def _disagreement(logs: Floats, expected: Floats) -> list[str]:
    """Where populations are further apart, or nearer to each other, than each of them should be from the truth."""
    if len(expected) and 0 < expected[-1] < 1 / FEWEST_ANCESTORS:
        ratio, freedom = float(logs.var(ddof=1)) / expected[-1], len(logs) - 1
        if ratio > SLACK * chdtri(freedom, ALARM) / freedom:
            return [f"populations disagree: {ratio:.1f} times the variance that each expects"]
        if ratio < chdtri(freedom, 1 - ALARM) / freedom:
            return [f"populations are not independent: {ratio:.2g} of the variance that each expects"]
    shares = np.exp(logs - logs.max())
    if len(logs) >= MANY and shares.max() / shares.sum() > ONE_FOR_ALL:
        return [f"one of {len(logs)} populations makes {100 * shares.max() / shares.sum():.0f} % of the estimate"]
    return []
