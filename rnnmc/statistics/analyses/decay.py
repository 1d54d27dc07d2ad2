"""How the share of networks whose gradient has stayed falls with the horizon: as an exponential, or as a power."""

from __future__ import annotations

import math

import polars as pl

from rnnmc.statistics.analyses.analysis import Analysis, spectral_rows
from rnnmc.statistics.intervals import binomial_interval
from rnnmc.statistics.stopping import INTERVAL

FEWEST = 20  # replicates that are still stable a decade before
RISK = 0.05
SCHEMA = {
    "point": pl.String,
    "mode": pl.String,
    "horizon": pl.Int64,
    "since": pl.Int64,
    "share_since": pl.Float64,
    "share": pl.Float64,
    "exponent": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


class Decay(Analysis):
    """-d log P(stable) / d log T over each decade of horizons."""

    name = "decay"
    says = (
        "How steeply the share of networks falls whose norm is between the thresholds at T, or has been up to T: "
        "an exponent that stays is a power law (1/2 for a random walk at T), one that grows with T an exponential"
    )
    source = "docs/physics.md sections 3.6 and 7, claim A1"

    def table(self, points, statistics):
        """One row a (point, mode, decade) between stored powers of ten.

        mode: "at" or "by". horizon and since: the ends of the decade, in steps; share and share_since: P(stable) there;
        exponent = -log10(share / share_since), 1/2 for an unbiased random walk at T, T / (scale) for an exponential;
        low to high: its 95 % interval. By T the stable are among those by T/10, so that the ratio of the shares is a
        binomial proportion (Clopper-Pearson); at T the intervals of both shares are combined, each with half the risk.
        Where replicates share weight draws, or were sampled until enough was known, those of the statistics are, as of
        independent shares (Zou and Donner, Statistics in Medicine 27 (2008) 1693); what stays is alike at both ends,
        which makes them no narrower.
        Left out where fewer than 20 replicates are stable at the beginning. high is infinite where none is at the end.
        """
        rows = []
        for (point,), of_point in spectral_rows(points, statistics).group_by("point", maintain_order=True):
            found = {row["horizon"]: row for row in of_point.iter_rows(named=True)}
            for horizon in found:
                since = horizon // 10
                if str(horizon).strip("0") == "1" and since in found:
                    rows += [_row(str(point), mode, found[since], found[horizon]) for mode in ("at", "by")]
        return pl.DataFrame([row for row in rows if row], schema=SCHEMA, orient="row")

    def found(self, table):
        """How many curves fall more steeply in their last decade than a random walk, and how many less."""
        last = table.filter(pl.col("mode") == "at", pl.col("horizon") == pl.col("horizon").max().over("point"))
        steeper, flatter = (last.filter(one).height for one in (pl.col("low") > 0.5, pl.col("high") < 0.5))
        said = (
            "In the last decade that can be judged the share of networks between the thresholds falls more steeply "
            f"than 1/sqrt(T), a random walk's, at {steeper} of {last.height} design points, and less at {flatter}."
        )
        return [said]


def _row(point: str, mode: str, before: dict, after: dict) -> dict | None:
    count, left, total = before[f"stable_{mode}_count"], after[f"stable_{mode}_count"], after["replicates"]
    if count < FEWEST:
        return None
    if after.get("weight_draws", total) < total or after.get("interval") == INTERVAL:
        low, high = _of_draws(mode, before, after)
    elif mode == "by":
        low, high = (float(bound) for bound in binomial_interval(left, count, 1 - RISK, "clopper-pearson"))
    else:
        (a, b), (c, d) = (binomial_interval(n, total, 1 - RISK / 2, "clopper-pearson") for n in (count, left))
        low, high = float(c / b), float(d / a)
    row = {"point": point, "mode": mode, "horizon": after["horizon"], "since": before["horizon"]}
    row |= {"share_since": count / total, "share": left / total, "exponent": _exponent(left / count)}
    return row | {"low": _exponent(high), "high": _exponent(low)}


def _of_draws(mode: str, before: dict, after: dict) -> tuple[float, float]:
    """Bounds of the ratio of two shares from the intervals of each, which heed shared weight draws."""
    name = f"p_stable_{mode}"
    (p, low, high), (q, least, most) = (
        [row[f"{name}{end}"] for end in ("", "_low", "_high")] for row in (before, after)
    )
    if q == 0:
        return 0.0, most / low if low > 0 else math.inf
    down = math.hypot(math.log(q / least), math.log(high / p)) if least > 0 else math.inf
    up = math.hypot(math.log(most / q), math.log(p / low)) if low > 0 else math.inf
    return q / p * math.exp(-down), q / p * math.exp(up)


def _exponent(ratio: float) -> float:
    return -math.log10(ratio) + 0.0 if ratio > 0 else math.inf


ANALYSIS = Decay()
