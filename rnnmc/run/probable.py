"""How probable it is what a search has found networks with, and whether populations have missed where these lie."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rnnmc.common.errors import UsageError
from rnnmc.common.quiet import on_the_way
from rnnmc.common.words import listed
from rnnmc.engine.draws import stream
from rnnmc.engine.splitting.descent import descended, settled
from rnnmc.engine.splitting.population import ByRole
from rnnmc.engine.splitting.run import plan as plan_of_point
from rnnmc.engine.splitting.score import Scorer
from rnnmc.networks.lifting import coordinates_of
from rnnmc.numerics.threads import one_thread
from rnnmc.run.rare import RareAnswer, rare_answer
from rnnmc.run.search import Search, Wanted
from rnnmc.store.tables import write_parquet
from rnnmc.study.options import in_rows, splitting_wanted
from rnnmc.study.point import DesignPoint

MOST_NETWORKS, MOST_TRIED = 4, 8  # from which chains go down
APART = 4.0  # times outside of the interval of populations, from which on chains do not say the same


@dataclass(frozen=True)
class Probable:
    """What populations say of the event, and what chains say that go down from networks with it.

    found: start (its place among the networks found), log_norm, and p, the probability of the event that chains down
    from it give; null where they do not get away from it.
    """

    rare: RareAnswer
    found: pl.DataFrame

    @property
    def told(self) -> list[str]:
        """In sentences."""
        row, point = self.rare.statistics.row(-1, named=True), self.rare.point
        interval = "" if row["p_low"] is None else f" [{row['p_low']:.2g}, {row['p_high']:.2g}]"
        what = point.rare_event.told if row["reached"] else f"norm past {row['threshold']:.3g}, as far as they came"
        doubt = f"; DO NOT TRUST: {row['doubt']}" if row["doubt"] else ""
        said = [
            f"{row['populations']} populations of {row['particles']:,}: P({what}) = {row['p']:.3g}{interval}{doubt}"
        ]
        known, tried = self.found["p"].drop_nulls(), self.found.height
        if not tried:
            last = (
                "The search has found no network with it that chains could go down from, to see what populations miss"
            )
        elif known.is_empty():
            last = (
                f"Chains do not get away from any of {tried} networks found: they lie in corners too thin to say more"
            )
        else:
            chances = listed([f"{p:.2g}" for p in known])
            last = f"Chains down from {len(known)} of {tried} networks found give {chances}: {self._verdict}"
        return [*said, last]

    @property
    def _verdict(self) -> str:
        if not self.missed:
            return "populations have not missed where these lie"
        return (
            f"DO NOT TRUST the populations: {self.missed} of them come from where no population has been, or move too "
            "slowly; give more particles"
        )

    @property
    def missed(self) -> int:
        """How many of the networks speak against the populations."""
        row = self.rare.statistics.row(-1, named=True)
        low, high = row["p_low"] or row["p"], row["p_high"] or row["p"]
        return self.found.filter((pl.col("p") < low / APART) | (pl.col("p") > high * APART)).height

    def write(self, folder: Path) -> None:
        """Leave both tables in the folder of a search. Raises RunError."""
        for name, table in {"networks": self.found, "curve": self.rare.statistics.drop("point")}.items():
            write_parquet(folder / f"{name}.parquet", table)

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {"told": self.told, "networks": in_rows(self.found), "curve": in_rows(self.rare.statistics)}


def probable(found: Search, point: DesignPoint, populations: int) -> Probable:
    """Run populations of a point of `split_for`, and chains down from the networks found that have the event, if any.

    Raises UsageError where the draws of the point are not made of normal numbers, or not of numbers that follow from
    them, and where its event is not rare.
    """
    ends = found.ends.of(slice(0, found.reached))
    lifted = coordinates_of(point, ends) if found.reached else {}  # before populations, for it may refuse
    rare = rare_answer(point, populations)
    plan, score = plan_of_point(point), Scorer(point, point.rare_event)
    levels = rare.statistics.filter(pl.col("level").is_not_null()).sort("level")
    if levels.height < 2:
        raise UsageError(f"{point.rare_event.told}: P = {levels['p'][-1]:.2g} is not rare; rnnmc measure finds it")
    rows = []
    with one_thread():
        for at, top in _nearest(lifted):
            on_the_way(f"{point.label}: chains go down from a network of log-norm {ends.log_norm[at]:.3g}")
            rng = stream(point.key, -2 - at, 0, "splitting", point.dtype)
            now = settled(score, top, plan.levels[-1], levels["p"][-1], rng)
            p = None if now is None else levels["p"][0] * math.exp(descended(score, now, plan, rng).sum())
            rows.append({"start": at, "log_norm": float(ends.log_norm[at]), "p": p})
            if sum(row["p"] is not None for row in rows) == MOST_NETWORKS:
                break
    return Probable(rare, pl.DataFrame(rows, schema={"start": pl.Int64, "log_norm": pl.Float64, "p": pl.Float64}))


def _nearest(lifted: ByRole) -> Iterator[tuple[int, ByRole]]:
    """The networks whose coordinates are shortest, which are the nearest to what is drawn: (place, that one alone)."""
    length = np.add.reduce([np.square(z).sum(axis=1) for z in lifted.values()]) if lifted else np.zeros(0)
    for at in np.argsort(length)[:MOST_TRIED].tolist():
        yield at, {role: z[at : at + 1] for role, z in lifted.items()}


def split_for(wanted: Wanted, particles: int, smallest: float) -> DesignPoint:
    """The point with splitting for the event that is searched for, in the precision that `rnnmc measure` has. Raises
    UsageError for numbers that cannot be.
    """
    limit, point = wanted.threshold, wanted.point
    vanish, explode = (min(1e-3, limit / 10), limit) if wanted.grow else (limit, max(1e3, 10 * limit))
    splitting = splitting_wanted(
        event="explode" if wanted.grow else "vanish",
        particles=particles,
        smallest=smallest,
        vanish=vanish,
        explode=explode,
    )
    return point.model_copy(update={"splitting": splitting, "dtype": "float32"})
