"""What every column of samples and tables means, and its unit."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

WORDS = {
    "vanish": "the norm is below the vanishing threshold",
    "stable": "the norm is between the thresholds",
    "explode": "the norm is above the exploding threshold",
    "dead": "the chain is zero, or beyond float64 in a cell that cannot die",
    "overflow": "the state has left the floating-point range",
    "above": "the largest absolute state so far is above 1",
    "negligible": "the number is below the vanishing threshold",
    "beyond": "the norm is beyond the largest number of float32",
    "unknown": "the share is one of nothing, or of what has overflowed",
    "dominant": "the main term is the largest in most (step, unit) pairs",
    "minor": "the mean log ratio of the term to the main one is below log 0.1",
    "mild": "the same is so of the reset term beside the candidate's",
    "close": "the growth rate along the path is within 0.01 of that of the joint chain",
    "doubled": "the largest state is at least twice that at a tenth of the horizon",
    "squeezed": "|c| sech^2 c has been above 0.45",
    "passed": "the norm has passed the threshold by the last horizon",
    "growing": "the norm has grown over the last decade before the horizon",
    "learnt": "the loss after training is below 0.2 of that of the best constant answer",
    "first": "the norm has passed this threshold before the opposite one",
}
MODE_WORDS = {"at": "at this horizon", "by": "first, at or before this horizon", "": ""}
END_WORDS = {"low": "lower bound of its interval", "high": "upper bound of its interval"}


@cache
def _columns() -> list[tuple[str, str, str]]:
    """(pattern of the whole name, unit, meaning) of dictionary.csv; the first that matches speaks."""
    text = (Path(__file__).parent / "dictionary.csv").read_text(encoding="utf-8")
    return [(row["column"], row["unit"], row["meaning"]) for row in csv.DictReader(text.splitlines())]


def meaning(column: str) -> tuple[str, str]:
    """(unit, meaning) of a column of any table or of samples. Raises KeyError for one that is not known."""
    counted = re.fullmatch(r"([a-z]+?)(?:_(at|by))?_count", column)
    if counted and counted[1] in WORDS:
        return "replicates", f"how many of which {WORDS[counted[1]]} {MODE_WORDS[counted[2] or '']}".strip()
    likely = re.fullmatch(r"p_([a-z]+?)(?:_(at|by))?(?:_(band_)?(low|high))?", column)
    if likely and likely[1] in WORDS:
        event, mode, band, end = likely.groups()
        said = f"probability that {WORDS[event]} {MODE_WORDS[mode or '']}".strip()
        bound = f"{END_WORDS[end]}{', of all horizons at once' if band else ''}: " if end else ""
        return "probability", bound + said
    for pattern, unit, words in _columns():
        if found := re.fullmatch(pattern, column):
            return unit, found.expand(words)
    raise KeyError(column)


ROW = ("file", "column", "type", "unit", "meaning")


def described(file: str, schema: pa.Schema) -> list[tuple[str, ...]]:
    """A row of a dictionary, as in ROW, for each column of a file; of one that rnnmc does not know it says so."""
    rows = []
    for field in schema:
        try:
            told = meaning(field.name)
        except KeyError:
            told = ("", "of what is one's own: see its source")
        rows.append((file, field.name, str(field.type), *told))
    return rows


def csv_text(rows: Iterable[tuple[str, ...]]) -> bytes:
    """Rows of a dictionary as CSV, with their head."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([ROW, *rows])
    return text.getvalue().encode()
