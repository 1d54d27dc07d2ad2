"""The claims of kexue.fm/archives/7888 and its readers, one file each, decided by rules that were fixed beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from rnnmc.claims.claim import Claim, Evidence, Question
from rnnmc.registry import offered

WRONG = 1e-3  # probability that any verdict of a table is wrong; each decision takes an equal share of it
HOPELESS = 1e12  # replicates, beyond which an estimate sits on its bound
HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
FACTORS: dict[str, type[pl.DataType]] = {
    "cell": pl.String,
    "width": pl.Int64,
    "init": pl.String,
    "drive": pl.String,
    "weights": pl.String,
    "state_std": pl.Float64,
    "horizon": pl.Int64,
    "term": pl.String,
    "path": pl.String,
}
CLAIMS: dict[str, type[pl.DataType]] = {
    "claim": pl.String,
    "part": pl.String,
    "states": pl.String,
    "says": pl.String,
    **FACTORS,
    "quantity": pl.String,
    "rule": pl.String,
    "verdict": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "bound": pl.Float64,
    "side": pl.String,
    "false_alarm": pl.Float64,
    "replicates": pl.Int64,
    "replicates_needed": pl.Int64,
    "rows": pl.String,
}


def claims() -> dict[str, Claim]:
    """name -> claim, in the order of their numbers."""
    found = offered("rnnmc.claims", "CLAIM")
    return dict(sorted(found.items(), key=lambda item: (len(item[0]), item[0])))


def decide(points: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row a claim, part and condition that this study can decide.

    points: rows of points.parquet; tables: name -> table, as `rnnmc.aggregation` writes them. Columns CLAIMS: says, the
    part in words; the factors that tell its conditions apart, null where all have the same or none; quantity, the
    estimate, with its value and the interval low to high; rule and verdict: holds where the interval lies on the `side`
    of the bound, fails where on the other, undecided where the bound is within. false_alarm: the probability that this
    interval misses the truth, WRONG shared evenly by all rows whose numbers are left to chance. replicates: behind it;
    replicates_needed: about as many as would decide it, null where it is decided, and where the estimate sits on the
    bound. rows: the rows of the tables from which the number comes.
    """
    evidence = Evidence(points, tables)
    asked = [(claim, question) for claim in claims().values() for question in claim.questions(evidence)]
    risk = WRONG / max(1, sum(question.estimate.replicates > 0 for _, question in asked))
    return pl.DataFrame([_row(claim, question, risk) for claim, question in asked], schema=CLAIMS, orient="row")


def _row(claim: Claim, question: Question, risk: float) -> dict[str, Any]:
    part, estimate = question.part, question.estimate
    low, high = estimate.interval(risk)
    above, below = low > part.bound, high < part.bound
    met, missed = (above, below) if part.side == "above" else (below, above)
    verdict = HOLDS if met else FAILS if missed else UNDECIDED
    return {
        **dict.fromkeys(FACTORS),
        **question.where,
        "claim": claim.name,
        "part": part.name,
        "states": claim.states,
        "says": part.says,
        "quantity": part.quantity,
        "rule": part.rule,
        "verdict": verdict,
        "value": estimate.value,
        "low": low,
        "high": high,
        "bound": part.bound,
        "side": part.side,
        "false_alarm": risk if estimate.replicates else 0.0,
        "replicates": estimate.replicates,
        "replicates_needed": _needed(question, low, high) if verdict == UNDECIDED else None,
        "rows": "; ".join(question.rows),
    }


def _needed(question: Question, low: float, high: float) -> int | None:
    """Replicates with which the half of the interval that holds the bound would be as long as the way there."""
    value, bound = question.estimate.value, question.part.bound
    way = abs(bound - value)
    half = high - value if bound > value else value - low
    needed = question.estimate.replicates * (half / way) ** 2 if way else math.inf
    return math.ceil(needed) if needed < HOPELESS else None


def verdicts(decided: pl.DataFrame) -> pl.DataFrame:
    """One row a claim of `decide`: claim, states, verdict, summary; and holds, fails, undecided, how many rows are so.

    verdict: "holds" or "fails" where all rows say so ("where decided" beside it where some are undecided), "holds only
    in part" where some hold and some fail, "undecided" where none is decided. summary: each part and when it holds, in
    words.
    """
    rows = []
    for (claim, states), of_claim in decided.group_by("claim", "states", maintain_order=True):
        counts = {kind: of_claim.filter(pl.col("verdict") == kind).height for kind in (HOLDS, FAILS, UNDECIDED)}
        parts = of_claim.group_by("part", maintain_order=True)
        summary = "; ".join(f"{part['says'][0]}: {_when(part)}" for _, part in parts)
        rows.append((claim, states, _overall(**counts), summary, *counts.values()))
    schema = {"claim": pl.String, "states": pl.String, "verdict": pl.String, "summary": pl.String}
    return pl.DataFrame(rows, schema=schema | dict.fromkeys((HOLDS, FAILS, UNDECIDED), pl.Int64), orient="row")


def _overall(holds: int, fails: int, undecided: int) -> str:
    if holds and fails:
        return "holds only in part"
    if not holds + fails:
        return UNDECIDED
    return f"{HOLDS if holds else FAILS}{' where decided' if undecided else ''}"


def _when(part: pl.DataFrame) -> str:
    """When one part holds: by the factor whose values tell most about the verdict."""
    held, failed = (part.filter(pl.col("verdict") == kind).height for kind in (HOLDS, FAILS))
    open_ = part.height - held - failed
    left = f" ({open_} undecided)" if open_ else ""
    if not held or not failed:
        word = "holds" if held else "fails" if failed else "undecided"
        return word if part.height == 1 else f"{word} at {held or failed or open_} of {part.height}{left}"
    best = min(
        (_by(part, name) for name in FACTORS if part[name].n_unique() > 1), key=lambda found: found[0], default=None
    )
    return f"holds at {held} of {part.height}{left}" + (f": {best[1]}" if best else "")


def _by(part: pl.DataFrame, factor: str) -> tuple[tuple[int, int], str]:
    """How many verdicts the majority at each value of a factor gets wrong, and when the part holds, by its values."""
    wrong, words = 0, []
    for (value,), own in part.filter(pl.col("verdict") != UNDECIDED).group_by(factor, maintain_order=True):
        held = own.filter(pl.col("verdict") == HOLDS).height
        wrong += min(held, own.height - held)
        share = "always" if held == own.height else "never" if not held else f"at {held} of {own.height}"
        words.append((share, _named(factor, value)))
    told = [
        f"{share} with {_and(name for one, name in words if one == share)}"
        for share in dict.fromkeys(s for s, _ in words)
    ]
    return (wrong, len(words)), ", ".join(told)


def _named(factor: str, value: Any) -> str:
    if factor == "horizon":
        return f"T = {value:,}"
    if factor == "init":
        return f'"{value}"'  # which may hold a comma
    if factor in ("cell", "weights", "path"):
        return str(value)
    word = factor.replace("_", " ")
    return f"{word} {value:g}" if isinstance(value, float) else f"{word} {value}"


def _and(names: Iterable[str]) -> str:
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
