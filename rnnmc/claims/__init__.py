"""The claims of kexue.fm/archives/7888 and its readers, one file each, decided by rules that were fixed beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from rnnmc.claims.claim import Claim, Evidence, Question
from rnnmc.claims.conditions import conditions
from rnnmc.claims.estimate import is_empty
from rnnmc.common.errors import UsageError
from rnnmc.common.refusals import choose
from rnnmc.common.registry import offered

WRONG = 1e-3  # probability that any verdict of a table is wrong; each decision takes an equal share of it
HOPELESS = 1e12  # replicates, beyond which an estimate sits on its bound
HOLDS, FAILS, UNDECIDED, EMPTY, ONLY_WHEN = "holds", "fails", "undecided", "empty", "holds only when"
ANSWERS = (HOLDS, FAILS, UNDECIDED, EMPTY)
STATEMENT = ("claim", "states", "part", "says", "asks")
CONDITIONS: dict[str, type[pl.DataType]] = {
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
    "asks": pl.String,
    **CONDITIONS,
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

    points: rows of points.parquet; tables: name -> table, as `rnnmc.run.aggregate` writes them. Columns CLAIMS: says,
    the part in words; the factors that tell its conditions apart, null where all have the same or none; quantity, the
    estimate, with its value and the interval low to high; rule and verdict: holds where the interval lies on the `side`
    of the bound, fails where on the other, undecided where the bound is within; empty where all probabilities that are
    compared surely lie at a floor, or all at a ceiling, undecided too where that is open: nothing to see is no answer.
    false_alarm: the probability that this interval misses the truth, WRONG shared evenly by all rows whose numbers are
    left to chance. replicates: behind it; replicates_needed: about as many as would decide it, null where it is
    decided, and where the estimate sits on the bound or only whether it is empty is open. asks: "every" or "some", see
    `verdicts`. rows: the rows of the tables from which the number comes.
    """
    return decided(claims().values(), Evidence(points, tables))


def decided(asking: Iterable[Claim], evidence: Evidence) -> pl.DataFrame:
    """`decide` for these claims. Raises UsageError for a condition by a factor that is not among FACTORS."""
    asked = [(claim, question) for claim in asking for question in claim.questions(evidence)]
    risk = WRONG / max(1, sum(question.estimate.replicates > 0 for _, question in asked))
    return pl.DataFrame([_row(claim, question, risk) for claim, question in asked], schema=CLAIMS, orient="row")


def _row(claim: Claim, question: Question, risk: float) -> dict[str, Any]:
    part, estimate = question.part, question.estimate
    for factor in question.where.keys() - CONDITIONS.keys():  # a table has no column for it: it would be lost
        raise UsageError(
            f"claim {claim.name}, {part.name}: {factor} is no factor of a condition; {choose(factor, CONDITIONS)}"
        )
    low, high = estimate.interval(risk)
    above, below = low > part.bound, high < part.bound
    met, missed = (above, below) if part.side == "above" else (below, above)
    empty = is_empty(estimate, risk)
    verdict = EMPTY if empty else UNDECIDED if empty is None else HOLDS if met else FAILS if missed else UNDECIDED
    return {
        **dict.fromkeys(CONDITIONS),
        **question.where,
        "claim": claim.name,
        "part": part.name,
        "states": claim.states,
        "says": part.says,
        "asks": part.asks,
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
    if not low <= bound <= high:
        return None
    way = abs(bound - value)
    half = high - value if bound > value else value - low
    needed = question.estimate.replicates * (half / way) ** 2 if way else math.inf
    return math.ceil(needed) if needed < HOPELESS else None


def verdicts(decided: pl.DataFrame) -> pl.DataFrame:
    """One row a claim and part of `decide`: claim, states, part, says, asks, verdict, when, otherwise, and counts.

    Counted are the questions that are not empty. verdict: "holds" or "fails" where every one of them says so, "holds
    only when" where some hold and some fail, "empty" where there is none, else "undecided": a word for all needs all of
    them decided. So what a study cannot decide it does not deny, and more replicates can turn "undecided" into any word
    but no word into another. Of a part that asks for "some" question, such as that a state may diverge, one that holds
    is enough to hold. when: where some hold and some fail, the conditions in words (`rnnmc.claims.conditions`), which
    begin with "only" or "except"; null where more are undecided than decided, which would say who was measured, not
    who holds. otherwise: how many decided questions they get wrong; then holds, fails, undecided, empty: how many
    questions are so.
    """
    rows: list[tuple] = []
    for key, own in decided.group_by(*STATEMENT, maintain_order=True):
        counts = {kind: own.filter(pl.col("verdict") == kind).height for kind in ANSWERS}
        verdict, when, otherwise = _overall(str(key[-1]), **counts), None, 0
        clear = own.filter(pl.col("verdict").is_in((HOLDS, FAILS)))
        if counts[HOLDS] and counts[FAILS] and counts[UNDECIDED] <= clear.height:
            held = (clear["verdict"] == HOLDS).to_list()
            when, otherwise = conditions(list(zip(clear.select(*CONDITIONS).to_dicts(), held, strict=True)))
        rows.append((*key, verdict, when, otherwise, *counts.values()))
    words, counts = (*STATEMENT, "verdict", "when"), ("otherwise", *ANSWERS)
    schema: dict[str, type[pl.DataType]] = {**dict.fromkeys(words, pl.String), **dict.fromkeys(counts, pl.Int64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def verdict_text(row: Mapping[str, Any]) -> str:
    """A row of `verdicts` in words: `holds only with width at least 16 (8 of 32 questions; 2 exceptions)`.

    A table of an earlier release knows of no empty questions.
    """
    holds, fails, undecided, empty = (row.get(kind, 0) for kind in ANSWERS)
    asked = holds + fails + undecided
    verdict, counted = row["verdict"], f"{asked} question{'s' if asked > 1 else ''}"
    if row["when"]:
        verdict = f"{HOLDS} {row['when']}"
    elif verdict == ONLY_WHEN:
        verdict = "holds for some and fails for others"
    if verdict == EMPTY:
        return f"{EMPTY} ({empty} question{'s' if empty > 1 else ''}, all at a floor or a ceiling)"
    said = [f"{holds} of {counted}" if holds and (fails or undecided) else counted]
    if row["otherwise"]:
        said.append(f"{row['otherwise']} exception{'s' if row['otherwise'] > 1 else ''}")
    if fails and (undecided and not holds):
        said = [f"{fails} of {counted} fail"]
    elif verdict == UNDECIDED and holds:
        said = [f"{holds} of {counted} hold"]
    elif undecided and verdict != UNDECIDED:
        said.append(f"{undecided} undecided")
    if empty:
        said.append(f"{empty} more empty")
    return verdict if asked == 1 and not empty else f"{verdict} ({'; '.join(said)})"


def _overall(asks: str, holds: int, fails: int, undecided: int, empty: int) -> str:
    """The word for all questions of a part."""
    if holds and asks == "some":
        return HOLDS
    if holds and fails:
        return ONLY_WHEN
    if undecided or not holds + fails:
        return UNDECIDED if undecided else EMPTY
    return HOLDS if holds else FAILS
