"""How the growth rate depends on the width: its limit, and the correction of order 1/n."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import chi2

from rnnmc.statistics.analyses.analysis import Analysis, groups, last_rows

FEWEST = 3  # widths that a line must rest on
GOOD = 0.01  # p-value above which a line is taken to fit
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
    "from_width": pl.Int64,
    "limit": pl.Float64,
    "limit_error": pl.Float64,
    "slope": pl.Float64,
    "slope_error": pl.Float64,
    "p_value": pl.Float64,
    "theory": pl.Float64,
}


class FiniteWidth(Analysis):
    """Growth rates of points that differ in their width alone, against 1/n."""

    name = "finite-width"
    says = "The growth rate against the width: lambda(n) = limit + slope / n, from the widths that a line fits"
    source = "docs/physics.md section 6"

    def table(self, points, statistics):
        """One row a set of points of at least three widths with a growth rate each (nats a step, last horizon).

        widths, and rates with their errors: one entry a point, in rising order.
        limit and slope (nats a step), each with its standard error, of lambda(n) = limit + slope / n by least squares,
        weighted with the errors of the rates, over the widths from `from_width` on: the smallest from which a line fits
        (p_value of the sum of squares above 0.01), or the three largest. Where the p-value is small all the same, the
        errors say too little. theory: the growth rate that a law of large width predicts, for the largest.
        """
        rows = [
            _row(sorted(found, key=lambda row: row["width"]))
            for found in groups(last_rows(points, statistics), "width")
        ]
        return pl.DataFrame([row for row in rows if row], schema=SCHEMA, orient="row")

    def found(self, table):
        """How many sets a line fits, and how far their limits are from theory."""
        good = table.filter(pl.col("p_value") >= GOOD)
        said = f"A line in 1/n fits the growth rates of {good.height} of {table.height} networks over their widths"
        beside = good.drop_nulls("theory").with_columns((pl.col("limit") - pl.col("theory")).abs().alias("away"))
        if not beside.is_empty():
            said += (
                f"; its limit is within 3 standard errors of the theory of large width in "
                f"{beside.filter(pl.col('away') <= 3 * pl.col('limit_error')).height} of {beside.height}"
            )
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
    theory = last.get("theory_growth_rate")
    for start in range(len(known) - FEWEST + 1):
        used = known[start:]
        fit = line(*(np.array([one[name] for one in used]) for name in ("width", "growth_rate", "growth_rate_error")))
        if fit["p_value"] >= GOOD:
            break
    return row | fit | {"from_width": used[0]["width"], "theory": theory}


def line(width: np.ndarray, rate: np.ndarray, error: np.ndarray) -> dict[str, float]:
    """limit, slope, their errors and the p-value of rate = limit + slope / width by weighted least squares."""
    design = np.stack([np.ones(len(width)), 1 / width], axis=1) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    limit, slope = covariance @ design.T @ (rate / error)
    squares = (((rate - limit - slope / width) / error) ** 2).sum()
    limit_error, slope_error = np.sqrt(np.diag(covariance))
    p = float(chi2.sf(squares, len(width) - 2))
    numbers = {"limit": limit, "limit_error": limit_error, "slope": slope, "slope_error": slope_error, "p_value": p}
    return {name: float(value) for name, value in numbers.items()}


ANALYSIS = FiniteWidth()
