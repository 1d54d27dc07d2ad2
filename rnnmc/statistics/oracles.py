"""A study checked against laws that are exact: every cell judged on replicates of its own, and one verdict on all.

A cell is a (design point, horizon, measure) whose law is known. The replicates of a point are dealt out to its cells,
so that cells are independent and the number of intervals that hold is honestly a sum of independent coins. Each cell
judges one quantity, chosen without a look at the samples: a probability P(l_T < level), the level found by inverting
the law at a rung of `LADDER`; P(dead); a mean; or, where the law leaves nothing to chance, equality up to rounding.
Shares and means come from `rnnmc.statistics.point`, the code that users rely on. Levels and log-norms are in nats.
Points that any study can carry are in `rnnmc.study.oracle_points`.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import chdtr, chdtrc, ndtr, ndtri, stdtr, stdtrit

from rnnmc.chain.norms import MEASURES
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.point import point_statistics
from rnnmc.study.point import DesignPoint
from rnnmc.theory import predictions
from rnnmc.theory.law import LogNorm

JUDGED_MEASURES = (*MEASURES, "log_vector", "log_memory")
LADDER = (1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 0.997, 0.999)
MEANS = 2  # turns of a mean after each round of the ladder
FEWEST = 3  # events, and replicates without, that a probability must let expect
FEWEST_OF_A_MEAN = 500  # replicates, so that Student's t is near enough
FALSE_ALARM = 1e-6  # of the whole verdict: half of it shared evenly by the tests of all rows, half kept for what is
# approximate: Student's t of skew log-norms, and convolutions on a lattice, whose error is 1e-6
WIDEST = 690.0  # nats: e^690 and its double are still numbers
FARTHEST = 37.0  # a normal score whose tail can still be told from zero

CHECKS: dict[str, type[pl.DataType]] = {
    "point": pl.String,
    "cell": pl.String,
    "width": pl.Int64,
    "law": pl.String,
    "horizon": pl.Int64,
    "measure": pl.String,
    "quantity": pl.String,
    "at": pl.Float64,
    "truth": pl.Float64,
    "estimate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "holds": pl.Boolean,
    "expected_coverage": pl.Float64,
    "pit": pl.Float64,
    "score": pl.Float64,
    "replicates": pl.Int64,
}
COVERAGE: dict[str, type[pl.DataType]] = {
    "law": pl.String,
    "cells": pl.Int64,
    "held": pl.Int64,
    "expected": pl.Float64,
    "low": pl.Int64,
    "high": pl.Int64,
    "least": pl.Int64,
    "most": pl.Int64,
    "certain": pl.Int64,
    "certain_held": pl.Int64,
    "p_value": pl.Float64,
    "passed": pl.Boolean,
}
ALL = "all"


def checks(point: DesignPoint, samples: pl.DataFrame, interval: str = "wilson", level: float = 0.95) -> pl.DataFrame:
    """Every cell of one design point against its exact law, one row a cell; no row where no exact law speaks.

    samples: one row a (replicate, horizon), as `rnnmc.statistics.point` wants them, with columns log_vector and
    log_memory where these were observed. interval, level: of the probabilities; of means Student's t at `level`. Their
    number must not have been chosen by looking at them. Of replicates that share a weight draw the first alone counts.

    Columns CHECKS: quantity is "probability" (of l_T < at), "dead", "mean" or "certain"; expected_coverage is the
    probability with which such an interval holds at this truth and number of replicates; pit is the place of what was
    seen in the law of what could have been, uniform if the law holds and small where chains are larger than it says
    (between the atoms of a count by a random number that the cell alone decides), and score its normal score.
    Certain cells have neither: there low and high are the truth -+ rounding, and all replicates must lie between.
    """
    laws = _laws(point, samples.columns)
    horizons = [horizon for horizon in point.horizons if horizon in set(samples["horizon"].unique())]
    cells = [(horizon, measure) for measure in laws for horizon in horizons]
    turn, rows = int(point.key, 16), []
    group = getattr(getattr(point, "nested", None), "group", 1)
    samples = samples.filter(pl.col("replicate") % group == 0)
    for i, (horizon, measure) in enumerate(cells):
        law, norm = laws[measure]
        own = samples.filter(pl.col("horizon") == horizon).sort("block", "replicate").gather_every(len(cells), i)
        if (
            own.height < 2
            or (found := judged(norm, horizon, of_measure(own, measure), turn + i, interval, level, point)) is None
        ):
            continue
        keys = {"point": point.key, "cell": point.cell, "width": point.width, "law": law}
        rows.append(keys | {"horizon": horizon, "measure": measure, "replicates": own.height} | found)
    return pl.DataFrame(rows, schema=CHECKS, orient="row")


def _laws(point: DesignPoint, columns: list[str]) -> dict[str, tuple[str, LogNorm]]:
    """Measure -> (name of its exact law, the law), for every measure that was sampled."""
    found = [(law.name, prediction.log_norm) for law, prediction in predictions(point) if law.exact]
    known = {
        measure: [(name, norms[measure]) for name, norms in found if measure in norms] for measure in JUDGED_MEASURES
    }  # pyright: ignore[reportArgumentType]
    return {measure: laws[0] for measure, laws in known.items() if laws and measure in columns}


def of_measure(own: pl.DataFrame, measure: str) -> pl.DataFrame:
    """The samples of one measure, in the columns that statistics are made of."""
    if measure in ("log_spectral", "log_rms"):
        return own.with_columns(pl.col(measure).alias("log_spectral"), pl.col(measure).alias("log_rms"))
    value = pl.col(measure)
    status = pl.when(value == -math.inf).then(pl.lit("dead")).when(value == math.inf).then(pl.lit("overflow"))
    return own.with_columns(
        value.alias("log_spectral"), value.alias("log_rms"), status.otherwise(pl.lit("ok")).alias("status")
    )


def judged(
    norm: LogNorm, horizon: int, own: pl.DataFrame, turn: int, interval: str, level: float, point: DesignPoint
) -> dict[str, Any] | None:
    """What one cell says; None where none of its quantities can be judged on so few replicates."""
    values, dead = norm.values(horizon), norm.dead(horizon)
    if len(values) == 1 and dead == 0:
        return _certain(values[0], horizon, own, point)
    moments, total = norm.moments(horizon), own.height
    for step in range(len(LADDER) + MEANS):  # from this cell's turn on, the first that can be judged
        rung = (turn + step) % (len(LADDER) + MEANS)
        if rung >= len(LADDER):
            if moments is not None and not values and total >= FEWEST_OF_A_MEAN:
                return _mean(moments[0], own, level)
            continue
        cut = (-math.inf, dead) if 0 < LADDER[rung] < 1.5 * dead else _cut(norm, horizon, LADDER[rung], values, moments)
        if cut and total * min(cut[1], 1 - cut[1]) >= FEWEST and (abs(cut[0]) < WIDEST or cut[0] == -math.inf):
            return _probability(*cut, own, interval, level, f"{point.key}/{horizon}/{turn}")
    return None


def _certain(truth: float, horizon: int, own: pl.DataFrame, point: DesignPoint) -> dict[str, Any]:
    """A step may round n products, gates and scaling: by (n + 8) epsilon in all; and what is stored is rounded."""
    epsilon = float(np.finfo(point.dtype).eps)
    slack = epsilon * (horizon * (point.width + 8) + 2 * abs(truth)) + 1e-12
    found = own["log_spectral"].to_numpy()
    worst = float(found[np.argmax(np.abs(found - truth))])
    low, high = truth - slack, truth + slack
    return _row("certain", None, truth, worst, low, high, low <= worst <= high, 1.0, None)


def _mean(truth: float, own: pl.DataFrame, level: float) -> dict[str, Any]:
    """Among the living, as the law says. Without an estimate, an overflow is too large and death too small."""
    found = point_statistics(own, 1.0, 2.0).row(0, named=True)
    mean, deviation, count = found["mean"], found["deviation"], found["ok_count"]
    if mean is None or not deviation or count < 2:
        blown = found["overflow_at_count"] > 0
        return _row("mean", None, truth, mean, None, None, False, level, (-1 if blown else 1) * FARTHEST)
    error = deviation / math.sqrt(count)
    half = float(stdtrit(count - 1, (1 + level) / 2)) * error
    t = (truth - mean) / error
    score = float(-ndtri(stdtr(count - 1, -abs(t)))) * math.copysign(1, t)
    return _row("mean", None, truth, mean, mean - half, mean + half, abs(truth - mean) <= half, level, score)


def _probability(at: float, truth: float, own: pl.DataFrame, interval: str, level: float, name: str) -> dict[str, Any]:
    """P(l_T < at), or P(dead) for at = -inf, counted by `point_statistics`."""
    from scipy.stats import binom  # half a second to import, which few need

    dead = at == -math.inf
    vanish = 1.0 if dead else math.exp(at)
    found = point_statistics(own, vanish, 2 * vanish, interval, level).row(0, named=True)
    event, total = "dead_at" if dead else "vanish_at", own.height
    count, low, high = found[f"{event}_count"], found[f"p_{event}_low"], found[f"p_{event}_high"]
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    between = np.random.default_rng(int.from_bytes(digest, "little")).random()
    below = binom.cdf(count - 1, total, truth) + between * binom.pmf(count, total, truth)
    above = binom.sf(count, total, truth) + (1 - between) * binom.pmf(count, total, truth)
    score = float(ndtri(below)) if below < above else -float(ndtri(above))
    coverage = expected_coverage(total, truth, interval, level)
    quantity = "dead" if dead else "probability"
    return _row(quantity, None if dead else at, truth, count / total, low, high, low <= truth <= high, coverage, score)


def _row(
    quantity: str,
    at: float | None,
    truth: float,
    estimate: float | None,
    low: float | None,
    high: float | None,
    holds: bool,
    coverage: float,
    score: float | None,
) -> dict[str, Any]:
    score = None if score is None else min(max(score, -FARTHEST), FARTHEST)
    return {
        "quantity": quantity,
        "at": at,
        "truth": truth,
        "estimate": estimate,
        "low": low,
        "high": high,
        "holds": bool(holds),
        "expected_coverage": coverage,
        "pit": None if score is None else float(ndtr(score)),
        "score": score,
    }


def _cut(
    norm: LogNorm, horizon: int, target: float, values: tuple[float, ...], moments: tuple[float, float] | None
) -> tuple[float, float] | None:
    """(level, P(l_T < level)) with a probability near the target; None where the law knows none.

    The probability is the law's own at the level, so that the level need not be exact. Between values that have a
    probability each, or below all of them.
    """
    if values:
        levels = [values[0] - 1, *((a + b) / 2 for a, b in itertools.pairwise(values))]
        known = [(level, norm.below(level, horizon)) for level in levels]
        return min(((x, p) for x, p in known if p is not None), key=lambda cut: abs(cut[1] - target), default=None)
    mean, deviation = (moments[0], math.sqrt(moments[1])) if moments else (-0.5 * horizon, math.sqrt(horizon))
    x, low, high, stride = mean + float(ndtri(target)) * deviation, -math.inf, math.inf, deviation
    for _ in range(80):
        try:
            p = norm.below(x, horizon)
        except ArithmeticError:  # beyond the floating-point range
            p = None
        if p is None:
            return None
        if 0 < p < 1 and abs(math.log(p / (1 - p)) - math.log(target / (1 - target))) < 0.3:
            return x, p
        low, high = (x, high) if p < target else (low, x)
        if math.isfinite(low) and math.isfinite(high):
            x = (low + high) / 2
        else:
            x, stride = x + math.copysign(stride, target - p), 2 * stride
    return None


def expected_coverage(total: int, truth: float, interval: str = "wilson", level: float = 0.95) -> float:
    """Probability that the interval of this kind and level, from `total` replicates, holds the probability `truth`."""
    from scipy.stats import binom

    least, most = binom.ppf([1e-13, 1 - 1e-13], total, truth)
    count = np.arange(max(0, least - 1), min(total, most + 1) + 1)
    low, high = binomial_interval(count, total, level, interval)
    return float(binom.pmf(count, total, truth)[(low <= truth) & (truth <= high)].sum())


def coverage(found: pl.DataFrame) -> pl.DataFrame:
    """How the cells of `checks` fared, one row a law in the order of its name and one, "all", for all of them.

    Columns COVERAGE: cells, held and expected count those with something left to chance; low to high is the central
    95 % range of the number held, least to most the range outside of which the row fails; certain, certain_held: cells
    that must all hold. p_value: of the scores, twice the smaller of one for their sum, which a bias moves, and one for
    the sum of their squares, which a wrong spread moves too. passed: the number held lies between least and most, the
    p-value is not below this row's share of FALSE_ALARM, and every certain cell holds.
    """
    names = [*found["law"].unique().sort(), ALL]
    tail = FALSE_ALARM / 2 / (2 * len(names))
    rows = []
    for name in names:
        own = found if name == ALL else found.filter(pl.col("law") == name)
        certain = own.filter(pl.col("quantity") == "certain")
        random = own.filter(pl.col("quantity") != "certain")
        chances = coins(random["expected_coverage"].to_numpy())
        held, p = int(random["holds"].sum()), p_value(random["score"].to_numpy())
        (low, high), (least, most) = _range(chances, 0.05), _range(chances, tail)
        holding = int(certain["holds"].sum())
        good = least <= held <= most and p >= tail and holding == certain.height
        expected = float(random["expected_coverage"].sum())
        rows.append((name, random.height, held, expected, low, high, least, most, certain.height, holding, p, good))
    return pl.DataFrame(rows, schema=COVERAGE, orient="row")


def passed(verdict: pl.DataFrame) -> bool:
    """Whether every row of `coverage` has passed; a check of nothing proves nothing, and has not.

    With correct samples it is False with a probability of at most FALSE_ALARM.
    """
    judged = verdict.filter(pl.col("law") == ALL)
    return bool(verdict["passed"].all()) and int((judged["cells"] + judged["certain"]).sum()) > 0


def p_value(scores: NDArray[np.float64]) -> float:
    """Probability of scores this far from independent N(0, 1), in their sum or that of their squares, on both sides."""
    if not len(scores):
        return 1.0
    of_sum = 2 * float(ndtr(-abs(scores.sum()) / math.sqrt(len(scores))))
    squares = float((scores**2).sum())
    of_squares = 2 * min(float(chdtr(len(scores), squares)), float(chdtrc(len(scores), squares)))
    return min(1.0, 2 * min(of_sum, of_squares))


def coins(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k + 1,): probability that 0 ... k of k independent coins, each with its own chance, come up."""
    total = np.ones(1)
    for chance in chances:
        total = np.convolve(total, [1 - chance, chance])
    return total


def _range(chances: NDArray[np.float64], outside: float) -> tuple[int, int]:
    """The least and the largest number with no more than outside/2 of probability beyond it."""
    below, above = np.cumsum(chances), np.cumsum(chances[::-1])
    return int(np.argmax(below > outside / 2)), len(chances) - 1 - int(np.argmax(above > outside / 2))
