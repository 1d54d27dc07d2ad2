"""What became of the article's claims, statement by statement."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import polars as pl

from rnnmc.claims import EMPTY, FAILS, HOLDS, ONLY_WHEN, UNDECIDED, verdict_text
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
ON_A_PHONE = 3  # statements of each verdict, on a phone
SHORT = {HOLDS: HELD, FAILS: FAILED, ONLY_WHEN: DEPENDS, UNDECIDED: OPEN, EMPTY: NOTHING}


def lead(rows: pl.DataFrame, points: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> Lead | None:
    """A line a statement, those of one verdict together; where there are any."""
    table = tables.get("verdicts")
    if table is None or table.is_empty():
        return None
    found = [(row, SHORT[row["verdict"]]) for row in table.iter_rows(named=True)]
    counts = {kind: sum(one == kind for _, one in found) for kind in MARKS}
    parts = [f"{counts[kind]} {words[counts[kind] > 1]}" for kind, words in IN_WORDS.items() if counts[kind]]
    plural = "statements" if len(found) > 1 else "statement"
    answer = f"Of the {len(found)} {plural} that the article and its readers make, {listed(parts)}."
    names = {"held": "answered as claimed", "missed": "answered the other way", "open": "not decided"}
    groups = "".join(_group(kind, [row for row, one in found if one == kind]) for kind in MARKS if counts[kind])
    caption = (
        "Each statement is asked of many settings; a bar shows how the answers are spread. It holds, or fails, where "
        "all of them say so, depends where some say this and some that, and is open where not all are decided and "
        "those that are agree. Of a statement that something can be, one such setting is enough."
    )
    figure = f'{legend(names)}<div class="verdicts">{groups}</div>'
    question = "Which of the article\u2019s claims about vanishing and exploding gradients are true?"
    return Lead("verdicts", question, answer, figure, caption, "verdicts")


def _group(kind: str, rows: list[Mapping[str, Any]]) -> str:
    """The statements of one verdict below its name."""
    lines = "".join(_line(row, i >= ON_A_PHONE) for i, row in enumerate(rows))
    left = len(rows) - ON_A_PHONE
    rest = f'<li class="gap"><a href="#verdicts">and {left} more</a></li>' if left > 0 else ""
    head = f'<p><b class="{MARKS[kind]}">{kind}</b> {len(rows)}</p>'
    return f"<section>{head}<ul>{lines}{rest}</ul></section>"


def _line(row: Mapping[str, Any], more: bool) -> str:
    """more: whether a phone leaves it out."""
    counts = {"held": int(row["holds"]), "missed": int(row["fails"]), "open": int(row["undecided"])}
    total = sum(counts.values()) or 1
    pieces = "".join(f'<i class="{name}" style="width:{100 * n / total:.1f}%"></i>' for name, n in counts.items() if n)
    told = f"{row['says']}: {percent(counts['held'] / total)} of {total:,} answered as claimed; {verdict_text(row)}"
    kept = ' class="more"' if more else ""
    return (
        f'<li{kept} title="{escape(told)}"><span class="name">{escape(str(row["claim"]))}</span>'
        f'<span>{escape(str(row["says"]))}</span><span class="share">{pieces}</span></li>'
    )
