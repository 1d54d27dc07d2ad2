"""Growth rate and probabilities over gain and field: where gradients vanish, and where they explode."""

from __future__ import annotations

import polars as pl

from rnnmc.statistics.analyses.analysis import Analysis, groups, last_rows

FEWEST = 3  # gains, and fields, that make a map
NUMBERS = ("growth_rate", "growth_rate_error", "growth_rate_low", "growth_rate_high", "growth_median", "p_growing")
NUMBERS += ("p_vanish_at", "p_stable_at", "p_explode_at")
SCHEMA = {
    "point": pl.String,
    "cell": pl.String,
    "width": pl.Int64,
    "weights": pl.String,
    "state_std": pl.Float64,
    "gain": pl.Float64,
    "field": pl.Float64,
    "horizon": pl.Int64,
    **dict.fromkeys(NUMBERS, pl.Float64),
    "theory": pl.Float64,
}


class Phase(Analysis):
    """Every point of a set that differs in gain and field alone."""

    name = "phase"
    says = "Growth rate and outcome over the recurrent gain and the deviation of the input"
    source = "docs/physics.md section 6"

    def table(self, points, statistics):
        """One row a point, of sets with at least three gains and three fields, by gain and field.

        gain: g, recurrent weights N(0, g^2/n). field: the deviation of what a drive of unit variance brings to a
        pre-activation. Then the spectral norm at the last horizon: growth_rate, its error and its interval (nats a
        step), the median rate and the share of networks that grow, the probabilities, and the growth rate that a law
        of large width predicts.
        """
        rows = []
        for found in groups(last_rows(points, statistics), "gain", "field"):
            if min(len({row[name] for row in found}) for name in ("gain", "field")) >= FEWEST:
                for row in sorted(found, key=lambda row: (row["gain"], row["field"])):
                    kept = {name: row.get(name) for name in SCHEMA if name != "theory"}
                    rows.append(kept | {"theory": row.get("theory_growth_rate")})
        return pl.DataFrame(rows, schema=SCHEMA, orient="row")

    def found(self, table):
        """Over how much of each map gradients surely grow on average, and where that is open."""
        said = []
        for (cell,), own in table.group_by("cell", maintain_order=True):
            grow = own.filter(pl.col("growth_rate_low") > 0).height
            shrink = own.filter(pl.col("growth_rate_high") < 0).height
            open_at = own.height - grow - shrink
            said.append(f"{cell} {grow} of {own.height}" + (f" ({open_at} open)" if open_at else ""))
        return [f"Gradients surely grow at so many points of the maps: {', '.join(said)}."]


ANALYSIS = Phase()
