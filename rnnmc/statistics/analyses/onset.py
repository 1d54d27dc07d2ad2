"""The gain at which a gradient turns from vanishing to exploding, by the sign of the growth rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.special import ndtri

from rnnmc.statistics.analyses.analysis import Analysis, completed, freedom_of, groups, last_rows, systematic_of
from rnnmc.statistics.crossing import Curve, crossing
from rnnmc.statistics.rates import student_half

FEWEST = 3  # gains that a curve must rest on
SCHEMA = {
    "point": pl.String,
    "cell": pl.String,
    "width": pl.Int64,
    "drive": pl.String,
    "weights": pl.String,
    "state_std": pl.Float64,
    "field": pl.Float64,
    "horizon": pl.Int64,
    "gains": pl.Int64,
    "below": pl.Float64,
    "above": pl.Float64,
    "onset": pl.Float64,
    "error": pl.Float64,
    "interpolation": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "turns": pl.Int64,
    "median_onset": pl.Float64,
    "median_low": pl.Float64,
    "median_high": pl.Float64,
    "theory": pl.Float64,
}


class Onset(Analysis):
    """Where the growth rate of points that differ in their gain alone passes through zero for the first time."""

    name = "onset"
    says = (
        "The gain at which the growth rate turns positive, by cell and width, and what theory of large width predicts"
    )
    source = "docs/physics.md section 6"

    def table(self, points, statistics):
        """One row a set of at least three points that differ in the recurrent gain alone.

        Columns: field, the deviation of the input to a pre-activation; gains, how many; below and above, gains between
        which the growth rate (nats a step, at the last horizon) turns positive; onset, the zero of the polynomial in
        log gain through the rates about it, with its standard error from those of the rates; interpolation, how far it
        moves with another polynomial, beyond these errors; low to high, 95 %, by Student's law with the interpolation
        on top, as far as it reaches for the rates of either estimator (`growth_systematic`), null on a side that the
        gains about it do not bound: see `rnnmc.statistics.crossing`. Null where all are of one sign: the onset is below
        the first gain where `above` is given alone, beyond the last where `below` is. turns: how often the rate surely
        changes its sign along the gains; where more than once, as where a few networks have fallen into very negative
        rates, the onset of the mean is the first of several. median_onset, median_low, median_high: where the share of
        networks whose gradient grows is one half and so the median rate zero, in the same way from the normal scores of
        the shares. theory: the onset that a law of large
        width predicts.
        """
        rows = [
            _row(sorted(found, key=lambda row: row["gain"])) for found in groups(last_rows(points, statistics), "gain")
        ]
        return pl.DataFrame([row for row in rows if row], schema=SCHEMA, orient="row")

    def found(self, table):
        """The lowest and the highest onset of the widest networks, for every kind of weights and drive."""
        widest = (
            table.drop_nulls("onset")
            .with_columns(situation().alias("driven"))
            .filter(pl.col("width") == pl.col("width").max().over("cell", "weights", "driven"))
        )
        said = []
        for (weights,), of_weights in widest.sort("weights", "field", "state_std").group_by(
            "weights", maintain_order=True
        ):
            parts = []
            for (driven,), own in of_weights.group_by("driven", maintain_order=True):
                first, last = (own.sort("onset").row(end, named=True) for end in (0, -1))
                to = f" to {_named(last)}" if own.height > 1 else f" {bounds_text(first['low'], first['high'])}"
                parts.append(f"with drive {driven} at {_named(first)}{to}")
            said.append(f"The growth rate of {weights} networks turns positive {', '.join(parts)}.")
        several = completed(table, SCHEMA).filter(pl.col("turns") > 1)
        if not several.is_empty():
            said.append(
                f"At {several.height} of {table.height} sets of gains the mean growth rate changes its sign more than "
                "once; there the onset of the median, where half of the networks grow, says more than that of the mean."
            )
        return said


def situation() -> pl.Expr:
    """What drives a network of a row of this table: `field 0.3`, `white, m = 1, input 0.3`, `none, state std 0`."""
    drive = pl.col("drive")
    felt = pl.when(drive == "field").then(pl.format("field {}", _plain("field")))
    driven = felt.when(drive == "none").then(drive).otherwise(pl.format("{}, input {}", drive, _plain("field")))
    stirred = (pl.col("state_std").fill_null(0) > 0) | (pl.col("field") == 0)
    return pl.when(stirred).then(pl.format("{}, state std {}", driven, _plain("state_std"))).otherwise(driven)


def _plain(name: str) -> pl.Expr:
    return pl.col(name).fill_null(0).cast(pl.String).str.strip_suffix(".0")


def bounds_text(low: float | None, high: float | None) -> str:
    """`[1.52, 1.61]`, with a question mark for an end that is not known."""
    return f"[{', '.join('?' if end is None else f'{end:.2f}' for end in (low, high))}]"


def _named(row: dict) -> str:
    return f"{row['onset']:.2f} ({row['cell']}, width {row['width']})"


def _row(found: list[dict]) -> dict | None:
    known = [row for row in found if row["growth_rate"] is not None and row["growth_rate_error"] is not None]
    shares = [(row["gain"], *share_score(row), np.inf) for row in found if row.get("p_growing") is not None]
    if max(len(known), len(shares)) < FEWEST:
        return None
    first = found[0]
    names = ("point", "cell", "width", "drive", "weights", "state_std", "field", "horizon")
    row = {name: first.get(name) for name in names}
    theory = [one["theory_onset_gain"] for one in found if one.get("theory_onset_gain") is not None]
    row |= {"gains": len(known), "theory": theory[0] if theory else None}
    if len(known) >= FEWEST:
        row |= _by_either(known)
    if len(shares) >= FEWEST:
        middle = located(shares)
        row |= {f"median_{name}": middle[name] for name in ("onset", "low", "high")}
    return row


def share_score(row: dict) -> tuple[float, float]:
    """Normal score of the share that grows, 0 where it is one half, and its standard error, both from its interval.

    A share is straight in this score where rates are normal about a mean that is straight in log gain. The middle of
    the interval stands for the share, for it is never 0 or 1.
    """
    low, high = row["p_growing_low"], row["p_growing_high"]
    score = float(ndtri((low + high) / 2))
    density = float(np.exp(-(score**2) / 2) / np.sqrt(2 * np.pi))
    return score, (high - low) / (2 * float(student_half(1.0, np.inf, row["level"] or 0.95))) / density


def _by_either(known: list[dict]) -> dict[str, Any]:
    """`located` by the mean rates, with bounds as far as they reach for the rates of either estimator."""
    rates = [(one["gain"], one["growth_rate"], one["growth_rate_error"], freedom_of(one)) for one in known]
    found = located(rates)
    other = located([(one[0], one[1] + systematic_of(row), *one[2:]) for one, row in zip(rates, known, strict=True)])
    for end, further in (("low", min), ("high", max)):
        ends = (found[end], other[end])
        found[end] = None if None in ends else further(ends)
    return found


def located(numbers: Sequence[tuple[float, float, float, float]], level: float = 0.95) -> dict[str, Any]:
    """The columns below to high, and turns, of the onset; numbers: (gain, rate, error, degrees of freedom), rising."""
    gain, rate, error, freedom = (np.array(part, float) for part in zip(*numbers, strict=True))
    found = crossing(Curve(np.log(gain), rate, error, freedom), level)
    onset = None if found.at is None else float(np.exp(found.at))
    places = {"onset": found.at, "low": found.low, "high": found.high}
    said = {name: None if place is None else float(np.exp(place)) for name, place in places.items()}
    for name, place in (("below", found.below), ("above", found.above)):
        said[name] = None if place is None else float(gain[np.argmin(np.abs(np.log(gain) - place))])
    for name, gap in (("error", found.error), ("interpolation", found.bent)):
        said[name] = None if onset is None or gap is None else onset * gap
    return said | {"turns": found.turns}


ANALYSIS = Onset()
