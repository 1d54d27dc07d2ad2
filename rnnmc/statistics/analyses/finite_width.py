"""How the growth rate depends on the width: its limit, and the corrections of order 1/n and 1/n^2."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.special import chdtrc

from rnnmc.common.arrays import Floats
from rnnmc.statistics.analyses.analysis import Analysis, freedom_of, groups, last_rows, systematic_of
from rnnmc.statistics.rates import pooled_freedom, student_half

FEWEST = 3  # widths that a curve must rest on
DEGREES = (1, 2)  # of the polynomials in 1/n
PENALTY = 2.0  # of each coefficient, and of each width that is left out (Akaike)
GOOD = 0.01  # p-value above which a curve is taken to fit
SCHEMA = {
    "point": pl.String,
    "cell": pl.String,
    "init": pl.String,
    "drive": pl.String,
    "weights": pl.String,
    "state_std": pl.Float64,
    "horizon": pl.Int64,
    "widths": pl.List(pl.Int64),
    "rates": pl.List(pl.Float64),
    "errors": pl.List(pl.Float64),
    "freedoms": pl.List(pl.Float64),
    "from_width": pl.Int64,
    "limit": pl.Float64,
    "limit_error": pl.Float64,
    "limit_low": pl.Float64,
    "limit_high": pl.Float64,
    "slope": pl.Float64,
    "slope_error": pl.Float64,
    "curvature": pl.Float64,
    "p_value": pl.Float64,
    "theory": pl.Float64,
}


class FiniteWidth(Analysis):
    """Growth rates of points that differ in their width alone, against 1/n."""

    name = "finite-width"
    says = "The growth rate against the width: lambda(n) = limit + slope / n + curvature / n^2, averaged over all fits"
    source = "docs/physics.md sections 6 and 8"

    def table(self, points, statistics):
        """One row a set of points of at least three widths with a growth rate each (nats a step, last horizon).

        widths, and rates with their errors and the degrees of freedom of these: one entry a point, in rising order.
        limit, slope and curvature (nats a step) of lambda(n) = limit + slope / n + curvature / n^2, with standard
        errors and the 95 % interval of the limit, as far as it reaches for the rates of either estimator: the mean over
        all fits of a line and of a parabola in 1/n from every width on, each as likely as `averaged` says. from_width:
        where the likeliest of them begins; p_value: of the sum of squares of the likeliest that does not pass through
        all its rates whatever they are. Where that is below 0.01 no such curve fits, the errors say too little, and the
        limit has no interval. theory: the growth rate that a law of large
        width predicts, for the largest.
        """
        rows = [
            _row(sorted(found, key=lambda row: row["width"]))
            for found in groups(last_rows(points, statistics), "width")
        ]
        return pl.DataFrame([row for row in rows if row], schema=SCHEMA, orient="row")

    def found(self, table):
        """How many sets a curve fits, and how far their limits are from theory."""
        good = table.filter(pl.col("p_value") >= GOOD)
        said = (
            f"A line or a parabola in 1/n fits the growth rates of {good.height} of {table.height} networks over their "
            "widths"
        )
        beside = good.drop_nulls("theory")
        if not beside.is_empty():
            inside = beside.filter(pl.col("theory").is_between("limit_low", "limit_high")).height
            said += f"; the 95 % interval of its limit holds the theory of large width in {inside} of {beside.height}"
        return [f"{said}."]


def _row(found: list[dict]) -> dict | None:
    known = [row for row in found if row["growth_rate"] is not None and row["growth_rate_error"]]
    if len(known) < FEWEST:
        return None
    first, last = known[0], known[-1]
    names = ("point", "cell", "init", "drive", "weights", "state_std", "horizon")
    row = {name: first.get(name) for name in names}
    columns = {"widths": "width", "rates": "growth_rate", "errors": "growth_rate_error"}
    row |= {name: [one[column] for one in known] for name, column in columns.items()}
    row["freedoms"] = [freedom_of(one) for one in known]
    width, rate, error, freedom = (np.array(row[name], float) for name in ("widths", "rates", "errors", "freedoms"))
    fitted = averaged(width, rate, error, freedom)
    other = averaged(width, rate + np.array([systematic_of(one) for one in known]), error, freedom)
    fits = fitted["p_value"] >= GOOD
    bounds = {"limit_low": min, "limit_high": max}
    ends = {end: further(fitted[end], other[end]) if fits else None for end, further in bounds.items()}
    return row | fitted | ends | {"theory": last.get("theory_growth_rate")}


class Fit(NamedTuple):
    """A polynomial in 1/n by weighted least squares, from the width at `start` on.

    coefficients of the constant, 1/n and 1/n^2, their variance and the degrees of freedom of this, (3,) each; 0 with
    variance 0 where the polynomial has none. squares: of residuals over errors, summed. left: rates less coefficients.
    """

    start: int
    coefficients: Floats
    variance: Floats
    freedom: Floats
    squares: float
    left: int


def fit(width: Floats, rate: Floats, error: Floats, freedom: Floats, start: int = 0, degree: int = 1) -> Fit:
    """One fit, of the widths from the one at `start` on; all arrays (widths,)."""
    own = slice(start, None)
    scale = 1 / error[own]
    design = np.vander(1 / width[own], degree + 1, increasing=True)
    solve = np.linalg.pinv(design * scale[:, None], rcond=1e-15) * scale  # coefficients from rates
    parts = (solve * error[own]) ** 2
    numbers = np.zeros((3, 3))
    numbers[0, : degree + 1], numbers[1, : degree + 1] = solve @ rate[own], parts.sum(axis=1)
    numbers[2] = np.inf
    numbers[2, : degree + 1] = [pooled_freedom(part, freedom[own]) for part in parts]
    residuals = (rate[own] - design @ (solve @ rate[own])) * scale
    squares = float((residuals**2).sum())
    return Fit(start, numbers[0], numbers[1], numbers[2], squares, len(scale) - degree - 1)


def averaged(width: Floats, rate: Floats, error: Floats, freedom: Floats, level: float = 0.95) -> dict[str, float]:
    """limit, slope and curvature with their errors, from all fits together; arrays (widths,), at least three.

    A fit is as likely as exp(-(squares + 2 coefficients + 2 widths left out) / 2), and what the fits differ by is part
    of the error: Jay and Neil, Physical Review D 103 (2021) 114502. One fit alone, from where a line first passes a
    test on, has an interval that holds the limit half of the time under mild curvature; docs/validation.md.
    """
    fits = [
        fit(width, rate, error, freedom, start, degree)
        for start in range(len(width) - FEWEST + 1)
        for degree in DEGREES
    ]
    cost = np.array([one.squares + PENALTY * (len(width) - one.left) for one in fits])
    share = np.exp(-(cost - cost.min()) / 2)
    share /= share.sum()
    coefficients, variance, degrees = (np.array([one[i] for one in fits]) for i in (1, 2, 3))
    mean = share @ coefficients
    errors = np.sqrt(share @ variance + share @ (coefficients - mean) ** 2)
    half = float(student_half(errors[0], 1 / (share @ (1 / degrees))[0], level))
    best = fits[int(np.argmax(share))]
    tested = fits[int(np.argmax(np.where([one.left > 0 for one in fits], share, -1)))]
    numbers = {"limit": mean[0], "limit_error": errors[0], "limit_low": mean[0] - half, "limit_high": mean[0] + half}
    numbers |= {"slope": mean[1], "slope_error": errors[1], "curvature": mean[2]}
    numbers |= {"p_value": chdtrc(tested.left, tested.squares) if tested.left > 0 else np.nan}
    return {name: float(value) for name, value in numbers.items()} | {"from_width": int(width[best.start])}


ANALYSIS = FiniteWidth()
