"""A claim against what every claim promises: parts with their rules, and questions that studies answer either way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from rnnmc.cells import cells
from rnnmc.claims import CONDITIONS, FAILS, HOLDS, WRONG, decided, verdicts
from rnnmc.claims.claim import Claim, Evidence, Question
from rnnmc.common.checks import CheckResult, checked, hold
from rnnmc.common.errors import UsageError
from rnnmc.observables import observables
from rnnmc.run.checks.observable import looked
from rnnmc.statistics.made_up import EXPLODE, HORIZONS, VANISH, planned, study_of
from rnnmc.statistics.summaries import Settings, summed_up
from rnnmc.study.point import DesignPoint
from rnnmc.study.study import PlannedPoint

INITS: tuple[Any, ...] = (
    "pytorch",
    "keras",
    {"recurrent": {"gaussian": 1.0}},
    {"recurrent": {"gaussian": 1.0, "clip": 1.0}},
    {"recurrent": {"gaussian": 1.0, "spectral_radius": 1.0}},
    {"recurrent": {"contraction": 2.0}},
    *({"preset": "pytorch", "bias": {"forget": bias}} for bias in (0.0, 1.0, 3.0)),
)
LAST = 10_000  # steps; beyond those of other made-up studies, as some claims speak of many thousands
DRIFTS = ((-0.1, 0.2), (0.1, 0.2), (0.0, 0.2), (0.0, 0.02))  # nats a step, and a root step: vanishes, explodes, stays
STUDIES = 20  # made up: all points alike, and each with an outcome that is drawn
MANY = 100_000  # replicates, so that every interval is short
LOOKED = {"width": 24, "init": INITS[2], "drive": "white", "horizons": (1, 10, 12, 100, 120)}  # that wide, for a
# tile of narrower networks has thousands of them


def check_claim(claim: Claim, evidence: tuple[Evidence, ...] = ()) -> list[CheckResult]:
    """The results of every check of this claim; never raises for a mistake of it.

    evidence: studies in some of which each part of it holds, and in others fails; by default made-up ones, over cells,
    initialisations, where each point vanishes, explodes or stays, and what observables saw is large or small.
    """
    asked: list[Question] = []

    def ask() -> None:
        for one in evidence or studies():
            asked.extend(claim.questions(one))
        hold(bool(asked), "it asks nothing of any study")

    checks = (
        ("described", "name, states and source are there, and states ends with a full stop", lambda: _said(claim)),
        ("parts", "each part has a name of its own, says, quantity, side and bound", lambda: _parts(claim)),
        ("nothing", "of a study without points it asks nothing", lambda: _nothing(claim)),
        ("asks", "something of some study", ask),
        ("questions", "of each part, with factors that conditions know and the rows", lambda: _questions(claim, asked)),
        (
            "decides",
            "each part holds in some study and fails in another",
            lambda: _decides(claim, evidence or studies()),
        ),
    )
    return [checked(*check) for check in checks]


def _said(claim: Claim) -> None:
    for name in ("name", "states", "source"):
        text = getattr(claim, name, None)
        hold(isinstance(text, str) and bool(text.strip()), f"{name} is {text!r}; give a text")
    hold(claim.states.endswith("."), f"{claim.states!r} does not")


def _parts(claim: Claim) -> None:
    hold(bool(claim.parts), "there is none")
    hold(len({part.name for part in claim.parts}) == len(claim.parts), "two have the same name")
    for part in claim.parts:
        hold(bool(part.name and part.says and part.quantity and part.rule), f"{part.name or 'one'} leaves out words")
        hold(part.side in ("below", "above"), f"{part.name} is on the side {part.side!r}")
        hold(part.asks in ("every", "some"), f"{part.name} asks {part.asks!r}; give every or some")
        hold(bool(np.isfinite(part.bound)), f"{part.name} has the bound {part.bound}")


def _nothing(claim: Claim) -> None:
    one = studies()[0]
    for points in (pl.DataFrame([one.seen[0].row]).clear(), pl.DataFrame([dict(one.seen[0].row) | {"oracle": True}])):
        hold(not list(claim.questions(Evidence(points, one.tables))), "it asks")


def _questions(claim: Claim, asked: list[Question]) -> None:
    for question in asked:
        part = question.part
        hold(part in claim.parts, f"{part.name} is asked, and not among its parts")
        unknown = sorted(question.where.keys() - CONDITIONS.keys())
        hold(not unknown, f"{', '.join(unknown)} is no factor of a condition; there are {', '.join(CONDITIONS)}")
        hold(bool(question.rows), f"{part.name} does not say in which rows its numbers are")
        low, high = question.estimate.interval(WRONG)
        hold(low <= question.estimate.value <= high, f"an estimate of {part.name} is not in its interval")
    missing = [part.name for part in claim.parts if part not in {question.part for question in asked}]
    hold(not missing, f"nothing is asked of {', '.join(missing)}")


def _decides(claim: Claim, evidence: tuple[Evidence, ...]) -> None:
    tables = [decided([claim], one) for one in evidence]
    found = pl.concat(tables)
    for part in claim.parts:
        own = found.filter(pl.col("part") == part.name)
        seen = set(own["verdict"])
        chance = (own["replicates"] > 0).any()  # a formula has one answer
        wanted = {HOLDS, FAILS} if chance else {HOLDS}
        hold(wanted <= seen, f"{part.name} is found to be {', '.join(sorted(seen)) or 'nothing'} and never otherwise")
    for table in tables:
        verdicts(table)


@cache
def studies() -> tuple[Evidence, ...]:
    """Made-up studies over cells and initialisations; in each every point has an outcome that is drawn."""
    seen, summaries = _seen()
    points = [*_points(), *seen]
    made = [study_of(points, lambda *_, rate=rate: rate, spread) for rate, spread in DRIFTS]
    rows, found = made[0][0].with_columns(replicates=pl.lit(MANY)), []
    for number in range(STUDIES):
        rng = np.random.default_rng(number)
        drawn = number >= len(DRIFTS)
        own = pl.DataFrame(
            {"point": rows["point"], "outcome": [_drawn(number, key) if drawn else number for key in rows["point"]]}
        )
        parts = [
            statistics.with_columns(pl.col("point").cast(pl.String)).join(
                own.filter(outcome=i).select("point"), on="point", maintain_order="left"
            )
            for i, (_, statistics) in enumerate(made)
        ]
        tables = {name: _moved(table, rng, number) for name, table in summaries.items()}
        found.append(Evidence(rows, {"statistics": _sure(pl.concat(parts))} | tables))
    return tuple(found)


def _drawn(number: int, key: str) -> int:
    """The outcome of a point in one of the studies: its own draw, so that another cell changes it for none."""
    return int(np.random.default_rng([number, int(key, 16)]).integers(len(DRIFTS)))


def _points() -> Iterator[PlannedPoint]:
    for cell in cells():
        for init in INITS:
            with suppress(UsageError):  # a cell without such gates
                yield planned(DesignPoint(cell=cell, width=8, init=init, horizons=(*HORIZONS, LAST)))


def _seen() -> tuple[list[PlannedPoint], dict[str, pl.DataFrame]]:
    """Points on which observables looked, and the summaries of what they saw."""
    points, frames = [], {}
    for cell, start in (("lstm", 0.0), ("gru", 0.0), ("tanh", 0.0), ("gru", 2.0)):
        fit = []
        for name, kind in observables().items():
            try:
                one = kind.read(None, name)
                one.check(DesignPoint(cell=cell, **LOOKED))  # pyright: ignore[reportAttributeAccessIssue]
            except ValueError:
                continue
            fit.append(one)
        one_planned, tables = looked(LOOKED | {"cell": cell, "state_std": start}, tuple(fit), 4)
        points.append(one_planned)
        for one in fit:
            samples = pl.DataFrame(pl.from_arrow(tables[one.name]))
            frames.setdefault(f"statistics-{one.name}", []).append(
                summed_up(one, samples, Settings(VANISH, EXPLODE), one_planned.point)
            )
    return points, {name: pl.concat(of, how="diagonal_relaxed") for name, of in frames.items()}


def _sure(table: pl.DataFrame) -> pl.DataFrame:
    """The same shares of many more replicates."""
    times = MANY // int(table["replicates"][0])  # pyright: ignore[reportArgumentType]
    counts = [name for name in table.columns if name.endswith("_count") or name in ("replicates", "weight_draws")]
    return table.with_columns(pl.col(counts) * times)


def _moved(table: pl.DataFrame, rng: np.random.Generator, number: int) -> pl.DataFrame:
    """A summary with other numbers, known well: all events or none, and numbers far above, far below or near zero."""
    level = rng.integers(3, size=table.height) if number > 1 else np.full(table.height, 2 * number)
    signed = (
        np.array([str(one).startswith("log") for one in table["quantity"]]) if "quantity" in table.columns else False
    )
    new: dict[str, Any] = {}
    for name in (name for name, kind in table.schema.items() if kind.is_float()):
        if name == "error" or name.endswith("_error"):
            new[name] = np.full(table.height, 1e-4)
        elif name.startswith(("p_", "share")):
            new[name] = np.where(level == 2, 1.0, 0.0)
        else:
            below = np.where(signed | name.startswith(("log_", "less_")), -9.0, 1e-2)  # a logarithm, or a size
            new[name] = np.select([level == 2, level == 1], [9.0, 1e-3], below)
    new |= {name: np.where(level == 2, MANY, 0) for name in table.columns if name.endswith("_count")}
    new["replicates"] = np.full(table.height, MANY)
    if "unknown_count" in table.columns:  # what is not known would be asked nothing
        new["unknown_count"] = np.zeros(table.height)
    return table.with_columns(pl.Series(name, values).cast(table.schema[name]) for name, values in new.items())
