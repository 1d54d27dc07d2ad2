"""The gain at which a gradient turns from vanishing to exploding, by the sign of the growth rate."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from scipy.interpolate import BarycentricInterpolator
from scipy.optimize import root_scalar

from rnnmc.statistics.analyses.analysis import MIDDLE, Analysis, groups, last_rows

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

        Columns: field, the deviation of the input to a pre-activation; gains, how many; below and above, neighbouring
        gains between which the growth rate (nats a step, at the last horizon) turns positive; onset, where the
        polynomial in log gain through these and their neighbours crosses zero, with its standard error from those of
        the rates; interpolation, how far it moves where an outer gain is left out; low to high, 95 %, with the
        interpolation on top. Null where all are of one sign: the onset is below the first gain where `above` is given
        alone, beyond the last where `below` is. theory: the onset that a law of large width predicts.
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
                to = f" to {_named(last)}" if own.height > 1 else f" [{first['low']:.2f}, {first['high']:.2f}]"
                parts.append(f"with drive {driven} at {_named(first)}{to}")
            said.append(f"The growth rate of {weights} networks turns positive {', '.join(parts)}.")
        return said


def situation() -> pl.Expr:
    """What drives a network of a row of this table, in words: `field 0.3`, `none, state std 0`."""
    drive = pl.col("drive")
    driven = pl.when(drive == "none").then(drive).otherwise(pl.format("{} {}", drive, _plain("field")))
    stirred = (pl.col("state_std").fill_null(0) > 0) | (pl.col("field") == 0)
    return pl.when(stirred).then(pl.format("{}, state std {}", driven, _plain("state_std"))).otherwise(driven)


def _plain(name: str) -> pl.Expr:
    return pl.col(name).fill_null(0).cast(pl.String).str.strip_suffix(".0")


def _named(row: dict) -> str:
    return f"{row['onset']:.2f} ({row['cell']}, width {row['width']})"


def _row(found: list[dict]) -> dict | None:
    known = [row for row in found if row["growth_rate"] is not None and row["growth_rate_error"] is not None]
    if len(known) < 3:
        return None
    first = known[0]
    row = {
        name: first.get(name)
        for name in ("point", "cell", "width", "drive", "weights", "state_std", "field", "horizon")
    }
    theory = [one["theory_onset_gain"] for one in known if one.get("theory_onset_gain") is not None]
    row |= {"gains": len(known), "theory": theory[0] if theory else None}
    rising = next((i for i, one in enumerate(known) if one["growth_rate"] > 0), None)
    if rising is None:
        return row | {"below": known[-1]["gain"]}
    if rising == 0:
        return row | {"above": known[0]["gain"]}
    below, above = known[rising - 1 : rising + 1]
    row |= {"below": below["gain"], "above": above["gain"]}
    before, after = known[max(rising - 2, 0) : rising - 1], known[rising + 1 : rising + 2]
    onset, error = _crossing([*before, below, above, *after])
    fewer = [[*before, below, above], [below, above, *after]] if before and after else [[below, above]]
    interpolation = max(abs(onset - _crossing(rows)[0]) for rows in fewer)
    reach = MIDDLE * error + interpolation
    row |= {"onset": onset, "error": error, "interpolation": interpolation}
    return row | {"low": onset - reach, "high": onset + reach}


def _crossing(rows: list[dict]) -> tuple[float, float]:
    """Gain at which the polynomial in log gain through all rates is zero between the middle two, and its error.

    The error is that of the rates, to first order.
    """
    gain, rate, error = (np.array([row[name] for row in rows]) for name in ("gain", "growth_rate", "growth_rate_error"))
    x, rising = np.log(gain), int(np.argmax(rate > 0))
    curve = BarycentricInterpolator(x, rate)
    at = float(root_scalar(curve, bracket=(x[rising - 1], x[rising])).root)
    shares = BarycentricInterpolator(x, np.eye(len(x)))(at)  # of each rate in the curve's value there
    return math.exp(at), math.exp(at) * float(np.linalg.norm(shares * error) / abs(curve.derivative(at)))


ANALYSIS = Onset()
