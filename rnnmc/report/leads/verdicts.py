"""What became of the article's claims, statement by statement."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import polars as pl

from rnnmc.claims import FAILS, HOLDS
from rnnmc.common.words import listed
from rnnmc.report.leads.lead import Lead, legend, percent

HELD, FAILED, DEPENDS, OPEN, NOTHING = "holds", "fails", "depends", "open", "nothing to see"
MARKS = {HELD: "held", DEPENDS: "depends", FAILED: "missed", OPEN: "open", NOTHING: "open"}
IN_WORDS = {
    HELD: ("holds", "hold"),
    DEPENDS: ("holds under some conditions only", "hold under some conditions only"),
    FAILED: ("fails", "fail"),
    OPEN: ("is still open", "are still open"),
    NOTHING: ("finds nothing to be seen", "find nothing to be seen"),
}
STRAY = 0.05  # of the answers: fewer against the rest do not make a statement depend on anything


def word(row: Mapping[str, int | str]) -> str:
    """What a row of verdicts comes to: open while fewer than half of its questions have an answer.

    An answer or two against hundreds is no verdict: below STRAY of them it is the others that count. The table of
    verdicts says every exception.
    """
    holds, fails, undecided = (int(row[name]) for name in ("holds", "fails", "undecided"))
    if row["asks"] == "some" and row["verdict"] in (HOLDS, FAILS):
        return HELD if row["verdict"] == HOLDS else FAILED
    if not holds + fails + undecided:
        return NOTHING
    if holds + fails <= undecided:
        return OPEN
    share = holds / (holds + fails)
    return HELD if share >= 1 - STRAY else FAILED if share <= STRAY else DEPENDS


def lead(rows: pl.DataFrame, points: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> Lead | None:
    """A line a statement; where there are any."""
    table = tables.get("verdicts")
    if table is None or table.is_empty():
        return None
    found = [(row, word(row)) for row in table.iter_rows(named=True)]
    counts = {kind: sum(one == kind for _, one in found) for kind in MARKS}
    parts = [f"{counts[kind]} {words[counts[kind] > 1]}" for kind, words in IN_WORDS.items() if counts[kind]]
    plural = "statements" if len(found) > 1 else "statement"
    answer = f"Of the {len(found)} {plural} that the article and its readers make, {listed(parts)}."
    names = {"held": "answered as claimed", "missed": "answered the other way", "open": "not decided"}
    lines = "".join(_line(row, one) for row, one in found)
    caption = (
        "Each statement is asked of many settings; its bar shows how the answers are spread. It holds, or fails, "
        f"where at least {100 * (1 - STRAY):.0f}\u00a0% of the answers say so, and is open while at most half of its "
        "questions are decided."
    )
    figure = f'{legend(names)}<ul class="verdicts">{lines}</ul>'
    question = "Which of the article\u2019s claims about vanishing and exploding gradients are true?"
    return Lead("verdicts", question, answer, figure, caption, "verdicts")


def _line(row: Mapping[str, int | str], verdict: str) -> str:
    counts = {"held": int(row["holds"]), "missed": int(row["fails"]), "open": int(row["undecided"])}
    total = sum(counts.values()) or 1
    pieces = "".join(f'<i class="{name}" style="width:{100 * n / total:.1f}%"></i>' for name, n in counts.items() if n)
    told = f"{row['says']}: {percent(counts['held'] / total)} of {total:,} answered as claimed"
    return (
        f'<li title="{escape(told)}"><span class="name">{escape(str(row["claim"]))}</span>'
        f'<span class="says">{escape(str(row["says"]))}</span><span class="share">{pieces}</span>'
        f'<b class="{MARKS[verdict]}">{verdict}</b></li>'
    )
