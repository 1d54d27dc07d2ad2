"""Whether the initialisations that keep their gradient are those whose networks learn."""

from __future__ import annotations

import numpy as np
import polars as pl

from rnnmc.statistics.analyses.analysis import Analysis, spectral_rows
from rnnmc.statistics.rank_correlation import rank_correlation

KEEPS = 0.5  # P(stable by T) from which on an initialisation counts as one that keeps its gradient
SCHEMA = {
    "point": pl.String,
    "cell": pl.String,
    "width": pl.Int64,
    "init": pl.String,
    "drive": pl.String,
    "horizon": pl.Int64,
    "clipped": pl.String,
    "replicates": pl.Int64,
    "p_stable": pl.Float64,
    "p_stable_low": pl.Float64,
    "p_stable_high": pl.Float64,
    "trained": pl.Int64,
    "p_learnt": pl.Float64,
    "p_learnt_low": pl.Float64,
    "p_learnt_high": pl.Float64,
    "initialisations": pl.Int64,
    "losing_initialisations": pl.Int64,
    "learnt_losing": pl.Float64,
    "learnt_keeping": pl.Float64,
    "rank_correlation": pl.Float64,
    "rank_correlation_low": pl.Float64,
    "rank_correlation_high": pl.Float64,
}
GROUP = ("drive", "horizon", "clipped")


class Trainability(Analysis):
    """P(learnt) of what `training` has seen against P(stable by T) of the same initialisation, T a sequence."""

    name = "trainability"
    says = (
        "The share of networks that learn a task of T steps against the probability that their gradient at "
        "initialisation stays between the thresholds for T steps; the rank correlation is over initialisations"
    )
    source = "Pascanu, Mikolov, Bengio 2013; config/trainability.yaml"
    observable = "training"

    def table(self, points, statistics):
        """One row a (design point, clipped): p_stable, P(stable by T), and p_learnt, with intervals.

        The same for all rows of a task, T and clipped: over its initialisations, each a cell and an init with the means
        over its design points, rank_correlation of p_learnt with p_stable and its 95 % interval, were they drawn from
        all that are like these (`rnnmc.statistics.rank_correlation`); losing_initialisations, how many of them have
        p_stable below KEEPS, and the mean p_learnt of these, learnt_losing, and of the others, learnt_keeping.
        """
        if "p_learnt" not in statistics.columns:
            return pl.DataFrame(schema=SCHEMA)
        ends = ("", "_low", "_high")
        rows = (
            spectral_rows(points, statistics)
            .rename({f"p_stable_by{end}": f"p_stable{end}" for end in ends} | {"training_replicates": "trained"})
            .drop_nulls(["p_learnt", "p_stable"])
        )
        found = [_over_initialisations(group) for _, group in rows.group_by(GROUP, maintain_order=True)]
        table = pl.concat([rows.clear().with_columns(pl.lit(None, SCHEMA[name]).alias(name) for name in NEW), *found])
        return table.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())

    def found(self, table):
        """What became of initialisations that keep their gradient and of others, for each task, T and clipping."""
        sentences = []
        for row in table.unique(GROUP, maintain_order=True, keep="first").iter_rows(named=True):
            losing, kept = row["losing_initialisations"], row["initialisations"] - row["losing_initialisations"]
            parts = [
                f"{100 * row[name]:.0f} % of the networks of the {number} initialisations with P(stable by T) {side} "
                f"{KEEPS:g}"
                for name, number, side in (("learnt_losing", losing, "below"), ("learnt_keeping", kept, "of at least"))
                if number
            ]
            rank, low, high = (row[name] for name in NEW[-3:])
            correlation = "" if rank is None else f"; rank correlation {rank:.2f} [{low:.2f}, {high:.2f}]"
            task, how = row["drive"].partition(",")[0], "" if row["clipped"] == "yes" else "not "
            sentences.append(
                f"{task}, T = {row['horizon']}, gradients {how}clipped: {' and '.join(parts)} learn{correlation}."
            )
        return sentences

    def example(self, statistics):
        """As if networks learnt the better the more of them are stable."""
        share = pl.col("p_stable_by") * 0.8
        learnt = [(share + more).alias(f"p_learnt{end}") for end, more in (("", 0.0), ("_low", -0.1), ("_high", 0.1))]
        trained = pl.lit(20, pl.Int64).alias("training_replicates")
        return pl.concat(
            statistics.with_columns(*learnt, trained, pl.lit(clipped).alias("clipped")) for clipped in ("no", "yes")
        )


NEW = tuple(SCHEMA)[-7:]


def _over_initialisations(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of one task, T and clipping, with what they have in common."""
    each = rows.group_by("cell", "init", maintain_order=True).agg(pl.col("p_stable", "p_learnt").mean())
    stable, learnt = each["p_stable"].to_numpy(), each["p_learnt"].to_numpy()
    losing = stable < KEEPS
    shares = [float(learnt[some].mean()) if some.any() else np.nan for some in (losing, ~losing)]
    common = (len(each), int(losing.sum()), *shares, *rank_correlation(stable, learnt))
    return rows.with_columns(
        pl.lit(value, SCHEMA[name]).fill_nan(None).alias(name)
        if SCHEMA[name] == pl.Float64
        else pl.lit(value, SCHEMA[name]).alias(name)
        for name, value in zip(NEW, common, strict=True)
    )


ANALYSIS = Trainability()
