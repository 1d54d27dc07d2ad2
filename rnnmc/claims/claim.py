"""What every claim offers: what it says, and which measurements of a study decide it under which rule.

A rule was written before anything was measured: an estimate, a bound, and on which side of the bound the claim holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import polars as pl

from rnnmc.chain.norms import SPECTRAL
from rnnmc.claims.estimate import Estimate, Share
from rnnmc.drives import label_of


@dataclass(frozen=True)
class Part:
    """One thing that a claim says, as it is decided.

    says: in a sentence without its condition. quantity: what is estimated. side: of `bound` on which the claim holds.
    asks: whether it claims that of every question, or that there are some, as "can" and "may" do.
    """

    name: str
    says: str
    quantity: str
    side: Literal["below", "above"]
    bound: float
    asks: Literal["every", "some"] = "every"

    @property
    def rule(self) -> str:
        """When it holds, and when it fails."""
        other = {"below": "above", "above": "below"}[self.side]
        enough = "; one question of which it holds is enough" if self.asks == "some" else ""
        return f"holds where the interval lies {self.side} {self.bound:g}, fails where {other}{enough}"


@dataclass(frozen=True)
class Question:
    """A part of a claim under one condition.

    where: factor -> value, what tells the conditions apart. rows: where in the study's tables the numbers stand, as
    `table: column=value, ...`.
    """

    part: Part
    where: Mapping[str, Any]
    estimate: Estimate
    rows: tuple[str, ...]


class Claim:
    """Subclass it, set the attributes, write `questions`; the instance is `CLAIM`.

    name: its number. states: the claim, as its author would have it, in short. source: where.
    """

    name: ClassVar[str]
    states: ClassVar[str]
    source: ClassVar[str] = "kexue.fm/archives/7888; docs/physics.md section 7"
    parts: ClassVar[tuple[Part, ...]]

    def questions(self, evidence: Evidence) -> Iterator[Question]:
        """Whatever this evidence can decide, in the order of the study; nothing where it has no bearing."""
        raise NotImplementedError


class Seen:
    """One design point of the evidence."""

    def __init__(self, row: Mapping[str, Any]):
        self.said: dict[str, Any] = json.loads(row["json"])
        self.row = {**row, "drive": label_of(self.said["drive"])}
        self.key, self.cell, self.width = str(row["point"]), str(row["cell"]), int(row["width"])
        self.horizons: list[int] = self.said["horizons"]

    @property
    def last(self) -> int:
        """The last horizon, in steps."""
        return self.horizons[-1]

    def law(self, role: str, gate: str | None = None) -> dict[str, Any]:
        """The law of a role, for every gate or for one; empty where it is not said, as within a preset."""
        init = self.said["init"]
        law = init.get(role, {}) if isinstance(init, dict) else {}
        law = law if gate is None else law.get(gate, {})
        return law if isinstance(law, dict) else {"constant": law}

    @property
    def forget_bias(self) -> float | None:
        """Of an LSTM with one and the same on every forget gate, where the study says so; 0 unless said."""
        init = self.said["init"]
        if isinstance(init, str) or ("preset" in init and "bias" not in init):
            return None
        bias = self.law("bias")
        law = self.law("bias", "forget") or {name: bias[name] for name in bias if name == "constant"}
        return float(law["constant"]) if law.keys() == {"constant"} else None

    @property
    def without_bias(self) -> str:
        """All that determines the point but its biases, for comparisons."""
        init = self.said["init"]
        kept = init if isinstance(init, str) else {role: law for role, law in init.items() if role != "bias"}
        kept = kept["preset"] if isinstance(kept, dict) and kept.keys() == {"preset"} else kept
        return self._all_but("init", "observables") + json.dumps(kept, sort_keys=True)

    @property
    def without_cell(self) -> str:
        """All that determines the point but its cell."""
        return self._all_but("cell", "observables")

    @property
    def without_cell_and_init(self) -> str:
        """All that determines the point but its cell and initialisation."""
        return self._all_but("cell", "init", "observables")

    @property
    def network(self) -> str:
        """All that determines the point but which horizons are stored before the last."""
        return self._all_but("horizons", "observables") + str(self.last)

    def _all_but(self, *names: str) -> str:
        return json.dumps({key: value for key, value in self.said.items() if key not in names}, sort_keys=True)

    def where(self, *factors: str, **more: Any) -> dict[str, Any]:
        """These factors of the point and others beside, in this order."""
        return {factor: self.row[factor] for factor in factors} | more


FACTORS = ("width", "init", "drive", "weights", "state_std")


def _names(observables: list[Any]) -> list[str]:
    """Of observables as a study file says them."""
    return [one if isinstance(one, str) else next(iter(one)) for one in observables]


class Evidence:
    """A study's design points and tables of statistics, as claims ask for them."""

    def __init__(self, points: pl.DataFrame, tables: Mapping[str, pl.DataFrame]):
        ours = (row for row in points.iter_rows(named=True) if not row.get("oracle"))
        self.seen = [Seen(row) for row in ours if row.get("layers", 1) == 1]  # what the article speaks of
        self.tables = tables

    def points(self, *cells: str) -> list[Seen]:
        """The points of these cells that were measured, in the order of the study; of all cells where none is named.

        Replicates that share weight draws, or whose number was chosen by looking, are no basis for these intervals. Of
        points that differ in nothing but their horizons before the last, the one with the most replicates speaks.
        """
        most: dict[str, Seen] = {}
        for one in self.seen:
            if one.cell in (cells or (one.cell,)) and self._serves(one):
                known = most.setdefault(one.network, one)
                if one.row["replicates"] > known.row["replicates"]:
                    most[one.network] = one
        return [one for one in self.seen if most.get(one.network) is one]

    def observed(self, *observables: str, cells: tuple[str, ...] = ()) -> list[Seen]:
        """The points of these cells, or of all, on which any of these observables looked."""
        looked = [one for one in self.seen if set(observables) & set(_names(one.said.get("observables", [])))]
        return [one for one in looked if one.cell in (cells or (one.cell,)) and self._serves(one)]

    def _serves(self, point: Seen) -> bool:
        fixed = point.row.get("until", point.row.get("half_width")) is None and point.row.get("nested", 1) == 1
        return fixed and (point.key, point.last) in self._statistics

    def pairs(self, more: str, less: str, observable: str | None = None) -> Iterator[tuple[Seen, Seen]]:
        """Points of two cells that differ in nothing else; where an observable is named, those on which it looked."""
        mores, lesses = (
            self.observed(observable, cells=(cell,)) if observable else self.points(cell) for cell in (more, less)
        )
        others = {one.without_cell: one for one in lesses}
        for one in mores:
            if one.without_cell in others:
                yield one, others[one.without_cell]

    def share(self, point: Seen, event: str, horizon: int | None = None) -> tuple[Share, str]:
        """The share of replicates with an event such as "vanish_at" (spectral norm), and where it stands."""
        horizon = horizon or point.last
        row = self._statistics[point.key, horizon]
        place = f"statistics: point={point.key}, horizon={horizon}, measure={SPECTRAL}, p_{event}"
        return Share(row[f"{event}_count"], row["replicates"]), place

    def rows(self, observable: str, point: Seen, **labels: Any) -> list[dict[str, Any]]:
        """Rows of what an observable saw at a point, in their order, each with `place`, where it stands."""
        table = self.tables.get(f"statistics-{observable}")
        if table is None or table.is_empty():
            return []
        wanted = pl.col("point").cast(pl.String) == point.key
        for name, value in labels.items():
            column = pl.col(name).cast(pl.String) if isinstance(value, str) else pl.col(name)
            wanted &= column == value
        place = ", ".join([f"statistics-{observable}: point={point.key}", *(f"{k}={v}" for k, v in labels.items())])
        return [row | {"place": place} for row in table.filter(wanted).iter_rows(named=True)]

    @cached_property
    def _statistics(self) -> dict[tuple[str, int], dict[str, Any]]:
        spectral = self.tables["statistics"].filter(pl.col("measure").cast(pl.String) == SPECTRAL)
        return {(str(row["point"]), row["horizon"]): row for row in spectral.iter_rows(named=True)}
