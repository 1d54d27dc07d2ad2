"""Advice in words: a table, sentences, the lines of code, or JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from rich.table import Table

from rnnmc.common.errors import UsageError
from rnnmc.report.framework_code import code
from rnnmc.report.telling import MOST_ROWS
from rnnmc.report.terminal import fitting, plain_table
from rnnmc.report.text import share_text
from rnnmc.run.advise import Advice, Measurement, Row
from rnnmc.statistics.ranking import LEVEL

LEADING = 10  # of a ranking, that are shown wherever they come from


def as_json(advice: Advice, framework: str | None) -> str:
    """The ranking, what is best and the best number, with the intervals of each."""
    best = _row(advice, advice.best) | {"afresh": _known(advice.best_again), "code": code_of(advice.best, framework)}
    number: dict[str, Any] | None = None
    if advice.line and advice.top and advice.there and advice.there_again:
        number = {"name": advice.line.name} | dict(zip(("at", "low", "high"), _ends(advice), strict=True))
        number |= {"candidate": _row(advice, advice.there), "afresh": _known(advice.there_again)}
        number |= {"code": code_of(advice.there, framework)}
    said = {
        "question": {"cell": advice.question.cell, "width": advice.question.width, "steps": advice.question.steps},
        "level": LEVEL,
        "ranking": in_rows(advice),
        "best": best,
        "number": number,
    }
    return json.dumps(said, allow_nan=False)


def in_rows(advice: Advice) -> list[dict[str, Any]]:
    """The ranking, a row each, best first."""
    return [_row(advice, row) for row in advice.ranking]


def table(advice: Advice, everything: bool = False) -> Table:
    """The ranking for the terminal, as wide as that is: without `everything`, the telling rows of it."""
    ranks = range(len(advice.ranking)) if everything else _telling(advice)
    rows = [(rank, advice.ranking[rank]) for rank in ranks]
    found = fitting([_wide(advice, rows), _narrow(advice, rows)])
    found.title = f"{advice.question.cell} of width {advice.question.width}, T = {advice.question.steps:,}"
    left_out = len(advice.ranking) - len(rows)
    found.caption = f"{left_out} more candidates: --all" if left_out else None
    return found


def _telling(advice: Advice) -> list[int]:
    """The first ranks, and as many of the defaults and presets of frameworks as fit beside them."""
    rest = range(LEADING, len(advice.ranking))
    named = [rank for rank in rest if isinstance(advice.ranking[rank].point.init.written(), str)]
    return [*range(min(LEADING, len(advice.ranking))), *named[: MOST_ROWS - LEADING]]


def _wide(advice: Advice, rows: list[tuple[int, Row]]) -> Table:
    shown = plain_table("rank", "what", "P(stable by T)", "N", "stable by T/10", "by 10 T", "growth rate", "told apart")
    for rank, row in rows:
        rate, error = row.rate
        shown.add_row(
            str(rank + 1),
            _what(advice, row),
            _share(row.by),
            str(row.by.replicates),
            share_text(row.tenth.p),
            _share(row.tenfold) if row.tenfold else f"at most {row.by.high:.2f}",
            "-" if math.isnan(rate) else f"{rate:.3g}" + ("" if math.isnan(error) else f" +- {error:.1g}"),
            _apart(rank, row),
        )
    return shown


def _narrow(advice: Advice, rows: list[tuple[int, Row]]) -> Table:
    shown = plain_table("rank", "what")
    for name in ("P(stable by T)", "told apart"):
        shown.add_column(name, no_wrap=True)
    for rank, row in rows:
        shown.add_row(str(rank + 1), _what(advice, row), _share(row.by), _apart(rank, row))
    return shown


def _apart(rank: int, row: Row) -> str:
    if not rank:
        return ""
    return "worse than 1" if row.apart else "not from 1"


def sentences(advice: Advice) -> Iterator[str]:
    """What to set, and what is known of it."""
    steps, best = advice.question.steps, advice.best
    stable = f"P(stable by {steps:,})"
    alike = sum(row.by.high >= best.by.low and best.by.high >= row.by.low for row in advice.ranking) - 1
    if best.by.p == 0:
        most = max(row.by.high for row in advice.ranking)
        yield f"Nothing that was tried stays within the thresholds: {stable} is below {most:.2f} for every one of them."
    others = f"; {alike} other{'s are' if alike > 1 else ' is'} not told apart from it" if alike else ""
    yield (
        f"{'Nearest to it is' if best.by.p == 0 else 'Set'} {_what(advice, best)}: {stable} is {_share(best.by)}, "
        f"and {_share(advice.best_again)} measured afresh with another seed{others}."
    )
    first = advice.ranking[0]
    if first is not best:
        how = "is more often stable" if best.apart else "comes first, but is not told apart from it"
        yield f"Of the other cells {_what(advice, first)} {how}: {_share(first.by)}."
    if advice.line and advice.top and advice.there and advice.there_again:
        at, low, high = _ends(advice)
        base = advice.question.base or "no preset"
        yield (
            f"The best {advice.line.name} with {base} is {at:g} [{low:.3g}, {high:.3g}]: "
            f"{stable} is {_share(advice.there.by)}, and {_share(advice.there_again)} measured afresh{_edge(advice)}."
        )
    yield f"The ranking holds as a whole, at every look that was taken at it, with a probability of {LEVEL:.0%}."


def code_lines(advice: Advice, framework: str) -> str:
    """The lines that set what is best, or a comment why there are none."""
    try:
        return code(advice.best.point, framework)
    except UsageError as error:
        return f"# {error}"


def code_of(row: Row, framework: str | None) -> str | None:
    """The lines that set what a row says; None without a framework, or where it has no lines for it."""
    try:
        return code(row.point, framework) if framework else None
    except UsageError:
        return None


def _ends(advice: Advice) -> tuple[float, float, float]:
    """(at, low, high) of what is set, which is minus the number where a closed gate remembers."""
    assert advice.line is not None
    assert advice.top is not None
    low, high = sorted(advice.line.sign * one for one in (advice.top.low, advice.top.high))
    return advice.line.sign * advice.top.at, low, high


def _edge(advice: Advice) -> str:
    """Where the interval ends at the first or last value that was tried, the maximum may lie beyond it."""
    assert advice.line is not None
    assert advice.top is not None
    tried = advice.line.start
    at_end = [x for x, end in zip((tried[0], tried[-1]), advice.top[1:3], strict=True) if math.isclose(x, end)]
    said = " and ".join(f"{advice.line.sign * x:g}" for x in at_end)
    return f"; nothing beyond {said} was tried" if at_end else ""


def _what(advice: Advice, row: Row) -> str:
    other = "" if row.point.cell == advice.question.cell else f"{row.point.cell} "
    return f"{other}{row.point.init}"


def _share(known: Measurement) -> str:
    return f"{share_text(known.p)} [{known.low:.2f}, {known.high:.2f}]"


def _known(known: Measurement) -> dict[str, Any]:
    return {"p_stable_by": known.p, "low": known.low, "high": known.high, "replicates": known.replicates}


def _row(advice: Advice, row: Row) -> dict[str, Any]:
    rate, error = (None if math.isnan(one) else one for one in row.rate)
    return {
        "cell": row.point.cell,
        "init": row.point.init.written(),
        "name": _what(advice, row),
        **_known(row.by),
        "told_apart": row.apart,
        "by_tenth": _known(row.tenth),
        "by_tenfold": None if row.tenfold is None else _known(row.tenfold),
        "growth_rate": rate,
        "growth_rate_error": error,
    }
