"""How far measured growth rates lie from those that laws of large width predict, point by point."""

from __future__ import annotations

import math

import polars as pl

from rnnmc.statistics.analyses.analysis import Analysis, freedom_of, last_rows, systematic_of
from rnnmc.statistics.rates import deviation_from, pooled_freedom, student_half

APART = 3.0  # standard errors
SCHEMA = {
    "point": pl.String,
    "cell": pl.String,
    "width": pl.Int64,
    "init": pl.String,
    "drive": pl.String,
    "weights": pl.String,
    "state_std": pl.Float64,
    "horizon": pl.Int64,
    "law": pl.String,
    "growth_rate": pl.Float64,
    "growth_rate_error": pl.Float64,
    "growth_systematic": pl.Float64,
    "theory": pl.Float64,
    "theory_error": pl.Float64,
    "difference": pl.Float64,
    "difference_low": pl.Float64,
    "difference_high": pl.Float64,
    "times_width": pl.Float64,
    "score": pl.Float64,
}


class AgainstTheory(Analysis):
    """Measured less predicted, of every design point that has a law of large width."""

    name = "against-theory"
    says = "Measured growth rates less those that theory of large width predicts, the furthest apart first"
    source = "docs/physics.md sections 6, 8 and 9"

    def table(self, points, statistics):
        """One row a design point with a predicted rate that is not exact, at its last horizon; nats a step.

        growth_rate and theory with their standard errors (theory_error: of a law that samples, else 0), and
        growth_systematic as in the statistics. difference: measured less predicted, with its 95 % interval: Student's,
        and as far as growth_systematic reaches; null without an error. times_width: n times it, which stays as
        the width grows where the correction is of order 1/n. score: standard errors of both together by which the
        prediction lies outside of what the two estimators leave open, as far out as a normal law has them; null without
        an error. Those with the largest score first.
        """
        rows = [_row(row) for row in last_rows(points, statistics).iter_rows(named=True)]
        table = pl.DataFrame([row for row in rows if row], schema=SCHEMA, orient="row")
        return table.sort(pl.col("score").abs(), descending=True, nulls_last=True, maintain_order=True)

    def found(self, table):
        """How many are further apart than errors tell, and by how much in the widest networks."""
        apart = table.filter(pl.col("score").abs() > APART)
        widest = table.filter(pl.col("width") == pl.col("width").max())
        judged = table.height - table["score"].null_count()
        typical = float(widest["difference"].abs().median() or 0.0)  # pyright: ignore[reportArgumentType]
        said = (
            f"Of {judged} design points that theory of large width speaks of, the measured rate is within "
            f"{APART:g} standard errors of it at {judged - apart.height}; at {widest['width'].max()} units they "
            f"differ by {typical:.2g} nats a step in the median."
        )
        return [said]


def _row(row: dict) -> dict | None:
    rate, theory = row["growth_rate"], row.get("theory_growth_rate")
    if rate is None or theory is None or row["theory_growth_exact"]:
        return None
    error, other = row["growth_rate_error"], row["theory_growth_rate_error"] or 0.0
    difference, systematic, freedom = rate - theory, systematic_of(row), freedom_of(row)
    score = low = high = None
    if error is not None:
        score = deviation_from(theory, rate, systematic, (error, other), freedom)
        squares = [error**2, other**2]
        half = float(student_half(math.hypot(error, other), pooled_freedom(squares, [freedom, math.inf])))
        low, high = difference + min(systematic, 0.0) - half, difference + max(systematic, 0.0) + half
    own = {"law": row["theory_growth_law"], "theory": theory, "theory_error": other, "difference": difference}
    own |= {"difference_low": low, "difference_high": high}
    kept = {name: row.get(name) for name in SCHEMA if name in row}
    return kept | own | {"times_width": difference * row["width"], "score": score}


ANALYSIS = AgainstTheory()
